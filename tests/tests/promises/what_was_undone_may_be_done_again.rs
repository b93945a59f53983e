//! A customer books, cancels, and books the same again. To a key made of the arguments the last call is a repeat of the
//! first, and the customer stays at home. To a key made afresh it is new, and so would a retry have been.

use crate::world::{failing, intent, memory, policy};
use semel::json::JsonValue;
use semel::{
    model::{Answer, Boot, Call, Outcome, RecordStatus, UndoNote},
    runtime::{CallStep, Semel, Tool},
    store::{Clock, ClockReading, MemoryStore, SettableClock, Store},
};
use semel_conformance::INJECTED_FAILURES;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A house with one room, that counts.
#[derive(Default)]
struct House {
    reserved: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<String>>,
}

impl House {
    fn serve(&self, tool: &str, arguments: &JsonValue) -> Outcome {
        if tool == "reserve" {
            let mut reserved = self.reserved.lock().unwrap();
            let id = format!("R{}", reserved.len() + 1);
            reserved.push(id.clone());
            return Outcome::returned(json!({ "id": id }));
        }
        let id = arguments["id"].as_str().unwrap().to_owned();
        self.cancelled.lock().unwrap().push(id.clone());
        Outcome::returned(json!({ "id": id, "status": "cancelled" }))
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.reserved.lock().unwrap().len(),
            self.cancelled.lock().unwrap().len(),
        )
    }
}

async fn hotel() -> Semel {
    hotel_on(memory(), 10_000).await
}

async fn hotel_on(store: Arc<dyn Store>, wait_ms: u64) -> Semel {
    let mut reserve = intent(
        json!({ "operation": "reserve", "identity": ["guest"], "handles": ["reservation/{/id}"] }),
    )
    .await;
    let cancel =
        json!({ "operation": "cancel", "identity": ["id"], "undoes": ["reservation/{/id}"] });
    reserve.allowance.wait_ms = wait_ms;
    let cancel = Tool {
        name_space: reserve.name_space.clone(),
        allowance: reserve.allowance.clone(),
        ..Tool::new(policy("intent", cancel).await)
    };
    Semel::builder(store)
        .tool(["reserve"], reserve)
        .tool(["cancel"], cancel)
        .open()
        .await
        .unwrap()
}

fn reserve() -> Call {
    Call::new("reserve", json!({ "guest": "mia" })).unwrap()
}

fn cancel(id: &str) -> Call {
    Call::new("cancel", json!({ "id": id })).unwrap()
}

async fn ask(semel: &Semel, house: &House, call: Call) -> Answer {
    let tool = call.tool().to_owned();
    let run = |ticket: semel::runtime::Ticket| {
        let outcome = house.serve(&tool, &JsonValue::Object(ticket.arguments));
        async move { outcome }
    };
    semel.call(call, run).await.unwrap()
}

fn told(answer: &Answer) -> (&'static str, u32) {
    (answer.word(), answer.about().unwrap().generation)
}

