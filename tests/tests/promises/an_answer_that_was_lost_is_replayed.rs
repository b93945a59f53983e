//! The policy does not know what two calls of this tool have in common, so equal calls are the same
//! operation. An agent that posts "ok" and later intends to post "ok" again must not be silenced.
//! An agent whose answer was lost, and which repeats the call, must not post twice. Only the
//! delivery of the answer distinguishes the two.

use crate::world::{Bank, ask, ask_in_vain, charge, host, intent, memory, policy, told, with};
use semel::{
    model::{Answer, Call, Outcome, Run, UnguardedReason},
    runtime::{CallStep, Semel, Tool},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

async fn hinted() -> Semel {
    host(memory(), Tool::new(policy("hints", json!({})).await)).await
}

fn generation(answer: &Answer) -> u32 {
    answer.about().unwrap().generation
}

#[tokio::test]
async fn who_took_the_answer_and_calls_again_means_it() {
    let (semel, bank) = (hinted().await, Bank::plain());
    for round in 1..=5 {
        let answer = ask(&semel, charge(), &bank).await;
        assert_eq!((answer.word(), generation(&answer)), ("executed", round));
    }
    assert_eq!(bank.charges(), 5);
}

/// The control: where the same operation lasts for its window, taking the answer frees nothing.
#[tokio::test]
async fn control_what_lasts_for_a_window_is_replayed_however_often_it_was_taken() {
    let settings = json!({ "identity": ["order_id", "amount", "note"] });
    let (semel, bank) = (host(memory(), intent(settings).await).await, Bank::plain());
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "executed");
    assert_eq!(ask_in_vain(&semel, charge()).await.word(), "replayed");
}

#[tokio::test]
async fn an_answer_that_nobody_took_is_replayed() {
    let (semel, bank) = (hinted().await, Bank::plain());
    let CallStep::Run(started) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
    let outcome = bank.serve(&started.ticket);
    // The door that was to pass the answer on does not say that it did.
    let (lost, _) = started.finish(outcome).await.unwrap().into_parts();
    assert_eq!(lost.word(), "executed");
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
    // The replay was delivered: from now on an equal call is a new operation.
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_2"))
    );
}

#[tokio::test]
async fn who_waited_for_an_outcome_gets_it_even_if_another_took_it_first() {
    let (semel, bank) = (hinted().await, Bank::plain());
    let run = |ticket| {
        let outcome = bank.serve(&ticket);
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            outcome
        }
    };
    let (one, other) = tokio::join!(semel.call(charge(), run), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ask_in_vain(&semel, charge()).await
    });
    assert_eq!(told(&one.unwrap()), ("executed", Some("ch_1")));
    assert_eq!(told(&other), ("replayed", Some("ch_1")));
    assert_eq!(bank.charges(), 1);
}

/// A front end that reads two equal calls at once may begin the second after the first outcome was
/// delivered. Without `begin_before_delivery` it looks like a new operation: the control.
#[tokio::test]
async fn who_called_before_the_outcome_was_taken_is_owed_it() {
    let (semel, bank) = (hinted().await, Bank::plain());
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    let CallStep::Answered(answered) = semel.begin_before_delivery(charge(), 1).await.unwrap()
    else {
        panic!("nothing to run")
    };
    assert_eq!(told(&answered.into_parts().0), ("replayed", Some("ch_1")));
    let CallStep::Run(_) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
}

#[tokio::test]
async fn an_equal_call_of_another_run_is_another_operation() {
    let (semel, bank) = (hinted().await, Bank::plain());
    for run in ["monday", "tuesday"] {
        let CallStep::Run(started) = semel
            .begin(charge().in_run(Run::new(run).unwrap()))
            .await
            .unwrap()
        else {
            panic!("a run of {run}")
        };
        let outcome = bank.serve(&started.ticket);
        let _lost = started.finish(outcome).await.unwrap();
    }
    assert_eq!(bank.charges(), 2);
    let monday = ask_in_vain(&semel, charge().in_run(Run::new("monday").unwrap())).await;
    assert_eq!(told(&monday), ("replayed", Some("ch_1")));
}

#[tokio::test]
async fn a_run_scope_without_a_run_is_refused_before_anything_runs() {
    let settings = with(crate::world::charging(), json!({ "scope": "run" }));
    let semel = host(memory(), intent(settings).await).await;
    let Answer::Refused { reason, .. } = ask_in_vain(&semel, charge()).await else {
        panic!("refused")
    };
    assert!(reason.contains("run"), "{reason}");
    let bank = Bank::plain();
    assert_eq!(
        ask(&semel, charge().in_run(Run::new("r1").unwrap()), &bank)
            .await
            .word(),
        "executed"
    );
}

#[tokio::test]
async fn doubt_about_a_tool_that_nobody_named_is_a_persons() {
    let (semel, bank) = (hinted().await, Bank::plain());
    bank.lose_replies(1);
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "held");
    assert_eq!(ask_in_vain(&semel, charge()).await.word(), "held");
    assert_eq!(bank.charges(), 1);
}

#[tokio::test]
async fn hints_of_a_server_that_is_not_trusted_let_nothing_pass() {
    let reading = || {
        Call::new("charge", json!({ "q": 1 }))
            .unwrap()
            .with_fact("hint.read-only", json!(true))
    };
    let bank = Bank::plain();
    let careful = hinted().await;
    assert_eq!(ask(&careful, reading(), &bank).await.word(), "executed");
    let trusting = host(
        memory(),
        Tool::new(policy("hints", json!({ "trusted": true })).await),
    )
    .await;
    for _ in 0..2 {
        let answer = trusting
            .call(reading(), |_| async { Outcome::returned(json!("seen")) })
            .await
            .unwrap();
        assert_eq!(
            answer,
            Answer::Passed {
                why: UnguardedReason::Policy,
                outcome: Outcome::returned(json!("seen"))
            }
        );
    }
}

#[tokio::test]
async fn the_semel_that_passes_a_call_records_nothing() {
    let semel = host(memory(), intent(json!({ "read_only": true })).await).await;
    let bank: Arc<Bank> = Bank::plain();
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "passed");
    assert!(semel.ledger().list(None, &[], 10).await.unwrap().is_empty());
}
