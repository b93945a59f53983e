//! A key is to be dropped: what it sealed is sealed anew under the next, and nothing else about it changes.

use super::*;
use semel_conformance::Fixture;
use semel_core::ledger::{Entry, Record, RecordTime, Retention, State};
use semel_store::{ResealReport, SealCounts, StoredEntry};
use std::{collections::BTreeMap, time::Duration};

/// A store with a record under `a`, one in the clear, and a handle.
async fn three() -> (Arc<MemoryStore>, Arc<SettableClock>) {
    let clock = Arc::new(SettableClock::default());
    let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let under_a: Arc<dyn Store> = Arc::new(SealingStore::new(
        Arc::clone(&inner) as Arc<dyn Store>,
        keys("a"),
    ));
    let put = |store: Arc<dyn Store>| Fixture::new(store, Arc::clone(&clock));
    put(under_a)
        .create(
            semel_conformance::key(1),
            &semel_conformance::operation("acme", State::Started),
        )
        .await;
    let clear = put(Arc::clone(&inner) as Arc<dyn Store>);
    let landed = semel_conformance::operation(
        "acme",
        State::Undone {
            by: None,
            delivered: true,
        },
    );
    clear
        .create_for(
            semel_conformance::key(2),
            &landed,
            Retention::Seconds(86_400),
        )
        .await;
    clear
        .create(
            semel_conformance::key(3),
            &semel_conformance::handle("acme", 1),
        )
        .await;
    (inner, clock)
}

fn under_b_opening_a(inner: &Arc<MemoryStore>) -> SealingStore {
    SealingStore::new(
        Arc::clone(inner) as Arc<dyn Store>,
        keys("b").with_older_key(key("a")).unwrap(),
    )
}

async fn record_at(store: &SealingStore, number: u32) -> (Record, StoredEntry) {
    let stored = store
        .get(semel_conformance::key(number))
        .await
        .unwrap()
        .0
        .unwrap();
    let Entry::Operation(record) = &*stored.entry else {
        panic!("{stored:?}")
    };
    ((**record).clone(), stored)
}

#[tokio::test]
async fn afterwards_nothing_names_the_older_key_and_nothing_has_moved_in_time() {
    let (inner, clock) = three().await;
    let store = under_b_opening_a(&inner);
    let counts = store.count().await.unwrap();
    assert_eq!(
        counts,
        SealCounts {
            open: 1,
            sealed: BTreeMap::from([("a".to_owned(), 1)])
        }
    );
    let (before, was) = record_at(&store, 1).await;
    clock.advance(Duration::from_secs(5));
    let resealed = store.reseal(None).await.unwrap();
    assert_eq!(
        resealed,
        ResealReport {
            resealed: 2,
            ..ResealReport::default()
        }
    );
    assert_eq!(
        store.count().await.unwrap(),
        SealCounts {
            open: 0,
            sealed: BTreeMap::from([("b".to_owned(), 2)])
        }
    );
    let (after, is) = record_at(&store, 1).await;
    assert_eq!(
        (before.leased, after.leased),
        (RecordTime::ThisWrite, RecordTime::Earlier(was.written)),
        "the lease is no longer"
    );
    assert_eq!(after.first_started, RecordTime::Earlier(was.written));
    assert_eq!(after.state, before.state);
    assert_ne!(is.version, was.version);
    assert_eq!(
        store.reseal(None).await.unwrap(),
        ResealReport::default(),
        "there is nothing left to do"
    );
    // What was kept for a day is kept for the rest of it.
    clock.advance(Duration::from_secs(86_400 - 5));
    assert!(
        store
            .get(semel_conformance::key(2))
            .await
            .unwrap()
            .0
            .is_none()
    );
}

#[tokio::test]
async fn a_lease_that_is_over_is_in_doubt_and_not_renewed() {
    let (inner, clock) = three().await;
    let store = under_b_opening_a(&inner);
    clock.advance(Duration::from_secs(3_600));
    store.reseal(None).await.unwrap();
    assert!(matches!(
        record_at(&store, 1).await.0.state,
        State::InDoubt { .. }
    ));
}

#[tokio::test]
async fn what_the_host_has_no_key_for_is_told_and_left() {
    let (inner, _clock) = three().await;
    let store = SealingStore::new(inner, keys("b"));
    let resealed = store.reseal(None).await.unwrap();
    let no_key = BTreeMap::from([("a".to_owned(), 1)]);
    assert_eq!(
        resealed,
        ResealReport {
            resealed: 1,
            no_key,
            ..ResealReport::default()
        }
    );
    let stored = store
        .get(semel_conformance::key(1))
        .await
        .unwrap()
        .0
        .unwrap();
    assert!(
        matches!(&*stored.entry, Entry::Sealed(sealed) if sealed.key_id() == "a"),
        "and nobody takes it for a record"
    );
}

#[tokio::test]
async fn a_clock_that_went_back_moves_nothing() {
    let (inner, clock) = three().await;
    let store = under_b_opening_a(&inner);
    clock.set_wall_ms(0);
    assert_eq!(
        store.reseal(None).await.unwrap(),
        ResealReport {
            left: 2,
            ..ResealReport::default()
        }
    );
}
