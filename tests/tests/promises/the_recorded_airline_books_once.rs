//! A recorded agent books a trip and gets the answer that the amounts do not add up. It pays in
//! another way, and the booking lands. It believes that this failed, too, books the trip again by
//! card, cancels *that* booking, and books a third time. In the end the customer has two
//! reservations and has paid for both. A digest of all arguments would have seen three different
//! calls, because the payments differ, and would have suppressed the one legitimate repeat.

use crate::world::{intent, memory};
use semel::json::JsonValue;
use semel::{
    model::{Answer, Call, Effect, Outcome},
    runtime::{Semel, Ticket},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Mutex};

/// The price of the trip, luggage included.
const PRICE: u64 = 305;

#[derive(Debug, Clone, Deserialize)]
struct Recorded {
    tool: String,
    arguments: Value,
    answer: String,
}

impl Recorded {
    fn call(&self) -> Call {
        Call::new(&self.tool, self.arguments.clone()).unwrap()
    }
}

fn recording() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../../data/airline/paid_twice.json")).unwrap()
}

/// An airline that answers as the recorded one did.
#[derive(Debug, Default)]
struct Airline(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    reservations: Vec<Value>,
    used_certificates: BTreeSet<String>,
    cancellations: usize,
}

impl Airline {
    fn serve(&self, tool: &str, arguments: &Value) -> String {
        let mut books = self.0.lock().unwrap();
        match tool {
            "book_reservation" => books.book(arguments),
            "cancel_reservation" => books.cancel(arguments["reservation_id"].as_str().unwrap()),
            other => panic!("the airline has no `{other}`"),
        }
    }

