//! Many callers on one key, and callers that go away.

use super::*;
use super::{expecting::expect_eq, waiting::LONG};
use semel_core::ledger::Entry;
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, Store, StoredEntry};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const CALLERS: u32 = 64;

/// What the calls come to that are made through one of these stores after the other, all at once.
pub(super) async fn from_all_sides<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
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

/// Of many creations at one key, one wins, and all others find its entry.
pub async fn of_many_creations_one_wins(on: Fixture) {
    let answers = from_all_sides(&[Arc::clone(&on.store)], |store, caller| async move {
        let created = store
            .create(
                key(1),
                &entry(caller),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await;
        created.expect("a store at work creates")
    })
    .await;
    let lying = on.at(key(1)).await.expect("somebody won");
    let found = answers.into_iter().filter_map(|answer| match answer {
        CreateResult::Created(_) => None,
        CreateResult::Exists(stored, _) => Some(stored),
    });
    let found: Vec<StoredEntry> = found.collect();
    expect_eq(
        "how many did not win",
        &found.len(),
        &(CALLERS as usize - 1),
    );
    expect_eq("what they found", &found, &vec![lying; found.len()]);
}

/// Of many removals of one version, one removes it, and all others find nothing.
pub async fn of_many_removals_one_wins(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let answers = from_all_sides(&[Arc::clone(&on.store)], |store, _| async move {
        matches!(
            store.remove(key(1), version).await,
            Ok(RemoveResult::Removed)
        )
    })
    .await;
    expect_eq(
        "how many removed it",
        &answers.into_iter().filter(|is_removed| *is_removed).count(),
        &1,
    );
}

/// Of all that would write in place of one version, one wins: of many that count up in one entry, each counts.
pub async fn no_replacement_is_lost(on: Fixture) {
    on.put(key(1), &handle("acme", 0)).await;
    let stores = [Arc::clone(&on.store)];
    expect_each_counts(&on, &stores).await;
}

/// Those that count up in the first key's entry through these stores all count.
pub(super) async fn expect_each_counts(on: &Fixture, stores: &[Arc<dyn Store>]) {
    from_all_sides(stores, |store, _| count_up(store)).await;
    expect_eq(
        "what was counted",
        &on.at(key(1)).await.as_ref().map(counted),
        &Some(CALLERS),
    );
}

fn counted(stored: &StoredEntry) -> u32 {
    match stored.entry.as_ref() {
        Entry::Handle(handle) => handle.names.generation,
        other => expecting::fail("what lies there", &"a counter, which is a handle", other),
    }
}

async fn count_up(store: Arc<dyn Store>) {
    let mut lying = store.get(key(1)).await.expect("a store at work reads").0;
    loop {
        let stored = lying.expect("the counter was put down");
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
        match replaced.expect("a store at work replaces") {
            ReplaceResult::Replaced(_) => return,
            ReplaceResult::Changed(other, _) => lying = other,
        }
    }
}

/// Whoever was answered that something is written finds it, or something newer, when reading.
pub async fn no_answer_runs_ahead_of_a_read(on: Fixture) {
    let seen = from_all_sides(&[Arc::clone(&on.store)], |store, caller| async move {
        let version = fresh_version();
        let created = store
            .create(
                key(caller),
                &entry(caller),
                version,
                Retention::UntilRemoved,
            )
            .await;
        created.expect("a store at work creates");
        let (stored, now) = store.get(key(caller)).await.expect("a store at work reads");
        stored.is_some_and(|stored| stored.version == version && !now.runs_behind(&stored.written))
    })
    .await;
    expect_eq(
        "how many find what they wrote",
        &seen.into_iter().filter(|found| *found).count(),
        &(CALLERS as usize),
    );
}

/// A call that was begun is carried out whether or not its future is still awaited.
pub async fn a_call_begun_is_carried_out_unawaited(on: Fixture) {
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
        "whether a call is carried out that was begun"
    );
}
