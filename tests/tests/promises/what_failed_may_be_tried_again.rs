//! One step of three fails, and the agent starts over from the first. A step that landed must not
//! land again, a step that certainly failed must not be blocked, and the plan does not show which
//! is which.

use crate::world::{
    Bank, ask, ask_in_vain, charge, charge_of, charging, host, intent, memory, told,
};
use semel::{
    model::{Answer, Boot, Call, Effect, Failure, NextStep, Outcome},
    store::{Clock, ClockReading, MemoryStore, SettableClock},
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

fn failed(code: &str) -> Outcome {
    Outcome::Failed(Failure {
        message: "no".to_owned(),
        code: Some(code.to_owned()),
        ..Failure::default()
    })
}

fn step(order: &str) -> Call {
    Call::new("charge", json!({ "order_id": order, "amount": 10 })).unwrap()
}

#[tokio::test]
async fn a_plan_that_is_started_over_repeats_only_what_did_not_land() {
    let bank = Bank::plain();
    let semel = host(memory(), intent(charging()).await).await;
    assert_eq!(ask(&semel, step("first"), &bank).await.word(), "executed");
    let second = semel
        .call(step("second"), |_| async { failed("busy") })
        .await
        .unwrap();
    let Answer::Executed {
        effect: Effect::Absent,
        next: NextStep::CallAgain { .. },
        ..
    } = second
    else {
        panic!("{second:?}")
    };
    let over: Vec<_> = [step("first"), step("second"), step("third")]
        .into_iter()
        .collect();
    let mut words = Vec::new();
    for call in over {
        words.push(ask(&semel, call, &bank).await.word());
    }
    assert_eq!(words, ["replayed", "executed", "executed"]);
    assert_eq!(bank.charges(), 3);
}

#[tokio::test]
async fn a_refusal_is_replayed_for_its_window_and_not_frozen() {
    let clock = Arc::new(SettableClock::new(ClockReading {
        wall_ms: 1_800_000_000_000,
        steady_ms: 5_000,
        boot: Boot(1),
    }));
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let bank = Bank::plain();
    let semel = host(store, intent(charging()).await).await;
    let declined = semel
        .call(charge(), |_| async { failed("card_declined") })
        .await
        .unwrap();
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
    let again = ask_in_vain(&semel, charge()).await;
    let Answer::Replayed {
        effect: Effect::Refused,
        next: NextStep::CallAgain {
            after_ms: Some(600_000),
        },
        ..
    } = again
    else {
        panic!("{again:?}")
    };
    clock.advance(Duration::from_secs(601));
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
}

/// A bank would replay its refusal under the old key, so what is sent now goes under a new one.
#[tokio::test]
async fn after_a_refusal_other_content_is_sent_at_once_under_another_key() {
    let semel = host(
        memory(),
        intent(crate::world::charging_a_bank_that_remembers()).await,
    )
    .await;
    let declined = semel
        .call(charge(), |_| async { failed("card_declined") })
        .await
        .unwrap();
    let bank = Bank::that_remembers();
    let cheaper = ask(&semel, charge_of(json!(9)), &bank).await;
    assert_eq!(told(&cheaper), ("executed", Some("ch_1")));
    assert_ne!(declined.about().unwrap().key, cheaper.about().unwrap().key);
}

#[tokio::test]
async fn what_had_no_effect_is_run_again_by_the_same_call_as_often_as_it_is_allowed() {
    let mut tool = intent(charging()).await;
    tool.allowance.reruns = 2;
    let semel = host(memory(), tool).await;
    let (bank, tries) = (Bank::plain(), AtomicU32::new(0));
    let run = |ticket| {
        let outcome = if tries.fetch_add(1, Ordering::Relaxed) < 2 {
            failed("busy")
        } else {
            bank.serve(&ticket)
        };
        async move { outcome }
    };
    assert_eq!(
        told(&semel.call(charge(), run).await.unwrap()),
        ("executed", Some("ch_1"))
    );
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

/// The control: with no reruns allowed, which is the default, the call ends with the failure.
#[tokio::test]
async fn control_without_reruns_the_first_failure_is_the_answer() {
    let semel = host(memory(), intent(charging()).await).await;
    let tries = AtomicU32::new(0);
    let run = |_| {
        tries.fetch_add(1, Ordering::Relaxed);
        async { failed("busy") }
    };
    let answer = semel.call(charge(), run).await.unwrap();
    assert!(
        matches!(
            answer,
            Answer::Executed {
                effect: Effect::Absent,
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_may_have_landed_is_a_conflict_for_other_content() {
    let semel = host(memory(), intent(charging()).await).await;
    let bank = Bank::plain();
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    let other = ask_in_vain(&semel, charge_of(json!("11.00"))).await;
    let Answer::Conflict { standing, .. } = &other else {
        panic!("{other:?}")
    };
    assert_eq!(
        (standing.state.as_str(), standing.handles.as_slice()),
        ("landed", &["charge/ch_1".to_owned()][..])
    );
    assert_eq!(other.outcome(), None);
}
