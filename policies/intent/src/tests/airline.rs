//! A recorded agent books one trip again and again; its payments differ, its trip does not.

use semel_guest::{Effect, json};

use super::*;

fn booking() -> Intent {
    policy(json!({
        "operation": "reservation.book",
        "identity": [
            "user_id", "origin", "destination", "cabin",
            { "at": "flights", "as": "set" },
            { "at": "passengers", "as": "set" },
        ],
        "content": ["total_baggages", "insurance", { "at": "payment_methods", "as": "set" }],
        "window": "30d",
        "handles": ["reservation/{/reservation_id}"],
        "verdict": [
            { "when": { "text": "Error: payment amount does not add up" }, "effect": "absent", "reason": "nothing was booked" },
            { "when": { "text": "Error: payment method" }, "effect": "refused" },
            { "when": { "text": "Error:" }, "effect": "unknown" },
        ],
    }))
}

fn cancelling() -> Intent {
    policy(json!({
        "operation": "reservation.cancel",
        "identity": ["reservation_id"],
        "undoes": ["reservation/{/reservation_id}"],
        "verdict": [{ "when": { "at": "status", "is": "cancelled" }, "effect": "landed" }],
    }))
}

fn book(payments: Value) -> Call {
    let flights = json!([{ "flight_number": "HAT136", "date": "2024-05-20" }, { "flight_number": "HAT039", "date": "2024-05-20" }]);
    Call::new(
        "book_reservation",
        json!({
            "user_id": "mia_li_3668", "origin": "JFK", "destination": "SEA", "flight_type": "one_way", "cabin": "economy",
            "flights": flights, "passengers": [{ "first_name": "Mia", "last_name": "Li", "dob": "1990-04-05" }],
            "payment_methods": payments, "total_baggages": 3, "nonfree_baggages": 1, "insurance": "no",
        }),
    )
}

#[test]
fn the_same_trip_paid_otherwise_is_the_same_operation_with_other_content() {
    let policy = booking();
    let certificates = operation(
        &policy,
        &book(json!([{ "payment_id": "certificate_7504069", "amount": 250 }])),
    );
    let card = operation(
        &policy,
        &book(json!([{ "payment_id": "credit_card_4421486", "amount": 305 }])),
    );
    assert_eq!(certificates.identity, card.identity);
    assert_ne!(certificates.content, card.content);
}

#[test]
fn the_order_of_flights_does_not_make_another_trip() {
    let policy = booking();
    let mut turned = json!({});
    book(json!([]))
        .arguments()
        .unwrap()
        .clone_into(turned.as_object_mut().unwrap());
    let Some(Value::Array(flights)) = turned.get_mut("flights") else {
        panic!("a list of flights")
    };
    flights.reverse();
    let turned = Call::new("book_reservation", turned);
    assert_eq!(
        operation(&policy, &turned).identity,
        operation(&policy, &book(json!([]))).identity
    );
}

#[test]
fn amounts_that_do_not_add_up_booked_nothing() {
    let error = "Error: payment amount does not add up, total price is 305, but paid 255";
    for outcome in [
        Outcome::returned(error),
        semel_guest::Failure::new(error).into(),
    ] {
        let verdict = judged(&booking(), &book(json!([])), outcome);
        assert_eq!(
            (verdict.effect, verdict.reason.as_str()),
            (Effect::Absent, "nothing was booked")
        );
    }
}

#[test]
fn a_missing_payment_method_was_refused_and_another_error_tells_nothing() {
    let effect = |text: &str| judged(&booking(), &book(json!([])), Outcome::returned(text)).effect;
    assert_eq!(
        effect("Error: payment method certificate_7504069 not found"),
        Effect::Refused
    );
    assert_eq!(effect("Error: the airline is on fire"), Effect::Unknown);
}

#[test]
fn what_landed_has_a_name_by_which_the_cancel_undoes_it() {
    let reservation = json!({ "reservation_id": "HATHAT", "user_id": "mia_li_3668" });
    for answer in [reservation.clone(), json!(reservation.to_string())] {
        let verdict = judged(&booking(), &book(json!([])), Outcome::returned(answer));
        assert_eq!(
            (verdict.effect, verdict.handles),
            (Effect::Landed, vec!["reservation/HATHAT".to_owned()])
        );
    }
    let cancel = operation(
        &cancelling(),
        &Call::new("cancel_reservation", json!({ "reservation_id": "HATHAT" })),
    );
    assert_eq!(cancel.undoes, ["reservation/HATHAT"]);
}
