//! What faults of processes and networks leave behind.

use super::{create, get, losing, open, store};
use semel::store::{Retention, Store, StoreError};
use semel_conformance::{entry, fresh_version, key};
use semel_redis::RedisStore;
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The number of ends of the server in a run: half of them kills, half of them power losses.
const ENDS: u32 = 20;

/// Writes new entries until the server is gone, and returns the acknowledged ones.
async fn write_until_it_is_gone(
    store: &Arc<RedisStore>,
    round: u32,
    end: impl FnOnce(),
) -> Vec<u32> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (store, acknowledged) = (Arc::clone(store), Arc::clone(&acknowledged));
        writers.spawn(async move {
            for number in 0..10_000 {
                let number = round * 1_000_000 + writer * 100_000 + number;
                if create(&store, number).await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap().push(number);
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(30 + u64::from(round) * 7)).await;
    end();
    writers.join_all().await;
    Arc::into_inner(acknowledged).unwrap().into_inner().unwrap()
}

/// The number of missing entries.
async fn missing(store: &RedisStore, numbers: &[u32]) -> usize {
    let begun = Instant::now();
    while get(store, 0).await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the restarted server is not found"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut missing = 0;
    for number in numbers {
        missing += usize::from(!get(store, *number).await.unwrap());
    }
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_or_loses_power_keeps_what_it_acknowledged() {
    let mut redis = RedisServer::start_recording_syncs(LEDGER_SETTINGS);
    let store = Arc::new(store(&redis).await);
    let (before, mut acknowledged) = (losing::incarnation(&store).await, 0);
    for round in 0..ENDS {
        let end = || {
            if round % 2 == 0 {
                redis.kill_and_restart(LEDGER_SETTINGS)
            } else {
                redis.lose_power_and_restart(LEDGER_SETTINGS)
            }
        };
        let numbers = write_until_it_is_gone(&store, round, end).await;
        acknowledged += numbers.len();
        assert_eq!(missing(&store, &numbers).await, 0, "of {}", numbers.len());
    }
    println!("{ENDS} ends, {acknowledged} acknowledged, none missing");
    assert!(acknowledged > 200, "something was written meanwhile");
    assert_eq!(
        losing::incarnation(&store).await,
        before,
        "nothing was lost, and nothing is taken for lost"
    );
}

/// The control: where the server syncs every second, what it acknowledged since is gone with the power. A signal alone takes
/// nothing: the operating system keeps what was written.
#[tokio::test(flavor = "multi_thread")]
async fn control_a_server_that_syncs_every_second_loses_with_the_power() {
    let lazy = &[LEDGER_SETTINGS, &["--appendfsync", "everysec"]].concat();
    let mut redis = RedisServer::start_recording_syncs(lazy);
    let store = Arc::new(store(&redis).await);
    let before = losing::incarnation(&store).await;
    // So that the ledger itself is synced.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let numbers = write_until_it_is_gone(&store, 1, || redis.lose_power_and_restart(lazy)).await;
    let missing_now = missing(&store, &numbers).await;
    println!(
        "{missing_now} of {} acknowledged are missing",
        numbers.len()
    );
    assert!(missing_now > 0, "of {}", numbers.len());
    assert_ne!(
        losing::incarnation(&store).await,
        before,
        "and that is told"
    );
    let numbers = write_until_it_is_gone(&store, 2, || redis.kill_and_restart(lazy)).await;
    assert_eq!(missing(&store, &numbers).await, 0, "of {}", numbers.len());
}

/// The control: a server without its append-only file keeps nothing, and the ledger is not taken for an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_nothing_is_not_taken_for_an_empty_ledger() {
    let mut redis = RedisServer::start();
    let store = Arc::new(store(&redis).await);
    redis.run_command(&["CONFIG", "SET", "appendonly", "no"]);
    std::fs::remove_dir_all(redis.folder().join("appendonlydir")).unwrap();
    let numbers =
        write_until_it_is_gone(&store, 0, || redis.kill_and_restart(LEDGER_SETTINGS)).await;
    assert!(!numbers.is_empty());
    let fresh = RedisStore::open(&redis.address())
        .await
        .unwrap_err()
        .to_string();
    assert!(fresh.contains("there is no ledger"), "{fresh}");
    assert!(
        matches!(
            create(&store, numbers[0]).await,
            Err(StoreError::NotExecuted(_))
        ),
        "nothing is claimed anew"
    );
    // Had it been taken for one: everything acknowledged is gone.
    RedisStore::set_up(&redis.address()).await.unwrap();
    assert_eq!(missing(&open(&redis).await, &numbers).await, numbers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn news_come_from_another_process() {
    let redis = RedisServer::start();
    let (here, there) = (Arc::new(store(&redis).await), open(&redis).await);
    let heard = || redis.run_command(&["PUBSUB", "CHANNELS", "semel:*"]);
    assert_eq!(heard(), "", "nobody waits");
    let mut took = Vec::new();
    for number in 0..20 {
        let version = fresh_version();
        here.create(
            key(number),
            &entry(number),
            version,
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
        let waiting = Arc::clone(&here);
        let waiter = tokio::spawn(async move {
            waiting
                .wait_for_change(key(number), version, Duration::from_secs(20))
                .await;
            Instant::now()
        });
        // Past the first looks, so that news are what wakes it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        there
            .replace(
                key(number),
                version,
                &entry(number),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        let written = Instant::now();
        took.push(waiter.await.unwrap().saturating_duration_since(written));
    }
    took.sort();
    println!("half of the news came within {:?}", took[took.len() / 2]);
    assert!(took[took.len() / 2] < Duration::from_millis(20), "{took:?}");
    assert_ne!(heard(), "");
    semel_servers::machine::wait_until("the end of the listening", || heard().is_empty());
}
