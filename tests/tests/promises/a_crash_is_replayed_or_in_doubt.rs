//! The agent's process dies: before the charge, during it, or after it and before anything was written down. What
//! starts in its place knows the file and nothing else, and the customer knows only how often they paid.

use crate::world::{
    Bank, ask, ask_in_vain, charge, charging, charging_a_bank_that_remembers, file, host, intent,
    told,
};
use semel::{
    model::{Answer, Outcome},
    runtime::{CallStep, Semel, Tool},
};
use semel_conformance::FailingStore;
use std::{future::pending, path::PathBuf, sync::Arc, time::Duration};

fn ledger() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    (folder, path)
}

async fn opened(path: &PathBuf, tool: &Tool) -> Semel {
    host(file(path), tool.clone()).await
}

/// Waits until what a dropped call left behind is written, for it is written in a task of its own.
async fn settled(semel: &Semel) -> String {
    let mut word = String::new();
    for _ in 0..200 {
        let listed = semel.ledger().list(None, &[], 10).await.unwrap();
        word = listed.first().map_or_else(String::new, |listed| {
            listed.record.state.label().word().to_owned()
        });
        if !word.is_empty() && word != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    word
}

#[tokio::test]
async fn a_host_that_starts_anew_replays_what_the_one_before_recorded() {
    let (_folder, path) = ledger();
    let bank = Bank::plain();
    let tool = intent(charging()).await;
    let first = opened(&path, &tool).await;
    assert_eq!(
        told(&ask(&first, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    drop(first);
    let second = opened(&path, &tool).await;
    assert_eq!(
        told(&ask_in_vain(&second, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

/// The control: a ledger in memory forgets with its host, and the restart charges again.
#[tokio::test]
async fn control_a_ledger_that_forgets_sends_again() {
    let bank = Bank::plain();
    let tool = intent(charging()).await;
    for _ in 0..2 {
        let semel = host(crate::world::memory(), tool.clone()).await;
        assert_eq!(ask(&semel, charge(), &bank).await.word(), "executed");
    }
    assert_eq!(bank.charges(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_while_the_tool_runs_leaves_it_in_doubt() {
    let (_folder, path) = ledger();
    let bank = Bank::plain();
    let semel = opened(&path, &intent(charging()).await).await;
    let run = |ticket| {
        bank.serve(&ticket);
        pending::<Outcome>()
    };
    let cut = tokio::time::timeout(Duration::from_millis(200), semel.call(charge(), run)).await;
    assert!(cut.is_err());
    assert_eq!(settled(&semel).await, "in-doubt");
    let after = ask_in_vain(&semel, charge()).await;
    assert_eq!(after.word(), "held", "{after:?}");
    assert_eq!(bank.charges(), 1);
}

#[tokio::test]
async fn where_the_bank_remembers_the_next_caller_resolves_the_doubt() {
    let (_folder, path) = ledger();
    let bank = Bank::that_remembers();
    let semel = opened(&path, &intent(charging_a_bank_that_remembers()).await).await;
    let run = |ticket| {
        bank.serve(&ticket);
        pending::<Outcome>()
    };
    let cut = tokio::time::timeout(Duration::from_millis(200), semel.call(charge(), run)).await;
    assert!(cut.is_err());
    assert_eq!(settled(&semel).await, "in-doubt");
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    assert_eq!((bank.charges(), bank.requests()), (1, 2));
}

#[tokio::test]
async fn a_ticket_that_is_dropped_leaves_it_in_doubt() {
    let (_folder, path) = ledger();
    let semel = opened(&path, &intent(charging()).await).await;
    let CallStep::Run(started) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
    drop(started);
    assert_eq!(settled(&semel).await, "in-doubt");
}

/// A caller that goes away before it holds a ticket has sent nothing, and blocks nothing. On one
/// thread, the claim cannot complete before its caller is dropped.
#[tokio::test]
async fn a_caller_that_goes_away_before_it_may_send_leaves_it_free() {
    let (_folder, path) = ledger();
    let bank = Bank::plain();
    let semel = opened(&path, &intent(charging()).await).await;
    let mut begin = Box::pin(semel.begin(charge()));
    let waits = std::future::poll_fn(|context| {
        std::task::Poll::Ready(begin.as_mut().poll(context).is_pending())
    });
    assert!(waits.await);
    drop(begin);
    assert_eq!(settled(&semel).await, "released");
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
}

/// A slow bank is not a dead one: what it answers after the lease has ended is the truth all the same.
#[tokio::test]
async fn what_is_learned_late_still_lands() {
    let (_folder, path) = ledger();
    let bank = Bank::plain();
    let tool = intent(crate::world::with(
        charging(),
        serde_json::json!({ "attempt": 1 }),
    ))
    .await;
    let semel = opened(&path, &tool).await;
    let CallStep::Run(slow) = semel.begin(charge()).await.unwrap() else {
        panic!("a run")
    };
    let outcome = bank.serve(&slow.ticket);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let meanwhile = ask_in_vain(&semel, charge()).await;
    assert_eq!(meanwhile.word(), "held", "{meanwhile:?}");
    let late = slow.finish(outcome).await.unwrap().answer;
    assert_eq!(told(&late), ("executed", Some("ch_1")));
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

#[tokio::test]
async fn a_host_that_holds_its_claim_keeps_it_by_renewing() {
    let (_folder, path) = ledger();
    let bank = Bank::plain();
    let mut tool = intent(charging()).await;
    tool.lease_seconds = 1;
    let semel = opened(&path, &tool).await;
    let other = opened(&path, &tool).await;
    let asked = tokio::spawn({
        let (semel, bank) = (semel.clone(), Arc::clone(&bank));
        async move {
            let run = |ticket| {
                let outcome = bank.serve(&ticket);
                async move {
                    tokio::time::sleep(Duration::from_millis(2_500)).await;
                    outcome
                }
            };
            semel.call(charge(), run).await.unwrap()
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        told(&ask_in_vain(&other, charge()).await),
        ("replayed", Some("ch_1"))
    );
    let Answer::Executed { about, .. } = asked.await.unwrap() else {
        panic!("executed")
    };
    assert_eq!(about.attempt, 1);
}

/// A caller may be dropped wherever it waits: a framework's time-out, a closed connection, a cancelled task.
#[tokio::test(start_paused = true)]
async fn a_caller_may_go_away_at_any_moment() {
    const POLLS: usize = 16;
    let tool = intent(charging_a_bank_that_remembers()).await;
    let mut ends = std::collections::BTreeSet::new();
    for polls in 1..=POLLS {
        let store = Arc::new(FailingStore::with_yields(crate::world::memory()));
        let (semel, bank) = (host(store, tool.clone()).await, Bank::that_remembers());
        let run = |ticket| {
            let outcome = bank.serve(&ticket);
            async move {
                tokio::task::yield_now().await;
                outcome
            }
        };
        let mut call = Box::pin(semel.call(charge(), run));
        for _ in 0..polls {
            let poll =
                std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context)));
            if poll.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        ends.insert(settled(&semel).await);
        assert_eq!(
            told(&ask(&semel, charge(), &bank).await).1,
            Some("ch_1"),
            "after {polls} polls"
        );
        assert_eq!(bank.charges(), 1, "after {polls} polls");
    }
    // It went away before it might send, while the tool ran, and after it was done.
    for end in ["released", "in-doubt", "landed"] {
        assert!(ends.contains(end), "{ends:?}");
    }
}
