//! Durability: the store is closed and opened again. For stores that claim to survive that.

use super::expectation::expect_eq;
use super::*;
use semel_core::model::Durability;
use semel_store::{RemoveResult, ReplaceResult, Retention};

/// Returns the fixture, or `None` if its store claims to survive nothing and cannot be opened
/// again.
fn durable_fixture(on: Fixture) -> Option<Fixture> {
    let claim = on.store.durability();
    let can_be_opened = on.open.is_some();
    if claim != Durability::Nothing {
        expect_eq(
            &format!("whether the fixture can reopen a store that claims `{claim}`"),
            &can_be_opened,
            &true,
        );
    }
    can_be_opened.then_some(on)
}

/// Each answer, reads included, rests on state as durable as the store claims: the store still has
/// it after it was opened again.
pub(crate) async fn an_answer_survives_reopening(on: Fixture) {
    let Some(on) = durable_fixture(on) else {
        return;
    };
    on.create(key(1), &entry(1)).await;
    let replaced = on.create(key(2), &entry(2)).await;
    on.advance_seconds(1);
    let replaced = on
        .store
        .replace(
            key(2),
            replaced,
            &entry(3),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the expected version"
    );
    let removed = on.create(key(3), &entry(4)).await;
    expect!(
        on.store.remove(key(3), removed).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    on.create_for(key(4), &entry(5), Retention::Seconds(10))
        .await;
    let before = (
        on.entry_at(key(1)).await,
        on.entry_at(key(2)).await,
        on.entry_at(key(4)).await,
    );
    let claim = on.store.durability();
    let Some(on) = on.reopen().await else {
        return;
    };
    let after = (
        on.entry_at(key(1)).await,
        on.entry_at(key(2)).await,
        on.entry_at(key(4)).await,
    );
    expect_eq("the entry at the key", &after, &before);
    expect_eq(
        "the entry at a removed key",
        &on.entry_at(key(3)).await,
        &None,
    );
    expect_eq("the claimed durability", &on.store.durability(), &claim);
    on.advance_seconds(10);
    expect_eq(
        "the entry at the end of its retention",
        &on.entry_at(key(4)).await,
        &None,
    );
}

/// A deferred replacement is executed before the store is closed.
pub(crate) async fn a_deferred_write_survives_reopening(on: Fixture) {
    let Some(on) = durable_fixture(on) else {
        return;
    };
    let first = on.create(key(1), &entry(1)).await;
    let second = fresh_version();
    on.store
        .replace_deferred(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await
        .expect("the store accepts a deferred replacement");
    let Some(on) = on.reopen().await else {
        return;
    };
    expect_eq(
        "the version at the key",
        &on.version_at(key(1)).await,
        &Some(second),
    );
}

/// A store that is opened again with all acknowledged writes has the same incarnation.
pub(crate) async fn reopening_keeps_the_incarnation(on: Fixture) {
    let Some(on) = durable_fixture(on) else {
        return;
    };
    on.create(key(1), &entry(1)).await;
    let before = on.store_time().await;
    let Some(on) = on.reopen().await else {
        return;
    };
    expect_eq(
        "the time, and the incarnation",
        &on.store_time().await,
        &before,
    );
}
