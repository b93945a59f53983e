//! What nobody waits for keeps nobody, and is written all the same.

use super::*;
use semel_conformance::{entry, fresh_version, key};
use std::time::Instant;

/// A ledger in this folder in which an entry lies, and its version.
async fn ledger(folder: &TempDir) -> (SqliteStore, Version) {
    let store = SqliteStore::open(ledger_in(folder)).unwrap();
    let version = fresh_version();
    store
        .create(key(1), &entry(1), version, Retention::UntilRemoved)
        .await
        .unwrap();
    (store, version)
}

async fn put_off(store: &SqliteStore, expected: Version) -> Version {
    let version = fresh_version();
    store
        .replace_deferred(
            key(1),
            expected,
            &entry(2),
            version,
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    version
}

/// As another process sees it.
async fn seen(folder: &TempDir) -> Version {
    SqliteStore::open(ledger_in(folder))
        .unwrap()
        .get(key(1))
        .await
        .unwrap()
        .0
        .unwrap()
        .version
}

#[tokio::test]
async fn it_goes_with_the_next_commit() {
    let folder = folder();
    let (store, mut version) = ledger(&folder).await;
    let before = store.commits();
    let rounds = 20;
    for number in 0..rounds {
        version = put_off(&store, version).await;
        store
            .create(
                key(2 + number),
                &entry(3),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        assert_eq!(seen(&folder).await, version);
    }
    let commits = store.commits() - before;
    // A round that was held up for long had two.
    assert!(
        commits < 2 * u64::from(rounds),
        "{commits} commits: nothing was put off"
    );
    // Control: what is not put off is a commit of its own.
    let before = store.commits();
    store
        .replace(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    store
        .create(
            key(100),
            &entry(3),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    assert_eq!(store.commits() - before, 2);
}

#[tokio::test]
async fn it_is_written_where_nothing_comes_next() {
    let folder = folder();
    let (store, version) = ledger(&folder).await;
    let new = put_off(&store, version).await;
    let begun = Instant::now();
    while seen(&folder).await != new {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is never written"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn it_is_written_before_the_store_is_gone() {
    let folder = folder();
    let (store, version) = ledger(&folder).await;
    let new = put_off(&store, version).await;
    drop(store);
    assert_eq!(seen(&folder).await, new);
}

#[tokio::test]
async fn many_do_not_wait_long_for_company() {
    let folder = folder();
    let (store, mut version) = ledger(&folder).await;
    for _ in 0..100 {
        version = put_off(&store, version).await;
    }
    store
        .list(&EntryQuery {
            limit: 1,
            ..EntryQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(
        seen(&folder).await,
        version,
        "a list shows what was put off"
    );
}
