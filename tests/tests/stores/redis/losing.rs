//! What a server loses while its ledger is used is found out, and nothing that was only forgotten is taken for new.

use super::{create, get, open, store};
use semel::{
    model::{Durability, Incarnation},
    store::{CreateResult, Retention, Store, StoreError},
};
use semel_conformance::{entry, fresh_version, key};
use semel_redis::{RedisSetupResult, RedisStore};
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer};
use std::time::{Duration, Instant};

/// Goes on asking until it is so: what a look from time to time finds out.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{what} is not found out"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn incarnation(store: &RedisStore) -> Incarnation {
    store.get(key(999)).await.unwrap().1.incarnation
}

pub(super) fn told(answer: Result<CreateResult, StoreError>) -> String {
    match answer {
        Err(StoreError::NotExecuted(error)) => error.to_string(),
        other => panic!("it must not be carried out: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_found_out_by_the_first_command() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    create(&store, 1).await.unwrap();
    let before = incarnation(&store).await;
    redis.run_command(&["FLUSHALL"]);
    assert!(told(create(&store, 1).await).contains("semel ledger init"));
    assert_eq!(
        RedisStore::set_up(&redis.address()).await,
        Ok(RedisSetupResult::Created)
    );
    until("the new life", async || create(&store, 1).await.is_ok()).await;
    assert_ne!(incarnation(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_gone_is_found_out() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    let before = incarnation(&store).await;
    redis.run_command(&["DEL", "semel:{000}:life"]);
    insta::assert_snapshot!(told(create(&store, 1).await));
    let elsewhere = semel::model::StoreKey::from_bytes([0xaa; 32]);
    assert!(store.get(elsewhere).await.is_ok(), "what is whole is used");
    assert_eq!(
        RedisStore::set_up(&redis.address()).await,
        Ok(RedisSetupResult::Renewed { lost: 0 })
    );
    create(&store, 1).await.unwrap();
    assert_ne!(incarnation(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_gone_is_not_created_anew() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    create(&store, 1).await.unwrap();
    let before = incarnation(&store).await;
    redis.run_command(&[
        "EVAL",
        "return redis.call('DEL', unpack(redis.call('KEYS', 'semel:*:r:*')))",
        "0",
    ]);
    insta::assert_snapshot!(told(create(&store, 1).await));
    assert_eq!(
        RedisStore::renew(&redis.address()).await,
        Ok(RedisSetupResult::Renewed { lost: 1 })
    );
    create(&store, 1).await.unwrap();
    assert_ne!(incarnation(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_shows_as_another_incarnation() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    let before = incarnation(&store).await;
    // An evicted key need not be the ledger's, which cannot be known: so the ledger looks intact,
    // and is not trusted.
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "volatile-random"]);
    let used = redis.run_command(&[
        "EVAL",
        "return redis.call('INFO', 'memory'):match('used_memory:(%d+)')",
        "0",
    ]);
    let a_little_more = used.parse::<u64>().unwrap() + 1_000_000;
    redis.run_command(&["CONFIG", "SET", "maxmemory", &a_little_more.to_string()]);
    let filler = "x".repeat(100_000);
    let mut number = 0;
    until("the eviction", async || {
        number += 1;
        redis.run_command(&["SET", &format!("filler-{number}"), &filler, "EX", "1000"]);
        !redis
            .run_command(&["INFO", "stats"])
            .contains("evicted_keys:0")
    })
    .await;
    until("the setting", async || {
        get(&store, 999)
            .await
            .is_err_and(|told| told.contains("volatile-random"))
    })
    .await;
    redis.run_command(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    until("the cure", async || get(&store, 999).await.is_ok()).await;
    assert_eq!(
        RedisStore::set_up(&redis.address()).await,
        Ok(RedisSetupResult::Unchanged)
    );
    assert_ne!(incarnation(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_change_are_found_out() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    create(&store, 1).await.unwrap();
    redis.run_command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    until("the level", async || {
        store.durability() == Durability::ProcessCrash
    })
    .await;
    redis.run_command(&["CONFIG", "SET", "appendonly", "no"]);
    until("the setting", async || {
        get(&store, 1)
            .await
            .is_err_and(|told| told.contains("appendonly"))
    })
    .await;
    redis.run_command(&["CONFIG", "SET", "appendonly", "yes"]);
    redis.run_command(&["CONFIG", "SET", "appendfsync", "always"]);
    until("the cure", async || get(&store, 1).await.is_ok()).await;
    until("the level", async || {
        store.durability() == Durability::PowerLoss
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_are_gone_harm_nobody() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    let mut version = fresh_version();
    store
        .create(key(0), &entry(0), version, Retention::UntilRemoved)
        .await
        .unwrap();
    for number in 1..20 {
        redis.run_command(&["SCRIPT", "FLUSH"]);
        create(&store, number).await.unwrap();
        redis.run_command(&["SCRIPT", "FLUSH"]);
        let next = fresh_version();
        store
            .replace(
                key(0),
                version,
                &entry(number),
                next,
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        version = next;
    }
    assert_eq!(
        store
            .list(&semel::store::EntryQuery {
                limit: 100,
                ..Default::default()
            })
            .await
            .unwrap()
            .keys
            .len(),
        20
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_where_each_write_is_synced() {
    let mut redis = RedisServer::start();
    let store = store(&redis).await;
    create(&store, 1).await.unwrap();
    let before = incarnation(&store).await;
    redis.kill_and_restart(LEDGER_SETTINGS);
    until("the restart", async || get(&store, 1).await.is_ok()).await;
    assert_eq!(
        (get(&store, 1).await, incarnation(&store).await),
        (Ok(true), before)
    );
    // The control: the same restart where the last second may be lost.
    let lazy = &[LEDGER_SETTINGS, &["--appendfsync", "everysec"]].concat();
    redis.kill_and_restart(lazy);
    redis.kill_and_restart(lazy);
    until("the restart", async || get(&store, 1).await.is_ok()).await;
    assert_ne!(incarnation(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_another_incarnation() {
    let primary = RedisServer::start();
    let store = store(&primary).await;
    let before = incarnation(&store).await;
    let port = primary.port.to_string();
    let mut replica = RedisServer::start_with_settings(
        &[LEDGER_SETTINGS, &["--replicaof", "127.0.0.1", &port]].concat(),
    );
    semel_servers::machine::wait_until("the replica", || {
        replica
            .run_command(&["INFO", "replication"])
            .contains("master_link_status:up")
    });
    create(&store, 1).await.unwrap();
    semel_servers::machine::wait_until("the copy", || {
        replica
            .run_command(&["KEYS", "semel:*:r:*"])
            .contains("semel")
    });
    // From here on it lags: it is cut off from its primary, which acknowledges one more.
    replica.run_command(&["REPLICAOF", "127.0.0.1", "1"]);
    create(&store, 2).await.unwrap();
    replica.run_command(&["REPLICAOF", "NO", "ONE"]);
    // Not before its append-only file holds everything: a crash would empty it.
    until("the whole file", async || {
        RedisStore::open(&replica.address()).await.is_ok()
    })
    .await;
    let taken_over = open(&replica).await;
    assert_eq!(
        (get(&taken_over, 1).await, get(&taken_over, 2).await),
        (Ok(true), Ok(false)),
        "it lost what was acknowledged"
    );
    let after = incarnation(&taken_over).await;
    assert_ne!(after, before);
    // A restart does not undo it, although the server has forgotten its primary.
    replica.kill_and_restart(LEDGER_SETTINGS);
    assert!(
        !replica
            .run_command(&["INFO", "replication"])
            .contains("role:slave")
    );
    let restarted = open(&replica).await;
    assert_eq!(incarnation(&restarted).await, after);
}
