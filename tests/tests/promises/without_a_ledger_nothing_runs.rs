//! The disk is full, the file is gone, the machine with the database does not answer. A guard that lets calls pass then
//! is no guard, a guard that hangs is worse than none, and a guard that calls a charge failed which went through is the
//! worst of all.

use crate::world::{
    Bank, ask, charge, charging, charging_a_bank_that_remembers, failing, host, intent, told,
    use_ledger,
};
use semel::{
    model::{Answer, OperatorSwitch, Outcome, RecordStatus},
    runtime::{CallError, LedgerError, Semel},
    store::Store,
};
use semel_conformance::{FailingStore, INJECTED_FAILURES, InjectedFailure};
use std::{ops::Range, sync::Arc, time::Duration};

async fn on(store: &Arc<FailingStore>, tool: semel::runtime::Tool) -> Semel {
    let semel = host(Arc::clone(store) as Arc<dyn Store>, tool).await;
    use_ledger(&semel).await;
    store.count();
    semel
}

/// The answer to a call of `bank`, within bounded time.
async fn bounded(semel: &Semel, bank: &Arc<Bank>) -> Result<Answer, CallError> {
    let run = |ticket| {
        let outcome = bank.serve(&ticket);
        async move { outcome }
    };
    tokio::time::timeout(Duration::from_secs(20), semel.call(charge(), run))
        .await
        .expect("an end")
}

/// The limit on store calls of a guarded call, with a reserve.
const CALLS: usize = 12;

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_away_before_the_call_keeps_the_tool_from_running() {
    for failure in INJECTED_FAILURES {
        let store = failing(0..usize::MAX, failure);
        let bank = Bank::plain();
        let semel = on(&store, intent(charging()).await).await;
        let error = bounded(&semel, &bank).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Ledger(LedgerError::Store(_))),
            "{error}"
        );
        assert_eq!(bank.charges(), 0);
    }
}

/// The control: with the operator's switch the tool runs, and each answer says so.
#[tokio::test]
async fn control_where_the_operator_says_so_it_runs_and_the_answer_says_so() {
    let store = failing(0..usize::MAX, InjectedFailure::NotExecuted);
    let bank = Bank::plain();
    let mut tool = intent(charging()).await;
    tool.allowance.open_without_ledger = true;
    let semel = on(&store, tool).await;
    for charges in 1..=3 {
        let answer = bounded(&semel, &bank).await.unwrap();
        let Answer::Executed { about, .. } = &answer else {
            panic!("{answer:?}")
        };
        assert_eq!(about.switches, [OperatorSwitch::OpenWithoutLedger]);
        assert!(matches!(about.recorded, RecordStatus::No(_)));
        assert_eq!(bank.charges(), charges);
    }
}

/// The same for a tool that undoes something, whose key is unknown without the ledger.
#[tokio::test]
async fn a_tool_that_undoes_runs_without_a_ledger_only_where_the_operator_says_so() {
    for open in [false, true] {
        let store = failing(0..usize::MAX, InjectedFailure::NotExecuted);
        let bank = Bank::plain();
        let settings = crate::world::with(
            charging(),
            serde_json::json!({ "undoes": ["order/{/order_id}"] }),
        );
        let mut tool = intent(settings).await;
        tool.allowance.open_without_ledger = open;
        let semel = on(&store, tool).await;
        assert_eq!(bounded(&semel, &bank).await.is_ok(), open);
        assert_eq!(bank.charges(), usize::from(open));
    }
}

#[tokio::test(start_paused = true)]
async fn what_landed_is_told_as_landed_even_if_it_cannot_be_recorded() {
    for failure in INJECTED_FAILURES {
        // The claim is written. From then on nothing is.
        let store = failing(1..usize::MAX, failure);
        let bank = Bank::plain();
        let semel = on(&store, intent(charging()).await).await;
        let answer = bounded(&semel, &bank).await.unwrap();
        assert_eq!(told(&answer), ("executed", Some("ch_1")), "{failure:?}");
        assert!(
            matches!(&answer.about().unwrap().recorded, RecordStatus::No(why) if !why.is_empty())
        );
    }
}

/// Whichever call of the store fails, and in whichever way, no customer pays twice and no answer is
/// wrong.
#[tokio::test(start_paused = true)]
async fn whichever_call_fails_the_customer_pays_once_at_the_most() {
    for failure in INJECTED_FAILURES {
        for for_good in [false, true] {
            for nth in 0..CALLS {
                let calls = if for_good {
                    nth..usize::MAX
                } else {
                    nth..nth + 1
                };
                one_call_fails(calls, failure).await;
            }
        }
    }
}

async fn one_call_fails(calls: Range<usize>, failure: InjectedFailure) {
    let store = failing(calls.clone(), failure);
    let bank = Bank::that_remembers();
    let mut tool = intent(charging_a_bank_that_remembers()).await;
    tool.allowance.wait_ms = 0;
    let semel = on(&store, tool).await;
    for _ in 0..2 {
        let charged_before = bank.charges();
        match bounded(&semel, &bank).await {
            Err(error) => assert_eq!(
                bank.charges(),
                charged_before,
                "{calls:?} {failure:?}: {error}"
            ),
            Ok(answer) => check(&answer, &bank, &format!("{calls:?} {failure:?}")),
        }
    }
    assert!(bank.charges() <= 1, "{calls:?} {failure:?}");
}

fn check(answer: &Answer, bank: &Bank, case: &str) {
    match answer {
        Answer::Executed {
            outcome: Outcome::Returned(charge),
            ..
        }
        | Answer::Replayed {
            outcome: Some(Outcome::Returned(charge)),
            ..
        } => {
            assert_eq!(
                (charge["id"].as_str(), bank.charges()),
                (Some("ch_1"), 1),
                "{case}"
            );
        }
        Answer::InDoubt { .. } | Answer::Held { .. } | Answer::Running { .. } => {}
        // Nothing was sent: the right to send was lost with the answer of the ledger.
        Answer::Executed {
            outcome: Outcome::Unanswered(silence),
            ..
        } if !silence.sent => {}
        other => panic!("{case}: {other:?}"),
    }
}

#[tokio::test]
async fn once_the_ledger_is_back_the_call_goes_through() {
    let store = failing(0..1, InjectedFailure::NotExecuted);
    let bank = Bank::plain();
    let semel = on(&store, intent(charging()).await).await;
    assert!(bounded(&semel, &bank).await.is_err());
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
}
