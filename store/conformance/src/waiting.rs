//! Waiting for a key to change.

use super::*;
use semel_store::{RemoveResult, ReplaceResult, Retention, Store};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Longer than any test waits for what happens.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Somebody who waits for the first key to change.
pub(super) async fn waiter(store: &Arc<dyn Store>, since: Version) -> JoinHandle<()> {
    let store = Arc::clone(store);
    let waiter = tokio::spawn(async move { store.wait_for_change(key(1), since, 2 * LONG).await });
    // So that it waits indeed, and not only finds the change.
    sleep(Duration::from_millis(20)).await;
    waiter
}

/// Whoever waits is woken long before his time is up.
pub(super) async fn expect_woken(waiting: impl Future) {
    let woken = timeout(LONG, waiting).await.map(drop);
    expect!(woken, Ok(()), "whether whoever waits is woken");
}

/// A replacement wakes those that wait.
pub async fn a_replacement_wakes_those_that_wait(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
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
        "a replacement of what lies there"
    );
    for waiter in waiters {
        expect_woken(waiter).await;
    }
}

/// A replacement that was put off wakes those that wait, once it is carried out.
pub async fn a_replacement_put_off_wakes_those_that_wait(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let waiter = waiter(&on.store, version).await;
    let put_off = on
        .store
        .replace_deferred(
            key(1),
            version,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    put_off.expect("it may be put off");
    expect_woken(waiter).await;
}

/// A removal wakes those that wait.
pub async fn a_removal_wakes_those_that_wait(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let waiter = waiter(&on.store, version).await;
    expect!(
        on.store.remove(key(1), version).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    expect_woken(waiter).await;
}

/// Where another version lies already, or none, nobody waits.
pub async fn nobody_waits_for_what_has_changed_already(on: Fixture) {
    expect_woken(on.store.wait_for_change(key(1), fresh_version(), 2 * LONG)).await;
    on.put(key(1), &entry(1)).await;
    expect_woken(on.store.wait_for_change(key(1), fresh_version(), 2 * LONG)).await;
}

/// Where what lay there is past its end, nobody waits.
pub async fn nobody_waits_for_what_is_past_its_end(on: Fixture) {
    let version = on.put_for(key(1), &entry(1), Retention::Seconds(10)).await;
    on.pass(10);
    expect_woken(on.store.wait_for_change(key(1), version, 2 * LONG)).await;
}

/// Nobody waits longer than agreed.
pub async fn nobody_waits_longer_than_agreed(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    expect_woken(
        on.store
            .wait_for_change(key(1), version, Duration::from_millis(5)),
    )
    .await;
    expect_woken(on.store.wait_for_change(key(1), version, Duration::ZERO)).await;
}
