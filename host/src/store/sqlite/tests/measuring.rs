//! What a guarded call costs the ledger: `cargo nextest run -p semel measure --run-ignored only --no-capture`.

#![expect(clippy::print_stdout, reason = "a measurement is there to be read")]

use super::*;
use crate::{
    ledger::State,
    store::conformance::{fresh_version, operation},
    words::Nonce,
};
use std::time::Instant;

const CALLS: usize = 400;

/// On a disk, for a sync costs nothing elsewhere.
fn disk() -> TempDir {
    TempDir::new().unwrap()
}

fn random_key() -> StoreKey {
    let [one, other] = [Nonce::fresh().unwrap(), Nonce::fresh().unwrap()];
    StoreKey::from_bytes([*one.as_bytes(), *other.as_bytes()].concat().try_into().unwrap())
}

/// The two durable writes of a guarded call.
async fn guarded_call(store: &dyn Store, entry: &Entry) {
    let (key, version) = (random_key(), fresh_version());
    store.create(key, entry, version, Keep::UntilRemoved).await.unwrap();
    store.replace(key, version, entry, fresh_version(), Keep::Seconds(86_400)).await.unwrap();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn timed(mut call: impl AsyncFnMut()) -> Duration {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let begun = Instant::now();
        call().await;
        times.push(begun.elapsed());
    }
    median(times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn measure() {
    for (place, folder) in [("disk", disk()), ("memory", folder())] {
        let store = Arc::new(SqliteStore::open(ledger_in(&folder)).unwrap());
        let entry = Arc::new(operation("acme", State::Held { reason: "x".repeat(500), two_effects: false }));
        let bare = raw(&folder.path().join("bare.db"));
        bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a BLOB)").unwrap();
        let bytes = entry.to_bytes().unwrap();
        let bare_commits = timed(async || {
            for _ in 0..2 {
                bare.prepare_cached("INSERT INTO t VALUES (?)").unwrap().execute([&bytes]).unwrap();
            }
        });
        println!("{place}: two bare commits {:?}", bare_commits.await);
        println!("{place}: one caller {:?} a call", timed(async || guarded_call(&*store, &entry).await).await);
        let known = random_key();
        store.create(known, &entry, fresh_version(), Keep::UntilRemoved).await.unwrap();
        println!("{place}: a look {:?}", timed(async || drop(store.get(known).await)).await);
        let begun = Instant::now();
        let callers = (0..64).map(|_| {
            let (store, entry) = (Arc::clone(&store), Arc::clone(&entry));
            tokio::spawn(async move {
                for _ in 0..CALLS / 4 {
                    guarded_call(&*store, &entry).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let calls = 64 * (CALLS / 4);
        println!("{place}: 64 callers {:.0} calls a second", calls as f64 / begun.elapsed().as_secs_f64());
    }
}
