//! An operator wants to know what a guard would do before enabling it, and sets the mode `shadow`.
//! If calls then hang because a ledger is slow, or the bank sees an unknown header, the operator
//! gives up. So an observed call runs at once and unchanged, its result is returned unchanged, and
//! the report says later what a guard would have done.

use crate::{
    assemble::Guest,
    world::{
        Bank, ask, charge, charge_of, charging, charging_a_bank_that_remembers, failing, file,
        host, intent, load, memory, tenant, told,
    },
};
use async_trait::async_trait;
use semel::{
    ledger::{Entry, ShadowOutcome, Tally},
    model::{Answer, Call, Durability, Outcome, Stamp, StoreKey, ToolMode, UnguardedReason},
    runtime::{CallStep, ErasureScope, Semel, Tool},
    store::{
        CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store,
        StoreError, StoredEntry, Version,
    },
};
use semel_conformance::InjectedFailure;
use serde_json::json;
use std::{
    collections::BTreeMap,
    future::pending,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const MONTH: Duration = Duration::from_secs(30 * 86_400);
const LONG: Duration = Duration::from_secs(30);

fn watched(tool: Tool) -> Tool {
    Tool {
        mode: ToolMode::Shadow,
        ..tool
    }
}

/// The ledger's tally of the only tool, once everything is written.
async fn tally(semel: &Semel) -> Tally {
    assert!(
        semel.wait_for_observations(LONG).await,
        "it takes too long to write down"
    );
    let mut report = semel.ledger().report(MONTH).await.unwrap();
    assert_eq!(report.len(), 1, "{report:?}");
    report.remove(0)
}

fn counts(counts: &[(ShadowOutcome, u64)]) -> BTreeMap<ShadowOutcome, u64> {
    counts.iter().copied().collect()
}

#[tokio::test]
async fn it_runs_as_it_is_and_what_would_have_become_of_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bank = Bank::plain();
    let semel = host(
        file(folder.path().join("ledger.db")),
        watched(intent(charging_a_bank_that_remembers()).await),
    )
    .await;
    for number in 1..=3 {
        let answer = ask(&semel, charge(), &bank).await;
        assert!(
            matches!(
                answer,
                Answer::Passed {
                    why: UnguardedReason::Shadow,
                    ..
                }
            ),
            "{answer:?}"
        );
        assert_eq!(
            told(&answer).1,
            Some(&*format!("ch_{number}")),
            "its own answer, not a recorded one"
        );
    }
    ask(&semel, charge_of(json!("11.00")), &bank).await;
    ask(
        &semel,
        Call::new("charge", json!({ "amount": 1 })).unwrap(),
        &bank,
    )
    .await;
    assert_eq!(
        (bank.requests(), bank.keys()),
        (5, vec![None; 5]),
        "no key goes out"
    );
    let tally = tally(&semel).await;
    let expected = [
        (ShadowOutcome::Execute, 1),
        (ShadowOutcome::Replay, 2),
        (ShadowOutcome::Conflict, 1),
        (ShadowOutcome::BeRefused, 1),
    ];
    assert_eq!(
        (tally.tool.as_str(), &tally.counts),
        ("charge", &counts(&expected))
    );
    let examples: Vec<_> = tally
        .examples
        .iter()
        .map(|one| (one.would, one.times, one.operation.as_str()))
        .collect();
    assert_eq!(
        examples,
        [
            (ShadowOutcome::Replay, 2, "charge"),
            (ShadowOutcome::Conflict, 1, "charge")
        ]
    );
    assert_another_host_reports(folder.path(), &tally).await;
}

