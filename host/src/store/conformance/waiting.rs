//! Waiting for a key to change.

use super::{Fixture, entry, fresh_version, key};
use crate::store::{Keep, Version};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};

/// Longer than any test waits for what happens.
const LONG: Duration = Duration::from_secs(60);

/// Somebody who waits for the key to change.
async fn waiter(on: &Fixture, since: Version) -> JoinHandle<()> {
    let store = Arc::clone(&on.store);
    let waiter = tokio::spawn(async move { store.changed(key(1), since, 2 * LONG).await });
    // So that it waits indeed, and not only finds the change.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiter.is_finished(), "nothing has changed yet");
    waiter
}

async fn returns(waiting: impl Future) {
    assert!(timeout(LONG, waiting).await.is_ok(), "whoever waits is woken");
}

/// A replacement wakes those that wait.
pub async fn a_replacement_wakes_those_that_wait(on: &Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let waiters = [waiter(on, version).await, waiter(on, version).await];
    on.store.replace(key(1), version, &entry(2), fresh_version(), Keep::UntilRemoved).await.expect("it replaces");
    for waiter in waiters {
        returns(waiter).await;
    }
}

/// A removal wakes those that wait.
pub async fn a_removal_wakes_those_that_wait(on: &Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let waiter = waiter(on, version).await;
    on.store.remove(key(1), version).await.expect("it removes");
    returns(waiter).await;
}

/// Where another version lies already, or none, nobody waits.
pub async fn nobody_waits_for_what_has_changed_already(on: &Fixture) {
    returns(on.store.changed(key(1), fresh_version(), 2 * LONG)).await;
    on.put(key(1), &entry(1)).await;
    returns(on.store.changed(key(1), fresh_version(), 2 * LONG)).await;
}

/// Nobody waits longer than agreed.
pub async fn nobody_waits_longer_than_agreed(on: &Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    returns(on.store.changed(key(1), version, Duration::from_millis(5))).await;
    returns(on.store.changed(key(1), version, Duration::ZERO)).await;
}
