//! The customer is to get 10.00 back. Stripe gives it back, the reply is lost, and the agent tries again. Stripe's library
//! puts a random key on every request, so to Stripe the second is a new one: the customer gets 20.00.

use crate::{
    stripe::{Client, Days, Fault, Stripe, ask, call, host, impatient, refund, told},
    world::{file, memory},
};
use semel::{
    model::{Answer, Effect, Outcome},
    runtime::CallStep,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, future::pending, time::Duration};

fn client(stripe: &Stripe) -> Client {
    Client::of(stripe.url())
}

fn effect(answer: &Answer) -> Effect {
    match answer {
        Answer::Executed { effect, .. } | Answer::Replayed { effect, .. } => *effect,
        other => panic!("settled, not {other:?}"),
    }
}

fn reason(answer: &Answer) -> &str {
    match answer {
        Answer::Held { reason, .. } | Answer::InDoubt { reason, .. } => reason,
        other => panic!("in doubt or held, not {other:?}"),
    }
}

/// The control: without Semel every repeat is a refund, as far as the money goes.
#[tokio::test]
async fn control_without_semel_a_lost_reply_refunds_twice() {
    let stripe = Stripe::start().await;
    stripe.next(Fault::ReplyLost);
    let arguments = refund().arguments().clone();
    let lost = client(&stripe).unguarded("create_refund", &arguments).await;
    assert!(matches!(lost, Outcome::Unanswered(_)), "{lost:?}");
    assert!(matches!(
        client(&stripe).unguarded("create_refund", &arguments).await,
        Outcome::Returned(_)
    ));
    assert_eq!(stripe.made("refund"), 2);
}

#[tokio::test]
async fn a_reply_that_was_lost_is_had_again_under_the_same_key() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    stripe.next(Fault::ReplyLost);
    let answer = ask(&semel, refund(), &client(&stripe)).await;
    assert_eq!(
        (told(&answer), answer.about().unwrap().attempt),
        (("executed", Some("re_1")), 2)
    );
    assert_eq!(
        told(&ask(&semel, refund(), &client(&stripe)).await),
        ("replayed", Some("re_1"))
    );
    assert_eq!((stripe.made("refund"), stripe.keys().len()), (1, 2));
}

#[tokio::test]
async fn a_request_that_was_lost_is_sent_again() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    stripe.next(Fault::RequestLost);
    assert_eq!(
        told(&ask(&semel, refund(), &client(&stripe)).await),
        ("executed", Some("re_1"))
    );
    assert_eq!(stripe.made("refund"), 1);
}

/// Each request of the library had a random key on it, in a spelling of its own: what Stripe saw is Semel's, alone.
#[tokio::test]
async fn the_key_of_the_library_never_reaches_stripe() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    for fault in [Fault::ReplyLost, Fault::ReplyLost] {
        stripe.next(fault);
    }
    let answer = ask(&semel, refund(), &client(&stripe)).await;
    let keys: BTreeSet<_> = stripe.keys().into_iter().map(Option::unwrap).collect();
    assert_eq!(keys, BTreeSet::from([answer.about().unwrap().key.clone()]));
    assert_eq!((stripe.keys().len(), stripe.made("refund")), (3, 1));
}

#[tokio::test]
async fn another_amount_is_a_conflict_and_not_a_second_refund() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    ask(&semel, refund(), &client(&stripe)).await;
    let more = call(
        "create_refund",
        json!({ "payment_intent": "pi_1", "amount": 1100 }),
    );
    let answer = ask(&semel, more, &client(&stripe)).await;
    let Answer::Conflict { standing, .. } = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (standing.handles.as_slice(), stripe.made("refund")),
        (&["refund/re_1".to_owned()][..], 1)
    );
}

#[tokio::test]
async fn two_equal_refunds_that_are_both_meant_are_told_apart_by_a_reference() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({ "reference": "/metadata/return_id" })).await;
    let part = |id| {
        call(
            "create_refund",
            json!({ "payment_intent": "pi_1", "amount": 1000, "metadata": { "return_id": id } }),
        )
    };
    let mut words = Vec::new();
    for id in ["R1", "R2", "R1", "R2"] {
        words.push(ask(&semel, part(id), &client(&stripe)).await.word());
    }
    assert_eq!(words, ["executed", "executed", "replayed", "replayed"]);
    assert_eq!(stripe.made("refund"), 2);
    let nameless = ask(&semel, refund(), &client(&stripe)).await;
    assert_eq!((nameless.word(), stripe.made("refund")), ("refused", 2));
}

