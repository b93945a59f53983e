//! Waiting for a change of a key.

use super::*;
use semel_store::{RemoveResult, ReplaceResult, Retention, Store};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// A time limit that a correct store never reaches.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Starts a task that waits for the first key to change.
pub(super) async fn waiter(store: &Arc<dyn Store>, since: Version) -> JoinHandle<()> {
    let store = Arc::clone(store);
    let waiter = tokio::spawn(async move { store.wait_for_change(key(1), since, 2 * LONG).await });
    // The waiter is asleep when the change comes, and does not just find it.
    sleep(Duration::from_millis(20)).await;
    waiter
}

/// Expects a waiter to be woken long before its time limit.
pub(super) async fn expect_wake_up(waiting: impl Future) {
    let woken = timeout(LONG, waiting).await.map(drop);
    expect!(woken, Ok(()), "whether the waiter is woken");
}

/// A replacement wakes the waiters of its key.
pub(crate) async fn a_replacement_wakes_waiters(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    let waiters = [
        waiter(&on.store, version).await,
        waiter(&on.store, version).await,
    ];
    let replaced = on
        .store
        .replace(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the expected version"
    );
    for waiter in waiters {
        expect_wake_up(waiter).await;
    }
}

/// A deferred replacement wakes the waiters of its key once it is executed.
pub(crate) async fn a_deferred_replacement_wakes_waiters(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    let waiter = waiter(&on.store, version).await;
    let deferred = on
        .store
        .replace_deferred(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    deferred.expect("the store accepts a deferred replacement");
    expect_wake_up(waiter).await;
}

/// A removal wakes the waiters of its key.
pub(crate) async fn a_removal_wakes_waiters(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    let waiter = waiter(&on.store, version).await;
    expect!(
        on.store.remove(key(1), version).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    expect_wake_up(waiter).await;
}

/// A wait for a version that is already replaced or removed returns at once.
pub(crate) async fn no_waiter_waits_for_a_past_change(on: Fixture) {
    expect_wake_up(on.store.wait_for_change(key(1), fresh_version(), 2 * LONG)).await;
    on.create(key(1), &entry(1)).await;
    expect_wake_up(on.store.wait_for_change(key(1), fresh_version(), 2 * LONG)).await;
}

/// A wait for a version that is expired returns at once.
pub(crate) async fn no_waiter_waits_for_an_expired_entry(on: Fixture) {
    let version = on
        .create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    on.advance_seconds(10);
    expect_wake_up(on.store.wait_for_change(key(1), version, 2 * LONG)).await;
}

/// A wait ends at its time limit.
pub(crate) async fn no_waiter_waits_past_its_limit(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    expect_wake_up(
        on.store
            .wait_for_change(key(1), version, Duration::from_millis(5)),
    )
    .await;
    expect_wake_up(on.store.wait_for_change(key(1), version, Duration::ZERO)).await;
}
