//! A deferred write delays no caller, and is written all the same.

use super::*;
use semel_conformance::{entry, fresh_version, key};
use std::time::Instant;

/// A ledger in this folder with one entry, and the entry's version.
async fn ledger(folder: &TempDir) -> (SqliteStore, Version) {
    let store = SqliteStore::open(ledger_in(folder)).unwrap();
    let version = fresh_version();
    store
        .create(key(1), &entry(1), version, Retention::UntilRemoved)
        .await
        .unwrap();
    (store, version)
}

async fn defer(store: &SqliteStore, expected: Version) -> Version {
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

/// Reads the version as another process sees it.
async fn version_on_disk(folder: &TempDir) -> Version {
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
        version = defer(&store, version).await;
        store
            .create(
                key(2 + number),
                &entry(3),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        assert_eq!(version_on_disk(&folder).await, version);
    }
    let commits = store.commits() - before;
    // A round that was delayed beyond the deferral had two.
    assert!(
        commits < 2 * u64::from(rounds),
        "{commits} commits: nothing was deferred"
    );
    // Control: a write that is not deferred is a commit of its own.
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
    let new = defer(&store, version).await;
    let begun = Instant::now();
    while version_on_disk(&folder).await != new {
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
    let new = defer(&store, version).await;
    drop(store);
    assert_eq!(version_on_disk(&folder).await, new);
}

#[tokio::test]
async fn many_do_not_wait_long_for_company() {
    let folder = folder();
    let (store, mut version) = ledger(&folder).await;
    for _ in 0..100 {
        version = defer(&store, version).await;
    }
    store
        .list(&EntryQuery {
            limit: 1,
            ..EntryQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(
        version_on_disk(&folder).await,
        version,
        "a list shows deferred writes"
    );
}