/// Stripe records a 500 and repeats it. A third request gives no new information, and a request
/// under a new key could refund a second time.
#[tokio::test]
async fn a_500_that_stripe_repeats_is_held_whether_it_took_effect_or_not() {
    for (fault, effects) in [(Fault::FailsAfter, 1), (Fault::FailsBefore, 0)] {
        let stripe = Stripe::start().await;
        let semel = host(memory(), json!({})).await;
        stripe.next(fault);
        let held = ask(&semel, refund(), &client(&stripe)).await;
        assert_eq!(held.word(), "held", "{fault:?}: {held:?}");
        assert!(reason(&held).contains("keeps this answer"), "{held:?}");
        assert_eq!(
            (stripe.made("refund"), stripe.statuses()),
            (effects, vec![500, 500]),
            "{fault:?}"
        );
        assert_eq!(ask(&semel, refund(), &client(&stripe)).await.word(), "held");
        assert_eq!(
            (stripe.made("refund"), stripe.keys().len()),
            (effects, 2),
            "{fault:?}"
        );
    }
}

/// A 503 comes from before Stripe: nothing is kept, and the next under the same key is the first.
#[tokio::test]
async fn a_server_that_was_not_reached_is_asked_again() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    for fault in [Fault::NotReached, Fault::NotReached] {
        stripe.next(fault);
    }
    assert_eq!(
        told(&ask(&semel, refund(), &client(&stripe)).await),
        ("executed", Some("re_1"))
    );
    assert_eq!(
        (stripe.made("refund"), stripe.statuses()),
        (1, vec![503, 503, 200])
    );
}

/// The control: a client that takes a 500 for a failure and repeats it under a new key refunds
/// twice.
#[tokio::test]
async fn control_a_500_taken_for_a_failure_refunds_twice() {
    let stripe = Stripe::start().await;
    stripe.next(Fault::FailsAfter);
    let arguments = refund().arguments().clone();
    for _ in 0..2 {
        client(&stripe).unguarded("create_refund", &arguments).await;
    }
    assert_eq!(stripe.made("refund"), 2);
}

