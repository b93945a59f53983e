//! A customer books, cancels, and books the same again. To a key made of the arguments the last call is a repeat of the
//! first, and the customer stays at home. To a key made afresh it is new, and so would a retry have been.

use crate::world::{intent, memory, policy};
use semel::{
    runtime::{Begun, Semel, Tool},
    words::{Answer, Call, Outcome},
};
use serde_json::{Value, json};
use std::sync::Mutex;

/// A house with one room, that counts.
#[derive(Default)]
struct House {
    reserved: Mutex<Vec<String>>,
    cancelled: Mutex<Vec<String>>,
}

impl House {
    fn serve(&self, tool: &str, arguments: &Value) -> Outcome {
        if tool == "reserve" {
            let mut reserved = self.reserved.lock().unwrap();
            let id = format!("R{}", reserved.len() + 1);
            reserved.push(id.clone());
            return Outcome::Returned(json!({ "id": id }));
        }
        let id = arguments["id"].as_str().unwrap().to_owned();
        self.cancelled.lock().unwrap().push(id.clone());
        Outcome::Returned(json!({ "id": id, "status": "cancelled" }))
    }

    fn counts(&self) -> (usize, usize) {
        (self.reserved.lock().unwrap().len(), self.cancelled.lock().unwrap().len())
    }
}

async fn hotel() -> Semel {
    let reserve =
        intent(json!({ "operation": "reserve", "identity": ["guest"], "handles": ["reservation/{/id}"] })).await;
    let cancel = json!({ "operation": "cancel", "identity": ["id"], "undoes": ["reservation/{/id}"] });
    let cancel = Tool { name_space: reserve.name_space.clone(), ..Tool::new(policy("intent", cancel).await) };
    Semel::builder(memory()).tool(["reserve"], reserve).tool(["cancel"], cancel).open().await.unwrap()
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
        let outcome = house.serve(&tool, &Value::Object(ticket.arguments));
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
    assert_eq!(told(&ask(&semel, &house, cancel("R1")).await), ("executed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 2));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 2));
    assert_eq!(house.counts(), (2, 1));
}

/// The control: without the word that the cancel undoes the reservation, the second booking never happens.
#[tokio::test]
async fn control_without_undoes_the_second_booking_is_taken_for_a_repeat() {
    let reserve_tool = intent(json!({ "operation": "reserve", "identity": ["guest"] })).await;
    let cancel_tool = intent(json!({ "operation": "cancel", "identity": ["id"] })).await;
    let semel =
        Semel::builder(memory()).tool(["reserve"], reserve_tool).tool(["cancel"], cancel_tool).open().await.unwrap();
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
    assert_eq!(told(&ask(&semel, &house, cancel("R1")).await), ("replayed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 2));
    assert_eq!(house.counts(), (2, 1));
    assert_eq!(told(&ask(&semel, &house, cancel("R2")).await), ("executed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 3));
}

#[tokio::test]
async fn while_the_cancel_is_under_way_nobody_books_again() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    let Begun::Run(cancelling) = semel.begin(cancel("R1")).await.unwrap() else { panic!("a run") };
    let waiting = tokio::spawn({
        let semel = semel.clone();
        async move { semel.begin(reserve()).await.unwrap() }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    let outcome = house.serve("cancel", &json!({ "id": "R1" }));
    assert_eq!(cancelling.finish(outcome).await.unwrap().answer.word(), "executed");
    let Begun::Run(again) = waiting.await.unwrap() else { panic!("a run") };
    let outcome = house.serve("reserve", &json!({}));
    assert_eq!(told(&again.finish(outcome).await.unwrap().answer), ("executed", 2));
}

#[tokio::test]
async fn a_cancel_in_doubt_leaves_the_booking_to_a_person() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    let doubt = semel.call(cancel("R1"), |_| async { Outcome::no_answer("timed out") }).await.unwrap();
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
    let failed = semel.call(cancel("R1"), |_| async { Outcome::not_sent("connection refused") }).await.unwrap();
    assert_eq!(failed.word(), "executed", "{failed:?}");
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
    assert_eq!(told(&ask(&semel, &house, cancel("R1")).await), ("executed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("executed", 2));
}

#[tokio::test]
async fn what_nobody_booked_through_semel_can_be_cancelled_and_undoes_nothing() {
    let (semel, house) = (hotel().await, House::default());
    ask(&semel, &house, reserve()).await;
    assert_eq!(told(&ask(&semel, &house, cancel("X9")).await), ("executed", 1));
    assert_eq!(told(&ask(&semel, &house, reserve()).await), ("replayed", 1));
}