/// Checks that the tally is in the ledger, not in the first host. Its example names a record, and no record waits for a
/// person.
async fn assert_another_host_reports(folder: &Path, tally: &Tally) {
    let another = host(
        file(folder.join("ledger.db")),
        watched(intent(charging()).await),
    )
    .await;
    assert_eq!(
        another.ledger().report(MONTH).await.unwrap(),
        std::slice::from_ref(tally)
    );
    let found = another
        .ledger()
        .look_up(&tally.examples[0].key)
        .await
        .unwrap();
    assert!(
        matches!(found, semel::runtime::LookUpResult::Record(listed) if listed.record.terms.shadow),
        "the record is found"
    );
    assert!(
        another
            .ledger()
            .list(None, &[], 10)
            .await
            .unwrap()
            .is_empty(),
        "no person has to decide anything"
    );
}

/// The control: the mode `enforce` interferes.
#[tokio::test]
async fn control_a_guard_suppresses_and_places_its_key() {
    let bank = Bank::plain();
    let semel = host(memory(), intent(charging_a_bank_that_remembers()).await).await;
    for word in ["executed", "replayed", "replayed"] {
        assert_eq!(
            told(&ask(&semel, charge(), &bank).await),
            (word, Some("ch_1"))
        );
    }
    assert_eq!(
        ask(&semel, charge_of(json!("11.00")), &bank).await.word(),
        "conflict"
    );
    assert!(bank.requests() == 1 && bank.keys()[0].is_some());
    assert!(semel.ledger().report(MONTH).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_in_doubt_or_without_effect_is_told_as_a_guard_would_have_it() {
    let semel = host(memory(), watched(intent(charging()).await)).await;
    let outcomes = |order: &'static str, outcome: Outcome| {
        let call = Call::new("charge", json!({ "order_id": order, "amount": 1 })).unwrap();
        let semel = semel.clone();
        async move {
            let answer = semel
                .call(call, |_| {
                    let outcome = outcome.clone();
                    async { outcome }
                })
                .await
                .unwrap();
            assert_eq!(answer.outcome(), Some(&outcome));
        }
    };
    // No caller received the first outcome, so a guard sends no second call.
    outcomes("A1", Outcome::no_answer("timed out")).await;
    outcomes("A1", Outcome::returned(json!({ "id": "ch_1" }))).await;
    // The bank took nothing in, so the next may go.
    let busy = || {
        Outcome::Failed(semel::model::Failure {
            code: Some("busy".to_owned()),
            ..Default::default()
        })
    };
    outcomes("A2", busy()).await;
    outcomes("A2", Outcome::returned(json!({ "id": "ch_2" }))).await;
    assert_eq!(
        tally(&semel).await.counts,
        counts(&[(ShadowOutcome::Execute, 3), (ShadowOutcome::BeHeld, 1)])
    );
}

#[tokio::test]
async fn a_repeat_that_is_meant_once_the_outcome_was_taken_is_no_repeat() {
    let tool = watched(Tool::new(crate::world::policy("hints", json!({})).await));
    let semel = host(memory(), tool).await;
    let bank = Bank::plain();
    for _ in 0..5 {
        ask(&semel, charge(), &bank).await;
    }
    assert_eq!(
        tally(&semel).await.counts,
        counts(&[(ShadowOutcome::Execute, 5)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut calls = Vec::new();
    let hosts = [0, 1].map(|_| file(folder.path().join("ledger.db")));
    for store in hosts {
        let semel = host(store, watched(intent(charging()).await)).await;
        for _ in 0..10 {
            let semel = semel.clone();
            calls.push(tokio::spawn(async move {
                let run = |_| async {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    Outcome::returned(json!({ "id": "ch_1" }))
                };
                assert_eq!(semel.call(charge(), run).await.unwrap().word(), "passed");
                semel
            }));
        }
    }
    let mut last = None;
    for call in calls {
        last = Some(call.await.unwrap());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "one after the other it takes 14 s"
    );
    let semel = last.unwrap();
    // What both hosts saw, each for itself, adds up.
    let all = async || {
        let report = semel.ledger().report(MONTH).await.unwrap();
        report
            .first()
            .map_or(0, |tally| tally.counts.values().sum())
    };
    while all().await < 20 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{:?}",
            semel.ledger().report(MONTH).await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counted = tally(&semel).await.counts;
    assert_eq!(
        (
            counted[&ShadowOutcome::Execute],
            counted.values().sum::<u64>()
        ),
        (1, 20),
        "{counted:?}"
    );
    assert!(
        counted.contains_key(&ShadowOutcome::Wait),
        "some would have waited: {counted:?}"
    );
}

#[tokio::test]
async fn a_ledger_that_is_away_costs_nothing_and_is_told_once_it_is_back() {
    let failing = failing(0..usize::MAX, InjectedFailure::NotExecuted);
    failing.count();
    let semel = host(
        Arc::clone(&failing) as Arc<dyn Store>,
        watched(intent(charging()).await),
    )
    .await;
    let bank = Bank::plain();
    for number in 1..=3 {
        assert_eq!(
            told(&ask(&semel, charge(), &bank).await),
            ("passed", Some(&*format!("ch_{number}")))
        );
        assert!(semel.wait_for_observations(LONG).await);
    }
    failing.heal();
    ask(&semel, charge(), &bank).await;
    let counted = tally(&semel).await.counts;
    assert!(counted[&ShadowOutcome::FailByLedger] >= 3, "{counted:?}");
    assert_eq!(
        counted.values().sum::<u64>(),
        bank.requests() as u64,
        "none is forgotten"
    );
}

/// A ledger that never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl Store for Hanging {
    async fn create(
        &self,
        _: StoreKey,
        _: &Arc<Entry>,
        _: Version,
        _: Retention,
    ) -> Result<CreateResult, StoreError> {
        pending().await
    }

    async fn replace(
        &self,
        _: StoreKey,
        _: Version,
        _: &Arc<Entry>,
        _: Version,
        _: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        pending().await
    }

    async fn remove(&self, _: StoreKey, _: Version) -> Result<RemoveResult, StoreError> {
        pending().await
    }

    async fn get(&self, _: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        // Worse than one that waits: it keeps its thread.
        std::thread::sleep(Duration::from_secs(2));
        pending().await
    }

    async fn list(&self, _: &EntryQuery) -> Result<KeyPage, StoreError> {
        pending().await
    }

    async fn purge(&self, _: usize) -> Result<usize, StoreError> {
        pending().await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        pending().await
    }

    async fn wait_for_change(&self, _: StoreKey, _: Version, _: Duration) {
        pending().await
    }

    fn durability(&self) -> Durability {
        Durability::PowerLoss
    }

    fn reads_cheaply(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_ledger_that_never_answers_keeps_nobody() {
    let begun = Instant::now();
    let semel = host(Arc::new(Hanging), watched(intent(charging()).await)).await;
    let opened = begun.elapsed();
    let bank = Bank::plain();
    for _ in 0..2_000 {
        ask(&semel, charge(), &bank).await;
    }
    let called = begun.elapsed() - opened;
    assert!(
        called < Duration::from_secs(1),
        "2,000 calls took {called:?}"
    );
    assert_eq!(bank.charges(), 2_000);
    assert!(!semel.wait_for_observations(Duration::from_millis(10)).await);
    // Control: a guard does not even start on it.
    let enforcing = host(Arc::new(Hanging), intent(charging()).await);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), enforcing)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_policy_that_traps_or_loops_keeps_nobody() {
    for (body, would) in [
        ("(unreachable)", ShadowOutcome::FailByPolicy),
        ("(loop (br 0)) (unreachable)", ShadowOutcome::FailByPolicy),
    ] {
        let guest = Guest::lean().with("derive", body);
        let tool = Tool::new(load(&guest.component(), json!({})).await);
        let semel = host(memory(), watched(tool.clone())).await;
        let bank = Bank::plain();
        assert_eq!(
            told(&ask(&semel, charge(), &bank).await),
            ("passed", Some("ch_1"))
        );
        assert_eq!(tally(&semel).await.counts, counts(&[(would, 1)]));
        let refused = ask(&host(memory(), tool).await, charge(), &bank).await;
        assert_eq!(
            (refused.word(), bank.requests()),
            ("refused", 1),
            "the control"
        );
    }
}

#[tokio::test]
async fn those_who_watch_and_those_who_guard_never_meet_in_one_ledger() {
    let store = memory();
    let bank = Bank::plain();
    let guards = host(Arc::clone(&store), intent(charging()).await).await;
    let watches = host(Arc::clone(&store), watched(intent(charging()).await)).await;
    assert_eq!(
        told(&ask(&guards, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    ask(&watches, charge(), &bank).await;
    assert_eq!(
        tally(&watches).await.counts,
        counts(&[(ShadowOutcome::Execute, 1)]),
        "it knows nothing of the guarded one"
    );
    assert_eq!(
        told(&ask(&guards, charge(), &bank).await),
        ("replayed", Some("ch_1")),
        "nor the other way round"
    );
    // And one host may do both.
    let both = Semel::builder(store)
        .tool(["charge"], watched(intent(charging()).await))
        .default_tool(intent(charging()).await);
    both.open().await.unwrap();
}

#[tokio::test]
async fn what_is_erased_of_a_tenant_is_no_example_any_more() {
    let semel = host(memory(), watched(intent(charging()).await)).await;
    let bank = Bank::plain();
    for whose in ["ada", "ada", "bob", "bob"] {
        ask(&semel, charge().for_tenant(tenant(whose)), &bank).await;
    }
    let before = tally(&semel).await;
    assert_eq!(before.examples.len(), 2);
    semel
        .ledger()
        .erase(&tenant("ada"), ErasureScope::Content)
        .await
        .unwrap();
    let after = tally(&semel).await;
    assert_eq!((after.counts, after.examples.len()), (before.counts, 1));
    assert!(matches!(
        semel
            .ledger()
            .look_up(&before.examples[0].key)
            .await
            .unwrap(),
        semel::runtime::LookUpResult::NotFound
    ));
}

#[tokio::test]
async fn what_is_off_runs_and_leaves_no_trace() {
    let guest = Guest::lean().with("derive", "(unreachable)");
    let tool = Tool {
        mode: ToolMode::Off,
        ..Tool::new(load(&guest.component(), json!({})).await)
    };
    let semel = host(Arc::new(Hanging), tool).await;
    let bank = Bank::plain();
    for _ in 0..2 {
        let answer = ask(&semel, charge(), &bank).await;
        assert!(
            matches!(
                answer,
                Answer::Passed {
                    why: UnguardedReason::Off,
                    ..
                }
            ),
            "{answer:?}"
        );
    }
    assert!(bank.requests() == 2 && semel.wait_for_observations(Duration::ZERO).await);
}

#[tokio::test]
async fn what_goes_on_elsewhere_is_watched_until_it_ends() {
    let semel = host(memory(), watched(intent(charging()).await)).await;
    let begun = |begun| match begun {
        CallStep::Run(started) => *started,
        CallStep::Answered(answered) => panic!("it is watched only: {answered:?}"),
    };
    let suspended = begun(semel.begin(charge()).await.unwrap())
        .suspend("task:1", LONG)
        .await
        .unwrap();
    assert!(
        matches!(
            suspended.answer,
            Answer::Passed {
                why: UnguardedReason::Shadow,
                ..
            }
        ),
        "{suspended:?}"
    );
    let outcome = || Outcome::returned(json!({ "id": "ch_1" }));
    for goes_on in [false, true, false, true] {
        let started = if goes_on {
            semel.resume(charge(), "task:1").await
        } else {
            semel.begin(charge()).await
        };
        begun(started.unwrap()).finish(outcome()).await.unwrap();
        assert!(semel.wait_for_observations(LONG).await);
    }
    let expected = [
        (ShadowOutcome::Execute, 2),
        (ShadowOutcome::Wait, 1),
        (ShadowOutcome::Replay, 2),
    ];
    assert_eq!(
        tally(&semel).await.counts,
        counts(&expected),
        "a round of it goes on, and is no second call"
    );
}