/// The first request is still in progress at Stripe when its sender gives up. Stripe refuses the
/// repeat with 409, and answers the next one as the first.
#[tokio::test]
async fn a_request_that_is_still_under_way_is_asked_about_until_it_is_done() {
    let (stripe, store) = (Stripe::start().await, memory());
    let hasty = client(&stripe).that_waits(Duration::from_millis(300));
    stripe.pause();
    assert_eq!(
        ask(&impatient(store.clone(), json!({})).await, refund(), &hasty)
            .await
            .word(),
        "in doubt"
    );
    let (semel, patient) = (host(store, json!({})).await, client(&stripe));
    let (answer, ()) = tokio::join!(ask(&semel, refund(), &patient), async {
        // Longer than it takes to be turned away, and than a repeat needs that is not.
        for _ in 0..500 {
            if stripe.statuses() == [409] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stripe.go_on();
    });
    assert_eq!(
        (told(&answer), answer.about().unwrap().attempt),
        (("executed", Some("re_1")), 3)
    );
    assert_eq!(
        (stripe.made("refund"), stripe.statuses()),
        (1, vec![409, 200, 200])
    );
}

async fn in_doubt(days: &Days) {
    let semel = impatient(days.store.clone(), json!({})).await;
    days.stripe.next(Fault::ReplyLost);
    assert_eq!(
        ask(&semel, refund(), &client(&days.stripe)).await.word(),
        "in doubt"
    );
    assert_eq!(days.stripe.made("refund"), 1);
}

#[tokio::test]
async fn after_23_hours_stripe_still_knows_the_key() {
    let days = Days::begin().await;
    in_doubt(&days).await;
    days.pass_hours(23);
    let semel = host(days.store.clone(), json!({})).await;
    let answer = ask(&semel, refund(), &client(&days.stripe)).await;
    assert_eq!(
        (told(&answer), days.stripe.made("refund")),
        (("executed", Some("re_1")), 1)
    );
}

#[tokio::test]
async fn after_25_hours_it_is_held_and_never_sent_again() {
    let days = Days::begin().await;
    in_doubt(&days).await;
    days.pass_hours(25);
    let semel = host(days.store.clone(), json!({})).await;
    for _ in 0..2 {
        assert_eq!(
            ask(&semel, refund(), &client(&days.stripe)).await.word(),
            "held"
        );
        days.pass_hours(24 * 40);
    }
    assert_eq!(
        (days.stripe.made("refund"), days.stripe.keys().len()),
        (1, 1)
    );
}

/// The control: after a day the very same request under the very same key is a new one.
#[tokio::test]
async fn control_the_same_key_after_25_hours_refunds_twice() {
    let days = Days::begin().await;
    let arguments = refund().arguments().clone();
    for (hours, refunds) in [(0, 1), (23, 1), (2, 2)] {
        days.pass_hours(hours);
        client(&days.stripe)
            .under_key("the-same", "create_refund", &arguments)
            .await;
        assert_eq!(
            days.stripe.made("refund"),
            refunds,
            "after {hours} hours more"
        );
    }
}

#[tokio::test]
async fn a_host_that_dies_after_the_refund_leaves_a_file_from_which_another_settles_it() {
    let stripe = Stripe::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = host(file(&path), json!({})).await;
    let run = |ticket: semel::runtime::Ticket| {
        let client = client(&stripe);
        async move {
            client.guarded("create_refund", &ticket).await;
            pending::<Outcome>().await
        }
    };
    let cut = tokio::time::timeout(Duration::from_secs(2), first.call(refund(), run)).await;
    assert!(cut.is_err());
    drop(first);
    let second = host(file(&path), json!({})).await;
    let answer = ask(&second, refund(), &client(&stripe)).await;
    assert_eq!(
        (told(&answer), answer.about().unwrap().attempt),
        (("executed", Some("re_1")), 2)
    );
    let third = host(file(&path), json!({})).await;
    assert_eq!(
        told(&ask(&third, refund(), &client(&stripe)).await),
        ("replayed", Some("re_1"))
    );
    assert_eq!((stripe.made("refund"), stripe.keys().len()), (1, 2));
}

/// Another request used the key. That request may have taken effect, so the error proves nothing.
#[tokio::test]
async fn a_key_that_stands_for_another_request_leaves_it_to_a_person() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    let CallStep::Run(started) = semel.begin(refund()).await.unwrap() else {
        panic!("a run")
    };
    let key = started.ticket.key.clone().unwrap();
    let other = call(
        "create_refund",
        json!({ "payment_intent": "pi_1", "amount": 700 }),
    );
    client(&stripe)
        .under_key(&key, "create_refund", other.arguments())
        .await;
    let outcome = client(&stripe)
        .guarded("create_refund", &started.ticket)
        .await;
    let answer = started.finish(outcome).await.unwrap().answer;
    assert_eq!(answer.word(), "held", "{answer:?}");
    assert!(reason(&answer).contains("other parameters"), "{answer:?}");
    assert_eq!(ask(&semel, refund(), &client(&stripe)).await.word(), "held");
    assert_eq!(stripe.keys().len(), 2);
}