#[tokio::test]
async fn what_was_cancelled_by_its_name_is_a_new_operation() {
    let (semel, house) = (hotel().await, House::default());
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("executed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 2));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 2));
    assert_eq!(house.counts(), (2, 1));
}

/// The control: without the word that the cancel undoes the reservation, the second booking never happens.
#[tokio::test]
async fn control_without_undoes_the_second_booking_is_taken_for_a_repeat() {
    let reserve_tool = intent(json!({ "operation": "reserve", "identity": ["guest"] })).await;
    let cancel_tool = intent(json!({ "operation": "cancel", "identity": ["id"] })).await;
    let semel = Semel::builder(memory())
        .tool(["reserve"], reserve_tool)
        .tool(["cancel"], cancel_tool)
        .open()
        .await
        .unwrap();
    let house = House::default();
    ask(&semel, &house, reserve()).await;
    ask(&semel, &house, cancel("R1")).await;
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
}

#[tokio::test]
async fn a_duplicate_of_the_cancel_is_replayed_even_after_the_room_was_booked_again() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    ask(&semel, &house, cancel("R1")).await;
    ask(&semel, &house, reserve()).await;
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("replayed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 2));
    assert_eq!(house.counts(), (2, 1));
    assert_eq!(
        told(&ask(&semel, &house, cancel("R2")).await),
        ("executed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 3));
}

#[tokio::test]
async fn while_the_cancel_is_under_way_nobody_books_again() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    let CallStep::Run(cancelling) = semel.begin(cancel("R1")).await.unwrap() else {
        panic!("a run")
    };
    let waiting = tokio::spawn({
        let semel = semel.clone();
        async move { semel.begin(reserve()).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    let outcome = house.serve("cancel", &json!({ "id": "R1" }).into());
    assert_eq!(
        cancelling.finish(outcome).await.unwrap().answer.word(),
        "executed"
    );
    let CallStep::Run(again) = waiting.await.unwrap() else {
        panic!("a run")
    };
    let outcome = house.serve("reserve", &json!({}).into());
    assert_eq!(
        told(&again.finish(outcome).await.unwrap().answer),
        ("executed", 2)
    );
}

#[tokio::test]
async fn a_cancel_in_doubt_leaves_the_booking_to_a_person() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    let doubt = semel
        .call(cancel("R1"), |_| async { Outcome::no_answer("timed out") })
        .await
        .unwrap();
    assert_eq!(doubt.word(), "held", "{doubt:?}");
    let booking = ask(&semel, &house, reserve()).await;
    assert_eq!(booking.word(), "held", "{booking:?}");
    assert_eq!(booking.about().unwrap().operation, "cancel");
    assert_eq!(house.counts(), (1, 0));
}

#[tokio::test]
async fn a_cancel_that_had_no_effect_leaves_the_booking_as_it_was() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    let failed = semel
        .call(cancel("R1"), |_| async {
            Outcome::not_sent("connection refused")
        })
        .await
        .unwrap();
    assert_eq!(failed.word(), "executed", "{failed:?}");
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("executed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 2));
}

#[tokio::test]
async fn what_nobody_booked_through_semel_can_be_cancelled_and_undoes_nothing() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    assert_eq!(
        told(&ask(&semel, &house, cancel("X9")).await),
        ("executed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
}

#[tokio::test]
async fn a_booking_that_is_no_longer_remembered_can_still_be_cancelled() {
    let clock = Arc::new(SettableClock::new(ClockReading {
        wall_ms: 1_800_000_000_000,
        steady_ms: 5_000,
        boot: Boot(1),
    }));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let (semel, house) = (hotel_on(store, 0).await, House::default());
    ask(&semel, &house, reserve()).await;
    clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("executed", 1)
    );
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("replayed", 1)
    );
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 1));
    assert_eq!(house.counts(), (2, 1));
}

/// A store whose clock stands still until a test moves it.
fn store_with_clock() -> (Arc<dyn Store>, Arc<SettableClock>) {
    let clock = Arc::new(SettableClock::new(ClockReading {
        wall_ms: 1_800_000_000_000,
        steady_ms: 5_000,
        boot: Boot(1),
    }));
    let store = MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (Arc::new(store), clock)
}

/// A tool of the hotel whose bookings all have one name, as in an itinerary.
async fn itinerary_on(store: Arc<dyn Store>) -> Semel {
    let book = intent(
        json!({ "operation": "book", "identity": ["trip"], "handles": ["itinerary/{arguments:/itinerary}"] }),
    )
    .await;
    let cancel = json!({ "operation": "cancel", "identity": ["itinerary"], "undoes": ["itinerary/{/itinerary}"] });
    let cancel = Tool {
        name_space: book.name_space.clone(),
        allowance: book.allowance.clone(),
        ..Tool::new(policy("intent", cancel).await)
    };
    Semel::builder(store)
        .tool(["book"], book)
        .tool(["cancel"], cancel)
        .open()
        .await
        .unwrap()
}

fn book(trip: &str) -> Call {
    Call::new("book", json!({ "trip": trip, "itinerary": "I1" })).unwrap()
}

fn cancel_itinerary() -> Call {
    Call::new("cancel", json!({ "itinerary": "I1" })).unwrap()
}

async fn land(semel: &Semel, call: Call) -> Answer {
    semel
        .call(call, |_| async {
            Outcome::Returned(json!({ "ok": true }).into())
        })
        .await
        .unwrap()
}

fn undo_note(answer: &Answer) -> Option<&UndoNote> {
    match answer {
        Answer::Replayed { undo, .. } => undo.as_ref(),
        _ => None,
    }
}

#[tokio::test]
async fn booking_and_cancelling_by_one_name_goes_on_for_ever() {
    let (store, clock) = store_with_clock();
    let semel = itinerary_on(store).await;
    for generation in 1..=4 {
        for call in [book("paris"), cancel_itinerary()] {
            clock.advance(Duration::from_secs(1));
            let first = land(&semel, call.clone()).await;
            assert_eq!(told(&first), ("executed", generation), "{first:?}");
            let second = land(&semel, call).await;
            assert_eq!(told(&second), ("replayed", generation), "{second:?}");
        }
    }
}

#[tokio::test]
async fn a_cancel_beside_the_booking_is_one_cancel_and_undoes_nothing() {
    let (store, clock) = store_with_clock();
    let semel = itinerary_on(store).await;
    let CallStep::Run(booking) = semel.begin(book("paris")).await.unwrap() else {
        panic!("a run")
    };
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        told(&land(&semel, cancel_itinerary()).await),
        ("executed", 1)
    );
    clock.advance(Duration::from_secs(1));
    let booked = booking
        .finish(Outcome::Returned(json!({ "ok": true }).into()))
        .await;
    assert_eq!(told(&booked.unwrap().answer), ("executed", 1));
    clock.advance(Duration::from_secs(1));
    let again = land(&semel, cancel_itinerary()).await;
    assert_eq!(told(&again), ("replayed", 1));
    let Some(UndoNote::StillStanding {
        handle, operation, ..
    }) = undo_note(&again)
    else {
        panic!("{again:?}")
    };
    assert_eq!(
        (handle.as_str(), operation.as_str()),
        ("itinerary/I1", "book")
    );
    assert_eq!(told(&land(&semel, book("paris")).await), ("replayed", 1));
}

