//! Many callers on one key, and callers that drop their request.

use super::*;
use super::{expectation::expect_eq, notification::LONG};
use semel_core::ledger::Entry;
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, Store, StoredEntry};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const CALLERS: u32 = 64;

/// Calls each of these stores in turn from many tasks at once, and returns all results.
pub(super) async fn call_concurrently<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    stores: &[Arc<dyn Store>],
    call: impl Fn(Arc<dyn Store>, u32) -> F,
) -> Vec<T> {
    let callers = stores.iter().cycle().zip(0..CALLERS);
    callers
        .map(|(store, caller)| call(Arc::clone(store), caller))
        .collect::<JoinSet<_>>()
        .join_all()
        .await
}

/// Of many creations at one key, one succeeds, and all others return its entry.
pub(crate) async fn of_many_creations_one_wins(on: Fixture) {
    let answers = call_concurrently(&[Arc::clone(&on.store)], |store, caller| async move {
        let created = store
            .create(
                key(1),
                &entry(caller),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await;
        created.expect("a working store creates")
    })
    .await;
    let current = on.entry_at(key(1)).await.expect("one creation succeeded");
    let found = answers.into_iter().filter_map(|answer| match answer {
        CreateResult::Created(_) => None,
        CreateResult::Exists(stored, _) => Some(stored),
    });
    let found: Vec<StoredEntry> = found.collect();
    expect_eq(
        "the number of creations that found another entry",
        &found.len(),
        &(CALLERS as usize - 1),
    );
    expect_eq(
        "the entries that they found",
        &found,
        &vec![current; found.len()],
    );
}

/// Of many removals of one version, one succeeds, and all others find no entry.
pub(crate) async fn of_many_removals_one_wins(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    let answers = call_concurrently(&[Arc::clone(&on.store)], |store, _| async move {
        matches!(
            store.remove(key(1), version).await,
            Ok(RemoveResult::Removed)
        )
    })
    .await;
    expect_eq(
        "the number of removals that succeeded",
        &answers.into_iter().filter(|is_removed| *is_removed).count(),
        &1,
    );
}

/// Of all writes that expect one version, one succeeds: of many increments of a counter, none is
/// lost.
pub(crate) async fn no_replacement_is_lost(on: Fixture) {
    on.create(key(1), &handle("acme", 0)).await;
    let stores = [Arc::clone(&on.store)];
    expect_no_lost_increment(&on, &stores).await;
}

/// Increments the counter at the first key from many tasks, through these stores, and expects all
/// increments.
pub(super) async fn expect_no_lost_increment(on: &Fixture, stores: &[Arc<dyn Store>]) {
    call_concurrently(stores, |store, _| count_up(store)).await;
    expect_eq(
        "the counter",
        &on.entry_at(key(1)).await.as_ref().map(counted),
        &Some(CALLERS),
    );
}

fn counted(stored: &StoredEntry) -> u32 {
    match stored.entry.as_ref() {
        Entry::Handle(handle) => handle
            .owners
            .iter()
            .map(|owner| owner.of.generation)
            .sum::<u32>(),
        other => expectation::fail(
            "the entry at the key",
            &"a handle, which is the counter",
            other,
        ),
    }
}

async fn count_up(store: Arc<dyn Store>) {
    let mut current = store.get(key(1)).await.expect("a working store reads").0;
    loop {
        let stored = current.expect("the counter was created");
        let next = handle("acme", counted(&stored) + 1);
        let replaced = store
            .replace(
                key(1),
                stored.version,
                &next,
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await;
        match replaced.expect("a working store replaces") {
            ReplaceResult::Replaced(_) => return,
            ReplaceResult::Changed(other, _) => current = other,
        }
    }
}

/// A read after an acknowledged write returns that write, or a newer one.
pub(crate) async fn a_read_after_a_write_finds_it(on: Fixture) {
    let seen = call_concurrently(&[Arc::clone(&on.store)], |store, caller| async move {
        let version = fresh_version();
        let created = store
            .create(
                key(caller),
                &entry(caller),
                version,
                Retention::UntilRemoved,
            )
            .await;
        created.expect("a working store creates");
        let (stored, now) = store.get(key(caller)).await.expect("a working store reads");
        stored.is_some_and(|stored| stored.version == version && !now.runs_behind(&stored.written))
    })
    .await;
    expect_eq(
        "the number of reads that found their own write",
        &seen.into_iter().filter(|found| *found).count(),
        &(CALLERS as usize),
    );
}

/// A request that was begun is executed even if its future is dropped.
pub(crate) async fn a_dropped_request_is_carried_out(on: Fixture) {
    let version = fresh_version();
    {
        let entry = entry(1);
        let mut call = pin!(
            on.store
                .create(key(1), &entry, version, Retention::UntilRemoved)
        );
        poll_fn(|context| {
            let _ = call.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    let carried_out = async {
        while on.version_at(key(1)).await != Some(version) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    expect!(
        timeout(LONG, carried_out).await,
        Ok(()),
        "whether a dropped request is executed"
    );
}