/// In doubt the recorded call is sent, in its own words: under the same key Stripe would answer another wording with an
/// error.
#[tokio::test]
async fn a_reworded_call_sends_the_recorded_words_in_doubt() {
    let (stripe, store) = (Stripe::start().await, memory());
    let semel = impatient(store.clone(), json!({})).await;
    let worded = |text: &str| {
        call(
            "create_refund",
            json!({ "payment_intent": "pi_1", "amount": 1000, "reason": text }),
        )
    };
    stripe.next(Fault::ReplyLost);
    ask(&semel, worded("duplicate"), &client(&stripe)).await;
    let reworded = worded("requested_by_customer");
    assert_eq!(
        ask(&semel, reworded.clone(), &client(&stripe)).await.word(),
        "in doubt"
    );
    let patient = host(store, json!({})).await;
    let answer = ask(&patient, reworded, &client(&stripe)).await;
    assert_eq!(told(&answer), ("executed", Some("re_1")));
    let keys = stripe.keys();
    assert_eq!((stripe.made("refund"), keys.len()), (1, 2));
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn what_was_turned_away_before_anything_was_done_is_sent_under_the_same_key() {
    for fault in [Fault::Limited, Fault::Locked] {
        let days = Days::begin().await;
        let stripe = &days.stripe;
        let semel = host(days.store.clone(), json!({})).await;
        stripe.next(fault);
        let first = ask(&semel, refund(), &client(stripe)).await;
        assert_eq!(effect(&first), Effect::Absent, "{fault:?}: {first:?}");
        let too_early = ask(&semel, refund(), &client(stripe)).await;
        assert_eq!(too_early.word(), "replayed", "{fault:?}");
        days.pass(Duration::from_secs(3));
        assert_eq!(
            told(&ask(&semel, refund(), &client(stripe)).await),
            ("executed", Some("re_1")),
            "{fault:?}"
        );
        assert_eq!(
            (stripe.keys()[0] == stripe.keys()[1], stripe.made("refund")),
            (true, 1),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn what_was_not_admitted_is_soon_tried_again() {
    let days = Days::begin().await;
    let semel = host(days.store.clone(), json!({})).await;
    days.stripe.next(Fault::NotAdmitted);
    let first = ask(&semel, refund(), &client(&days.stripe)).await;
    assert_eq!(
        (first.word(), effect(&first)),
        ("executed", Effect::Refused)
    );
    assert_eq!(
        ask(&semel, refund(), &client(&days.stripe)).await.word(),
        "replayed"
    );
    days.pass(Duration::from_secs(61));
    assert_eq!(
        told(&ask(&semel, refund(), &client(&days.stripe)).await),
        ("executed", Some("re_1"))
    );
}

/// Under the old key Stripe would repeat the refusal for a day.
#[tokio::test]
async fn a_refund_that_failed_at_once_is_made_later_under_another_key() {
    let days = Days::begin().await;
    let semel = host(days.store.clone(), json!({})).await;
    days.stripe.next(Fault::RefundFails);
    let failed = ask(&semel, refund(), &client(&days.stripe)).await;
    assert_eq!(
        (failed.word(), effect(&failed), days.stripe.made("refund")),
        ("executed", Effect::Refused, 0)
    );
    days.pass(Duration::from_secs(601));
    assert_eq!(
        told(&ask(&semel, refund(), &client(&days.stripe)).await),
        ("executed", Some("re_1"))
    );
    let keys = days.stripe.keys();
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn what_stripe_says_is_wrong_with_a_call_is_told_and_a_better_call_is_sent() {
    let stripe = Stripe::start().await;
    let semel = host(memory(), json!({})).await;
    let of = |amount: Value| {
        call(
            "create_refund",
            json!({ "payment_intent": "pi_1", "amount": amount }),
        )
    };
    let too_much = ask(&semel, of(json!(9000)), &client(&stripe)).await;
    assert_eq!(
        (too_much.word(), effect(&too_much)),
        ("executed", Effect::Refused)
    );
    assert_eq!(
        ask(&semel, of(json!(9000)), &client(&stripe)).await.word(),
        "replayed"
    );
    assert_eq!(
        told(&ask(&semel, of(json!(5000)), &client(&stripe)).await),
        ("executed", Some("re_1"))
    );
    assert_eq!(stripe.made("refund"), 1);
}

#[tokio::test]
async fn a_tool_that_nobody_knows_sends_nothing() {
    let semel = host(memory(), json!({})).await;
    let answer = semel
        .call(
            call("stripe_magic", json!({ "payment_intent": "pi_1" })),
            |_| async { panic!("it ran") },
        )
        .await
        .unwrap();
    assert!(
        matches!(&answer, Answer::Refused { reason, .. } if reason.contains("stripe_magic")),
        "{answer:?}"
    );
}