    /// The reservations that stand.
    fn standing(&self) -> Vec<String> {
        let books = self.0.lock().unwrap();
        let standing = books
            .reservations
            .iter()
            .filter(|reservation| reservation.get("status").is_none());
        standing
            .map(|reservation| reservation["reservation_id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn made(&self) -> usize {
        self.0.lock().unwrap().reservations.len()
    }

    fn cancellations(&self) -> usize {
        self.0.lock().unwrap().cancellations
    }
}

impl Books {
    fn book(&mut self, arguments: &Value) -> String {
        let payments = arguments["payment_methods"].as_array().unwrap();
        let ids = || {
            payments
                .iter()
                .map(|payment| payment["payment_id"].as_str().unwrap())
        };
        if let Some(id) = ids().find(|id| self.used_certificates.contains(*id)) {
            return format!("Error: payment method {id} not found");
        }
        let paid: u64 = payments
            .iter()
            .map(|payment| payment["amount"].as_u64().unwrap())
            .sum();
        if paid != PRICE {
            return format!(
                "Error: payment amount does not add up, total price is {PRICE}, but paid {paid}"
            );
        }
        self.used_certificates.extend(
            ids()
                .filter(|id| id.starts_with("certificate"))
                .map(str::to_owned),
        );
        let id = ["HATHAT", "HATHAU", "HATHAV"][self.reservations.len()];
        let reservation = reservation(id, arguments);
        self.reservations.push(reservation.clone());
        reservation.to_string()
    }

    fn cancel(&mut self, id: &str) -> String {
        let Some(found) = self
            .reservations
            .iter_mut()
            .find(|reservation| reservation["reservation_id"] == id)
        else {
            return "Error: reservation not found".to_owned();
        };
        self.cancellations += 1;
        let paid = found["payment_history"].as_array_mut().unwrap();
        let back = |payment: &Value| json!({ "payment_id": payment["payment_id"], "amount": -payment["amount"].as_i64().unwrap() });
        let backs: Vec<Value> = paid.iter().map(back).collect();
        paid.extend(backs);
        found["status"] = json!("cancelled");
        found.to_string()
    }
}

fn reservation(id: &str, arguments: &Value) -> Value {
    let mut reservation = arguments.clone();
    let fields = reservation.as_object_mut().unwrap();
    let payments = fields.remove("payment_methods").unwrap();
    let legs = [("JFK", "ATL", 152), ("ATL", "SEA", 103)];
    for (flight, (origin, destination, price)) in fields["flights"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .zip(legs)
    {
        flight["origin"] = json!(origin);
        flight["destination"] = json!(destination);
        flight["price"] = json!(price);
    }
    fields.insert("reservation_id".to_owned(), json!(id));
    fields.insert("payment_history".to_owned(), payments);
    fields.insert("created_at".to_owned(), json!("2024-05-15T15:00:00"));
    reservation
}

/// As the handbook of the policy sets an airline up.
async fn guarded() -> Semel {
    let book = json!({
        "operation": "reservation.book",
        "identity": [
            "user_id", "origin", "destination", "cabin",
            { "at": "flights", "as": "set" }, { "at": "passengers", "as": "set" },
        ],
        "content": [{ "at": "payment_methods", "as": "set" }, "total_baggages", "insurance"],
        "handles": ["reservation/{/reservation_id}"],
        "verdict": [
            { "when": { "text": "Error: payment amount does not add up" }, "effect": "absent" },
            { "when": { "text": "Error: payment method" }, "effect": "refused" },
            { "when": { "text": "Error:" }, "effect": "unknown" },
        ],
    });
    let cancel = json!({
        "operation": "reservation.cancel",
        "identity": ["reservation_id"],
        "undoes": ["reservation/{/reservation_id}"],
        "verdict": [{ "when": { "text": "Error: reservation not found" }, "effect": "refused" }],
    });
    Semel::builder(memory())
        .tool(["book_reservation"], intent(book).await)
        .tool(["cancel_reservation"], intent(cancel).await)
        .open()
        .await
        .unwrap()
}

async fn ask(semel: &Semel, airline: &Airline, call: Call) -> Answer {
    let tool = call.tool().to_owned();
    let run = |ticket: Ticket| {
        let answer = airline.serve(&tool, &serde_json::to_value(&ticket.arguments).unwrap());
        async move { Outcome::returned(json!(answer)) }
    };
    semel.call(call, run).await.unwrap()
}

/// The reservation in an outcome.
fn reserved(outcome: Option<&Outcome>) -> Option<String> {
    let Some(Outcome::Returned(JsonValue::String(text))) = outcome else {
        return None;
    };
    let reservation: Value = serde_json::from_str(text).ok()?;
    Some(reservation["reservation_id"].as_str()?.to_owned())
}

fn same(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
    read(one) == read(other)
}

/// The control: without Semel the airline gives the very answers that were recorded, and books three times.
#[test]
fn control_without_semel_it_went_as_recorded() {
    let airline = Airline::default();
    for recorded in recording() {
        let answer = airline.serve(&recorded.tool, &recorded.arguments);
        assert!(
            same(&answer, &recorded.answer),
            "{answer}\n{}",
            recorded.answer
        );
    }
    assert_eq!(
        (airline.made(), airline.standing()),
        (3, vec!["HATHAT".to_owned(), "HATHAV".to_owned()])
    );
}

#[tokio::test]
async fn as_recorded_the_trip_is_booked_once() {
    let (semel, airline) = (guarded().await, Airline::default());
    let mut recorded = recording().into_iter();
    let mut next = || recorded.next().unwrap();

    let failed = next();
    let answer = ask(&semel, &airline, failed.call()).await;
    let Answer::Executed {
        effect: Effect::Absent,
        outcome,
        ..
    } = &answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!(*outcome, Outcome::returned(json!(failed.answer)));

    let landed = ask(&semel, &airline, next().call()).await;
    assert!(
        matches!(
            landed,
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
        ),
        "{landed:?}"
    );
    assert_eq!(reserved(landed.outcome()).as_deref(), Some("HATHAT"));

    for recorded in recorded {
        let answer = ask(&semel, &airline, recorded.call()).await;
        if recorded.tool == "cancel_reservation" {
            let Answer::Executed {
                effect: Effect::Refused,
                ..
            } = answer
            else {
                panic!("{answer:?}")
            };
            continue;
        }
        let Answer::Conflict {
            standing, about, ..
        } = &answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!(standing.handles, ["reservation/HATHAT"]);
        assert_eq!(
            reserved(standing.outcome.as_ref()).as_deref(),
            Some("HATHAT")
        );
        assert_eq!(about.generation, 1);
    }
    assert_eq!((airline.made(), airline.cancellations()), (1, 0));
    assert_eq!(airline.standing(), ["HATHAT"]);
}

/// The agent's intention: cancel the existing booking, and book again.
#[tokio::test]
async fn once_the_booking_that_stands_is_cancelled_the_same_trip_is_a_new_operation() {
    let (semel, airline) = (guarded().await, Airline::default());
    let recording = recording();
    let cancel = || Call::new("cancel_reservation", json!({ "reservation_id": "HATHAT" })).unwrap();
    let last = recording.last().unwrap();
    for recorded in recording.iter().take(2) {
        ask(&semel, &airline, recorded.call()).await;
    }
    assert_eq!(airline.standing(), ["HATHAT"]);

    let cancelled = ask(&semel, &airline, cancel()).await;
    assert!(
        matches!(
            cancelled,
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
        ),
        "{cancelled:?}"
    );

    let again = ask(&semel, &airline, last.call()).await;
    assert!(
        matches!(
            again,
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(again.about().unwrap().generation, 2);
    assert_eq!(airline.standing(), ["HATHAU"]);

    let duplicate = ask(&semel, &airline, cancel()).await;
    assert_eq!(
        (duplicate.word(), reserved(duplicate.outcome()).as_deref()),
        ("replayed", Some("HATHAT"))
    );
    let repeat = ask(&semel, &airline, last.call()).await;
    assert_eq!(
        (repeat.word(), repeat.about().unwrap().generation),
        ("replayed", 2)
    );
    assert_eq!((airline.made(), airline.cancellations()), (2, 1));
}