#[tokio::test]
async fn a_name_of_two_bookings_undoes_neither() {
    let (store, clock) = store_with_clock();
    let semel = itinerary_on(store).await;
    for trip in ["paris", "rome"] {
        assert_eq!(told(&land(&semel, book(trip)).await), ("executed", 1));
    }
    clock.advance(Duration::from_secs(1));
    for word in ["executed", "replayed"] {
        assert_eq!(told(&land(&semel, cancel_itinerary()).await), (word, 1));
    }
    for trip in ["paris", "rome"] {
        assert_eq!(told(&land(&semel, book(trip)).await), ("replayed", 1));
    }
}

#[tokio::test]
async fn two_partial_refunds_of_one_charge_are_two() {
    let charge = intent(json!({ "identity": ["order"], "handles": ["charge/{/id}"] })).await;
    let refund =
        json!({ "identity": ["refund_id"], "content": ["amount"], "undoes": ["charge/{/charge}"] });
    let refund = Tool {
        name_space: charge.name_space.clone(),
        ..Tool::new(policy("intent", refund).await)
    };
    let semel = Semel::builder(memory())
        .tool(["charge"], charge)
        .tool(["refund"], refund)
        .open()
        .await
        .unwrap();
    let charge = Call::new("charge", json!({ "order": "o-7" })).unwrap();
    let charged = semel
        .call(charge, |_| async {
            Outcome::Returned(json!({ "id": "ch_1" }).into())
        })
        .await
        .unwrap();
    assert_eq!(told(&charged), ("executed", 1));
    for id in ["r1", "r2"] {
        let refund = || {
            let part = json!({ "refund_id": id, "charge": "ch_1", "amount": 5 });
            Call::new("refund", part).unwrap()
        };
        for word in ["executed", "replayed"] {
            assert_eq!(told(&land(&semel, refund()).await), (word, 1), "{id}");
        }
    }
}

/// The customer's program lost the answer to its booking, and someone else has cancelled it since. Booking it
/// again unasked would be a second sending.
#[tokio::test]
async fn what_was_undone_before_its_answer_arrived_is_said_to_be_undone() {
    let (semel, house) = (hotel().await, House::default());
    let CallStep::Run(reserving) = semel.begin(reserve()).await.unwrap() else {
        panic!("a run")
    };
    let outcome = house.serve("reserve", &json!({ "guest": "mia" }).into());
    // Its caller drops the answer, so the delivery is never acknowledged.
    drop(reserving.finish(outcome).await.unwrap());
    assert_eq!(
        told(&ask(&semel, &house, cancel("R1")).await),
        ("executed", 1)
    );
    let undone = ask(&semel, &house, reserve()).await;
    assert_eq!(told(&undone), ("replayed", 1));
    let Some(UndoNote::Undone { by, .. }) = undo_note(&undone) else {
        panic!("{undone:?}")
    };
    assert_eq!(by.as_deref(), Some("cancel"));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 2));
}

/// A cancel is several writes: the claim, the mark at the booking, the outcome, the undo at the
/// booking. Whichever of them is lost, a later reader completes it, and no customer gets an answer
/// with a cancelled booking.
#[tokio::test(start_paused = true)]
async fn a_cancel_whose_writes_were_cut_short_is_finished_by_whoever_reads() {
    const CALLS: usize = 16;
    for failure in INJECTED_FAILURES {
        for nth in 0..CALLS {
            let store = failing(nth..usize::MAX, failure);
            let semel = hotel_on(Arc::clone(&store) as Arc<dyn Store>, 0).await;
            let house = House::default();
            ask(&semel, &house, reserve()).await;
            store.count();
            let run = |_| {
                let outcome = house.serve("cancel", &json!({ "id": "R1" }).into());
                async move { outcome }
            };
            let first = semel.call(cancel("R1"), run).await;
            store.heal();
            let case = format!("{failure:?} from call {nth}: {first:?}");
            let recorded = first.as_ref().is_ok_and(|answer| {
                answer.word() == "executed"
                    && matches!(answer.about().unwrap().recorded, RecordStatus::Yes(_))
            });
            let cancelled = house.counts().1 == 1;
            assert!(cancelled || !recorded, "{case}");
            let again = ask(&semel, &house, reserve()).await;
            match again.word() {
                "executed" => assert!(
                    cancelled && again.about().unwrap().generation == 2,
                    "{case}: {again:?}"
                ),
                "replayed" => assert!(!cancelled, "{case}: {again:?}"),
                // The cancel was made and could not be recorded, or is still leased: that is what the answer says.
                "running" | "held" | "in doubt" => assert!(!recorded, "{case}: {again:?}"),
                other => panic!("{case}: {other}"),
            }
        }
    }
}
