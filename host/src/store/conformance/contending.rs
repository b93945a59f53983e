//! Many callers on one key, and callers that go away.

use super::{Fixture, entry, fresh_version, handle, key};
use crate::{
    ledger::Entry,
    store::{Created, Keep, Replaced, Store, Stored},
};
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CALLERS: u32 = 64;

async fn from_all_sides<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    on: &Fixture,
    call: impl Fn(Arc<dyn Store>, u32) -> F,
) -> Vec<T> {
    (0..CALLERS).map(|caller| call(Arc::clone(&on.store), caller)).collect::<JoinSet<_>>().join_all().await
}

/// Of many creations at one key, one wins, and all others find its entry.
pub async fn of_many_creations_one_wins(on: &Fixture) {
    let answers = from_all_sides(on, |store, caller| async move {
        store
            .create(key(1), &entry(caller), fresh_version(), Keep::UntilRemoved)
            .await
            .expect("a store at work creates")
    })
    .await;
    let lying = on.at(key(1)).await.expect("somebody won");
    let found = answers.into_iter().filter_map(|answer| match answer {
        Created::Created(_) => None,
        Created::Exists(stored, _) => Some(stored),
    });
    let found: Vec<Stored> = found.collect();
    assert_eq!(found, vec![lying; CALLERS as usize - 1]);
}

/// Of many that count up in one entry, each counts.
pub async fn no_replacement_is_lost(on: &Fixture) {
    on.put(key(1), &handle("acme", 0)).await;
    from_all_sides(on, |store, _| count_up(store)).await;
    assert_eq!(on.at(key(1)).await.as_ref().map(counted), Some(CALLERS));
}

fn counted(stored: &Stored) -> u32 {
    match stored.entry.as_ref() {
        Entry::Handle(handle) => handle.names.generation,
        other => panic!("a counter is a handle: {other:?}"),
    }
}

async fn count_up(store: Arc<dyn Store>) {
    let mut lying = store.get(key(1)).await.expect("a store at work reads").0;
    loop {
        let stored = lying.expect("the counter was put down");
        let next = handle("acme", counted(&stored) + 1);
        let replaced = store.replace(key(1), stored.version, &next, fresh_version(), Keep::UntilRemoved).await;
        match replaced.expect("a store at work replaces") {
            Replaced::Replaced(_) => return,
            Replaced::Changed(other, _) => lying = other,
        }
    }
}

/// Whoever was answered that something is written finds it, or something newer, when reading.
pub async fn no_answer_runs_ahead_of_a_read(on: &Fixture) {
    let seen = from_all_sides(on, |store, caller| async move {
        let version = fresh_version();
        store.create(key(caller), &entry(caller), version, Keep::UntilRemoved).await.expect("a store at work creates");
        let (stored, now) = store.get(key(caller)).await.expect("a store at work reads");
        stored.is_some_and(|stored| stored.version == version && !now.runs_behind(&stored.written))
    })
    .await;
    assert_eq!(seen, vec![true; CALLERS as usize]);
}

/// A call that was begun is carried out though its caller is gone.
pub async fn a_call_begun_is_carried_out_unawaited(on: &Fixture) {
    let version = fresh_version();
    {
        let entry = entry(1);
        let mut call = pin!(on.store.create(key(1), &entry, version, Keep::UntilRemoved));
        poll_fn(|context| {
            let _ = call.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    let begun = Instant::now();
    while on.at(key(1)).await.is_none_or(|stored| stored.version != version) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was begun, and is not carried out");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
