//! An order is to be paid, a seller is to receive a share. Stripe makes no difference between a
//! second payment and a repeat of the first, and a model that tries again rephrases the call. Only
//! the order's own number identifies it.

use crate::{
    stripe::{Client, Fault, Stripe, ask, call, host, told},
    world::memory,
};
use semel::model::{Answer, Call, Effect, Run};
use serde_json::{Value, json};

const MADE: [(&str, &str); 4] = [
    ("create_charge", "charge"),
    ("create_payment_intent", "payment_intent"),
    ("create_transfer", "transfer"),
    ("create_payout", "payout"),
];

fn by_order() -> Value {
    json!({ "reference": "/metadata/order_id" })
}

fn payment(tool: &str, order: &str, text: &str) -> Call {
    let arguments = json!({
        "amount": 1000, "currency": "eur", "payment_method": "pm_card", "description": text, "metadata": { "order_id": order },
    });
    call(tool, arguments)
}

fn client(stripe: &Stripe) -> Client {
    Client::of(stripe.url())
}

#[tokio::test]
async fn an_order_is_paid_once_however_often_and_in_whatever_words_it_is_asked_for() {
    for (tool, kind) in MADE {
        let stripe = Stripe::start().await;
        let semel = host(memory(), by_order()).await;
        stripe.next(Fault::ReplyLost);
        let mut words = Vec::new();
        for (order, text) in [
            ("A1", "thanks"),
            ("A1", "thank you"),
            ("A2", "thanks"),
            ("A1", ""),
        ] {
            words.push(
                ask(&semel, payment(tool, order, text), &client(&stripe))
                    .await
                    .word(),
            );
        }
        assert_eq!(
            words,
            ["executed", "replayed", "executed", "replayed"],
            "{tool}"
        );
        assert_eq!(stripe.made(kind), 2, "{tool}");
    }
}

/// The control: without Semel each of them is one more.
#[tokio::test]
async fn control_without_semel_each_repeat_pays_again() {
    for (tool, kind) in MADE {
        let stripe = Stripe::start().await;
        stripe.next(Fault::ReplyLost);
        for _ in 0..2 {
            client(&stripe)
                .unguarded(tool, payment(tool, "A1", "thanks").arguments())
                .await;
        }
        assert_eq!(stripe.made(kind), 2, "{tool}");
    }
}

#[tokio::test]
async fn what_nothing_tells_from_a_second_one_is_not_sent() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    let answer = ask(
        &semel,
        payment("create_payment_intent", "A1", "thanks"),
        &client(&stripe),
    )
    .await;
    assert!(
        matches!(&answer, Answer::Refused { reason, .. } if reason.contains("reference")),
        "{answer:?}"
    );
    assert_eq!(stripe.keys().len(), 0);
}

#[tokio::test]
async fn the_same_coffee_is_paid_again_in_another_run() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({ "without_reference": "run" })).await;
    let coffee = |run: &str| {
        let call = call(
            "create_charge",
            json!({ "amount": 300, "currency": "eur", "customer": "cus_1" }),
        );
        call.in_run(Run::new(run).unwrap())
    };
    let mut words = Vec::new();
    for run in ["monday", "monday", "tuesday"] {
        words.push(ask(&semel, coffee(run), &client(&stripe)).await.word());
    }
    assert_eq!(
        (words, stripe.made("charge")),
        (vec!["executed", "replayed", "executed"], 2)
    );
}

/// Stripe would repeat the decline under the old key for a day.
#[tokio::test]
async fn a_card_that_was_declined_makes_way_for_another_card_under_another_key() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    let confirm = |card: &str| {
        call(
            "confirm_payment_intent",
            json!({ "payment_intent": "pi_1", "payment_method": card }),
        )
    };
    stripe.next(Fault::Declined);
    let declined = ask(&semel, confirm("pm_empty"), &client(&stripe)).await;
    assert!(
        matches!(
            declined,
            Answer::Executed {
                effect: Effect::Refused,
                ..
            }
        ),
        "{declined:?}"
    );
    assert_eq!(
        ask(&semel, confirm("pm_empty"), &client(&stripe))
            .await
            .word(),
        "replayed"
    );
    assert_eq!(
        told(&ask(&semel, confirm("pm_full"), &client(&stripe)).await),
        ("executed", Some("pi_1"))
    );
    let keys = stripe.keys();
    assert_eq!(
        (keys.len(), keys[0] == keys[1], stripe.made("completion")),
        (2, false, 1)
    );
}

/// The decline was not heard; asked again, Stripe repeats it. It is most likely that nothing was paid, and a later answer
/// is no proof of what became of an earlier sending: a person reads both, and decides.
#[tokio::test]
async fn a_decline_that_was_not_heard_is_shown_to_a_person() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), by_order()).await;
    stripe.next(Fault::DeclineLost);
    let held = ask(
        &semel,
        payment("create_charge", "A1", "thanks"),
        &client(&stripe),
    )
    .await;
    let Answer::Held { reason, .. } = &held else {
        panic!("{held:?}")
    };
    assert!(reason.contains("card_declined"), "{reason}");
    assert_eq!(
        (stripe.made("charge"), stripe.statuses()),
        (0, vec![402, 402])
    );
    assert_eq!(
        ask(
            &semel,
            payment("create_charge", "A1", "thanks"),
            &client(&stripe)
        )
        .await
        .word(),
        "held"
    );
    assert_eq!(stripe.statuses().len(), 2);
}

#[tokio::test]
async fn an_order_whose_payment_was_cancelled_may_be_paid_anew() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), by_order()).await;
    let pay = || payment("create_payment_intent", "A1", "thanks");
    assert_eq!(
        told(&ask(&semel, pay(), &client(&stripe)).await),
        ("executed", Some("pi_new_1"))
    );
    let cancel = || {
        call(
            "cancel_payment_intent",
            json!({ "payment_intent": "pi_new_1" }),
        )
    };
    for word in ["executed", "replayed"] {
        assert_eq!(ask(&semel, cancel(), &client(&stripe)).await.word(), word);
    }
    let anew = ask(&semel, pay(), &client(&stripe)).await;
    assert_eq!(
        (told(&anew), anew.about().unwrap().generation),
        (("executed", Some("pi_new_2")), 2)
    );
    assert_eq!(
        (stripe.made("payment_intent"), stripe.made("cancellation")),
        (2, 1)
    );
}
