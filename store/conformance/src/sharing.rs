//! Several hosts on one ledger, each with its own store. For stores that can be shared.

use super::*;
use super::{
    concurrency::expect_no_lost_increment,
    expectation::expect_eq,
    notification::{expect_wake_up, waiter},
};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// A write through one store is visible through another of the same place, at once unless it was
/// deferred.
pub(crate) async fn a_write_is_visible_to_other_stores(on: Fixture) {
    let Some(other) = on.open_another().await else {
        return;
    };
    let first = on.create(key(1), &entry(1)).await;
    let second = fresh_version();
    let third = fresh_version();
    let created = other
        .create(key(1), &entry(2), fresh_version(), Retention::UntilRemoved)
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, _)) => found.version, "a creation of another store's entry");
    expect_eq("the returned version", &found, &first);
    let replaced = other
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of another store's version"
    );
    let (current, now) = other.get(key(1)).await.expect("a working store reads");
    expect_eq(
        "the entry at the key, and the time",
        &on.entry_at(key(1)).await,
        &current,
    );
    expect_eq("the time", &on.store_time().await, &now);
    on.store
        .replace_deferred(key(1), second, &entry(3), third, Retention::UntilRemoved)
        .await
        .expect("the store accepts a deferred replacement");
    let carried_out = async {
        while other
            .get(key(1))
            .await
            .expect("a working store reads")
            .0
            .map(|stored| stored.version)
            != Some(third)
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    expect!(
        timeout(notification::LONG, carried_out).await,
        Ok(()),
        "whether other stores see the deferred replacement"
    );
    expect!(
        other.remove(key(1), third).await,
        Ok(RemoveResult::Removed),
        "a removal of another store's version"
    );
    expect_eq("the entry at the key", &on.entry_at(key(1)).await, &None);
}

/// Of several stores that replace one version, one succeeds.
pub(crate) async fn of_several_stores_that_write_one_wins(on: Fixture) {
    let (Some(second), Some(third)) = (on.open_another().await, on.open_another().await) else {
        return;
    };
    on.create(key(1), &handle("acme", 0)).await;
    let stores = [Arc::clone(&on.store), second, third];
    expect_no_lost_increment(&on, &stores).await;
}

/// A change through one store wakes the waiters of another.
pub(crate) async fn a_change_wakes_waiters_of_other_stores(on: Fixture) {
    let Some(other) = on.open_another().await else {
        return;
    };
    let first = on.create(key(1), &entry(1)).await;
    let second = fresh_version();
    let of_replacement = waiter(&other, first).await;
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the expected version"
    );
    expect_wake_up(of_replacement).await;
    let of_removal = waiter(&other, second).await;
    expect!(
        on.store.remove(key(1), second).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    expect_wake_up(of_removal).await;
}
