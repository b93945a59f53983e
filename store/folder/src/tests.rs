//! The store passes the conformance suite, answers like the store in memory, and works under a host.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use super::*;
use semel::{
    engine::{Engine, Limits},
    runtime::{Semel, Tool},
};
use semel_conformance::{self, Fixture, equivalence};
use semel_core::model::{Call, Outcome};
use semel_store::SettableClock;
use serde_json::json;
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::TempDir;

/// Returns a fresh store with everything that the suite can use: reopening, sharing, files, and a way to make requests fail.
fn fixture() -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger");
    let ticking = Arc::clone(&clock);
    let troubled = path.clone();
    let files = path.clone();
    let open = move || -> Arc<dyn Store> {
        Arc::new(
            FolderStore::open_with_clock(&path, Arc::clone(&ticking) as Arc<dyn Clock>).unwrap(),
        )
    };
    Fixture::new(open(), clock)
        .with_reopen(move || std::future::ready(open()))
        .with_sharing()
        .with_files_in(files)
        .with_failures(move |begins| move_away(&troubled, begins))
        .keep_alive(folder)
}

/// Moves the folder away, or back.
fn move_away(path: &PathBuf, away: bool) {
    let aside = path.with_extension("aside");
    let (from, to) = if away { (path, &aside) } else { (&aside, path) };
    fs::rename(from, to).unwrap();
}

mod the_contract {
    use super::fixture;
    semel_conformance::store_conformance!(fixture);
}

#[test]
fn it_answers_as_the_store_in_memory_does() {
    // A linear congruential generator: the same numbers in each run.
    let mut number = 1_u64;
    let steps: Vec<u64> = (0..1_500)
        .map(|_| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            number >> 8
        })
        .collect();
    semel_conformance::run(async { equivalence::answers_like_memory(&fixture(), &steps).await });
}

/// Two hosts, one after the other, on one folder: the second replays what the first did.
#[tokio::test]
async fn a_call_is_sent_once_by_whichever_host() {
    let folder = TempDir::new().unwrap();
    let sent = AtomicUsize::new(0);
    let mut words = Vec::new();
    for _ in 0..2 {
        let semel = host(FolderStore::open(folder.path()).unwrap()).await;
        for _ in 0..2 {
            let call = Call::new("refund_order", json!({ "order_id": "A-7" })).unwrap();
            let run = |_| {
                sent.fetch_add(1, Ordering::SeqCst);
                async { Outcome::returned(json!({ "refunded": "A-7" })) }
            };
            let answer = semel.call(call, run).await.unwrap();
            assert_eq!(
                answer.outcome(),
                Some(&Outcome::returned(json!({ "refunded": "A-7" })))
            );
            words.push(answer.word());
        }
    }
    assert_eq!(words, ["executed", "replayed", "replayed", "replayed"]);
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}

async fn host(store: FolderStore) -> Semel {
    let engine = Engine::new(Limits::default()).unwrap();
    let settings = json!({ "operation": "refund", "identity": ["order_id"] });
    let policy = engine
        .load(semel_policies::get("intent").unwrap(), settings)
        .await
        .unwrap();
    Semel::builder(Arc::new(store))
        .tool(["refund_*"], Tool::new(policy))
        .open()
        .await
        .unwrap()
}
