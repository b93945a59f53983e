//! The fake server of the other stories is ours, and may share our mistakes. localstripe has
//! another author, who did not know Semel: a policy for Stripe must understand its requests,
//! objects and errors. It has no idempotency keys, so nothing may be sent again in doubt here.

use crate::{
    stripe::{LocalStripe, ask, call, host, told},
    world::memory,
};
use semel::model::{Answer, Call, Effect, Outcome};
use serde_json::{Value, json};

fn refund(charge: &str, amount: u32) -> Call {
    call(
        "create_refund",
        json!({ "charge": charge, "amount": amount }),
    )
}

fn refused(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Executed {
            effect: Effect::Refused,
            ..
        }
    )
}

#[tokio::test]
async fn a_refund_is_made_once_and_its_repeats_are_replayed() {
    let stripe = LocalStripe::start();
    let (semel, charge) = (host(memory(), json!({})).await, stripe.charge().await);
    let first = ask(&semel, refund(&charge, 1000), &stripe.client).await;
    assert!(
        matches!(
            first,
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
        ),
        "{first:?}"
    );
    let again = ask(&semel, refund(&charge, 1000), &stripe.client).await;
    assert_eq!(told(&again), ("replayed", told(&first).1));
    assert_eq!(
        ask(&semel, refund(&charge, 900), &stripe.client)
            .await
            .word(),
        "conflict"
    );
    assert_eq!(stripe.given_back(&charge).await, (1000, 1));
}

/// The control: without Semel the repeat gives back as much again.
#[tokio::test]
async fn control_without_semel_the_repeat_refunds_again() {
    let stripe = LocalStripe::start();
    let charge = stripe.charge().await;
    for _ in 0..2 {
        stripe
            .client
            .unguarded("create_refund", refund(&charge, 1000).arguments())
            .await;
    }
    assert_eq!(stripe.given_back(&charge).await, (2000, 2));
}

/// The answer is lost between tool and host. The operator said that this Stripe knows no keys, so a person decides.
#[tokio::test]
async fn where_no_key_is_known_a_lost_answer_is_held() {
    let stripe = LocalStripe::start();
    let (semel, charge) = (
        host(memory(), json!({ "key": "none" })).await,
        stripe.charge().await,
    );
    for _ in 0..2 {
        let answer = semel
            .call(refund(&charge, 1000), |ticket| {
                let client = stripe.client.clone();
                async move {
                    client.guarded("create_refund", &ticket).await;
                    Outcome::no_answer("the answer was lost")
                }
            })
            .await
            .unwrap();
        assert_eq!(answer.word(), "held", "{answer:?}");
    }
    assert_eq!(stripe.given_back(&charge).await, (1000, 1));
}

#[tokio::test]
async fn what_it_turns_away_is_refused_and_nothing_is_given_back() {
    let stripe = LocalStripe::start();
    let (semel, charge) = (
        host(memory(), json!({ "tools": { "peek": "read" } })).await,
        stripe.charge().await,
    );
    let unknown = ask(&semel, refund("ch_none", 1000), &stripe.client).await;
    assert!(refused(&unknown), "{unknown:?}");
    assert_eq!(
        ask(&semel, refund("ch_none", 1000), &stripe.client)
            .await
            .word(),
        "replayed"
    );
    let invalid = ask(&semel, refund(&charge, 0), &stripe.client).await;
    assert!(refused(&invalid), "{invalid:?}");
    let corrected = ask(&semel, refund(&charge, 700), &stripe.client).await;
    assert_eq!(
        (corrected.word(), stripe.given_back(&charge).await),
        ("executed", (700, 1))
    );
}

fn payment(order: &str, card: &str) -> Call {
    let arguments: Value = json!({
        "amount": 5000, "currency": "eur", "payment_method": card, "confirm": true, "metadata": { "order_id": order },
    });
    call("create_payment_intent", arguments)
}

#[tokio::test]
async fn an_order_is_paid_once_and_a_declined_card_makes_way_for_another() {
    let stripe = LocalStripe::start();
    let semel = host(memory(), json!({ "reference": "/metadata/order_id" })).await;
    let (empty, full) = (
        stripe.card("4000000000000341").await,
        stripe.card("4242424242424242").await,
    );
    let declined = ask(&semel, payment("A1", &empty), &stripe.client).await;
    assert!(refused(&declined), "{declined:?}");
    let paid = ask(&semel, payment("A1", &full), &stripe.client).await;
    assert!(
        matches!(
            paid,
            Answer::Executed {
                effect: Effect::Landed,
                ..
            }
        ),
        "{paid:?}"
    );
    assert_eq!(
        told(&ask(&semel, payment("A1", &full), &stripe.client).await),
        ("replayed", told(&paid).1)
    );
    let charges = stripe.client.shown("/v1/charges").await;
    let taken = charges["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|charge| charge["status"] == "succeeded")
        .count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn an_authorised_payment_is_captured_or_cancelled_once() {
    let stripe = LocalStripe::start();
    let semel = host(memory(), json!({ "reference": "/metadata/order_id" })).await;
    let card = stripe.card("4242424242424242").await;
    let hold = async |order: &str| {
        let mut arguments = payment(order, &card).arguments().clone();
        arguments.insert("capture_method".to_owned(), "manual".into());
        let held = ask(
            &semel,
            call(
                "create_payment_intent",
                serde_json::to_value(&arguments).unwrap(),
            ),
            &stripe.client,
        )
        .await;
        told(&held)
            .1
            .unwrap_or_else(|| panic!("{held:?}"))
            .to_owned()
    };
    let (first, second) = (hold("A1").await, hold("A2").await);
    let captured = ask(
        &semel,
        call("capture_payment_intent", json!({ "payment_intent": first })),
        &stripe.client,
    )
    .await;
    assert_eq!(told(&captured), ("executed", Some(first.as_str())));
    let cancel = || call("cancel_payment_intent", json!({ "payment_intent": second }));
    for word in ["executed", "replayed"] {
        assert_eq!(
            told(&ask(&semel, cancel(), &stripe.client).await),
            (word, Some(second.as_str()))
        );
    }
    assert_ne!(
        hold("A2").await,
        second,
        "what was cancelled may be made anew"
    );
}
