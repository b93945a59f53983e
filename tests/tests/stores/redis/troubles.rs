//! The server's disk or its memory is full, or it is a replica. A write fails with a cure, nothing
//! is written that was reported as not written, and the store recovers once the cause is gone.

use super::{create, get, losing, open, store};
use crate::{
    charging::{Charges, charge, charging},
    either::until,
    witness::Witness,
};
use semel::{
    model::Answer,
    runtime::Semel,
    store::{Store, StoreError},
};
use semel_redis::RedisStore;
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::task::block_in_place;

/// The error of a creation; none if it succeeds.
async fn refusal(store: &RedisStore) -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    match create(store, NEXT.fetch_add(1, Ordering::Relaxed)).await {
        Ok(_) => None,
        Err(StoreError::NotExecuted(error)) => Some(error.to_string()),
        Err(other) => panic!("{other}"),
    }
}

/// Waits until creations are refused with this, and shows that nothing is charged then.
async fn nothing_runs_where(store: &RedisStore, host: &Semel, charges: &Charges, told: &str) {
    until(told, async || {
        refusal(store)
            .await
            .is_some_and(|refusal| refusal.contains(told))
    })
    .await;
    let refused = charge(host, 1, charges).await;
    assert!(refused.is_err() && charges.of(1) == 0, "{refused:?}");
}

/// Waits until creations are done again, and shows that it is charged now.
async fn all_runs_again(store: &RedisStore, host: &Semel, charges: &Charges) {
    until("the cure", async || refusal(store).await.is_none()).await;
    let answer = charge(host, 1, charges).await;
    assert!(matches!(answer, Ok(Answer::Executed { .. })), "{answer:?}");
    assert_eq!(charges.of(1), 1);
}

/// A little more than a server has written.
fn hardly_any_room(redis: &RedisServer) -> u64 {
    let told = redis.run_command(&["INFO", "persistence"]);
    let size = told
        .lines()
        .find_map(|line| line.strip_prefix("aof_current_size:"))
        .unwrap();
    size.trim().parse::<u64>().unwrap() + 10_000
}

/// A server that syncs every second goes on, and turns writes away.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_runs_until_there_is_room() {
    let redis = RedisServer::start_with_settings(
        &[LEDGER_SETTINGS, &["--appendfsync", "everysec"]].concat(),
    );
    let store = Arc::new(store(&redis).await);
    let (host, charges) = (
        charging(Arc::clone(&store) as Arc<dyn Store>).await,
        Charges::default(),
    );
    redis.limit_file_size(Some(hardly_any_room(&redis)));
    nothing_runs_where(&store, &host, &charges, "see whether its disk is full").await;
    redis.limit_file_size(None);
    all_runs_again(&store, &host, &charges).await;
}

/// A server that syncs always ends itself rather than answer. What it acknowledged is there when it is started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_loses_nothing() {
    let mut redis = RedisServer::start();
    let store: Arc<dyn Store> = Arc::new(store(&redis).await);
    let witness = Witness::watch(&store, async |witness| {
        witness.more(100).await;
        block_in_place(|| {
            redis.limit_file_size(Some(hardly_any_room(&redis)));
            redis.wait_for_exit();
            redis.restart(LEDGER_SETTINGS);
        });
        witness.more(100).await;
    });
    assert_eq!(witness.await.missing(&store).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_is_told_and_nothing_runs_until_there_is_more() {
    let redis = RedisServer::start();
    let store = Arc::new(store(&redis).await);
    let (host, charges) = (
        charging(Arc::clone(&store) as Arc<dyn Store>).await,
        Charges::default(),
    );
    redis.run_command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    nothing_runs_where(&store, &host, &charges, "raise its `maxmemory`").await;
    redis.run_command(&["CONFIG", "SET", "maxmemory", "0"]);
    all_runs_again(&store, &host, &charges).await;
}

/// An operator makes the server a replica for a while. It may have taken over other data, so the
/// ledger has a new incarnation afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_follows_another_for_a_while_is_told_and_not_trusted_at_once() {
    let redis = RedisServer::start();
    let store = Arc::new(store(&redis).await);
    let (host, charges) = (
        charging(Arc::clone(&store) as Arc<dyn Store>).await,
        Charges::default(),
    );
    let before = losing::incarnation(&store).await;
    charge(&host, 2, &charges).await.unwrap();
    redis.run_command(&["REPLICAOF", "127.0.0.1", "1"]);
    nothing_runs_where(&store, &host, &charges, "name the primary server").await;
    redis.run_command(&["REPLICAOF", "NO", "ONE"]);
    until("the cure", async || get(&store, 0).await.is_ok()).await;
    assert_ne!(losing::incarnation(&store).await, before);
    assert_eq!(
        losing::incarnation(&open(&redis).await).await,
        losing::incarnation(&store).await
    );
    let refused = charge(&host, 1, &charges).await.unwrap_err().to_string();
    assert!(
        refused.contains("may have lost") && charges.of(1) == 0,
        "{refused}"
    );
}
