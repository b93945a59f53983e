//! Several hosts at one place, each with a store of its own. For stores that can be shared.

use super::*;
use super::{
    contending::expect_each_counts,
    expecting::expect_eq,
    waiting::{expect_woken, waiter},
};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// What is written through one store is found through another of the same place, at once where it was not put off.
pub async fn what_one_writes_another_finds(on: Fixture) {
    let Some(other) = on.another().await else {
        return;
    };
    let first = on.put(key(1), &entry(1)).await;
    let second = fresh_version();
    let third = fresh_version();
    let created = other
        .create(key(1), &entry(2), fresh_version(), Retention::UntilRemoved)
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, _)) => found.version, "a creation where another created");
    expect_eq("the version that it finds", &found, &first);
    let replaced = other
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of what another created"
    );
    let (lying, now) = other.get(key(1)).await.expect("a store at work reads");
    expect_eq(
        "what lies there, and the time",
        &on.at(key(1)).await,
        &lying,
    );
    expect_eq("the time", &on.now().await, &now);
    on.store
        .replace_deferred(key(1), second, &entry(3), third, Retention::UntilRemoved)
        .await
        .expect("it may be put off");
    let carried_out = async {
        while other
            .get(key(1))
            .await
            .expect("a store at work reads")
            .0
            .map(|stored| stored.version)
            != Some(third)
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    expect!(
        timeout(waiting::LONG, carried_out).await,
        Ok(()),
        "whether what was put off is there for others, too"
    );
    expect!(
        other.remove(key(1), third).await,
        Ok(RemoveResult::Removed),
        "a removal of what another wrote"
    );
    expect_eq("what lies there", &on.at(key(1)).await, &None);
}

/// Of several stores that write in place of one version, one wins.
pub async fn of_several_that_write_one_wins(on: Fixture) {
    let (Some(second), Some(third)) = (on.another().await, on.another().await) else {
        return;
    };
    on.put(key(1), &handle("acme", 0)).await;
    let stores = [Arc::clone(&on.store), second, third];
    expect_each_counts(&on, &stores).await;
}

/// A change made through one store wakes those that wait at another.
pub async fn a_change_by_one_wakes_those_that_wait_at_another(on: Fixture) {
    let Some(other) = on.another().await else {
        return;
    };
    let first = on.put(key(1), &entry(1)).await;
    let second = fresh_version();
    let of_replacement = waiter(&other, first).await;
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of what lies there"
    );
    expect_woken(of_replacement).await;
    let of_removal = waiter(&other, second).await;
    expect!(
        on.store.remove(key(1), second).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    expect_woken(of_removal).await;
}
