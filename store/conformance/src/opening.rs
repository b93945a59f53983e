//! The store is closed, and its place is opened anew. For stores that claim to survive that.

use super::expecting::expect_eq;
use super::*;
use semel_core::model::Durability;
use semel_store::{RemoveResult, ReplaceResult, Retention};

/// Such a fixture; none for a store that claims to survive nothing.
fn surviving(on: Fixture) -> Option<Fixture> {
    let claim = on.store.durability();
    let can_be_opened = on.open.is_some();
    if claim != Durability::Nothing {
        expect_eq(
            &format!("whether the fixture opens anew what claims `{claim}`"),
            &can_be_opened,
            &true,
        );
    }
    can_be_opened.then_some(on)
}

/// What an answer rests on, reads included, is as durable as the store claims: it is there when the place is opened anew.
pub async fn what_was_answered_is_there_when_it_is_opened_anew(on: Fixture) {
    let Some(on) = surviving(on) else { return };
    on.put(key(1), &entry(1)).await;
    let replaced = on.put(key(2), &entry(2)).await;
    on.pass(1);
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
        "a replacement of what lies there"
    );
    let removed = on.put(key(3), &entry(4)).await;
    expect!(
        on.store.remove(key(3), removed).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    on.put_for(key(4), &entry(5), Retention::Seconds(10)).await;
    let before = (
        on.at(key(1)).await,
        on.at(key(2)).await,
        on.at(key(4)).await,
    );
    let claim = on.store.durability();
    let Some(on) = on.opened_anew().await else {
        return;
    };
    let after = (
        on.at(key(1)).await,
        on.at(key(2)).await,
        on.at(key(4)).await,
    );
    expect_eq("what lies there", &after, &before);
    expect_eq(
        "what lies where it was removed",
        &on.at(key(3)).await,
        &None,
    );
    expect_eq("what the store claims", &on.store.durability(), &claim);
    on.pass(10);
    expect_eq("what lies there at its end", &on.at(key(4)).await, &None);
}

/// What was put off is carried out before the store is closed.
pub async fn what_was_put_off_is_there_when_it_is_opened_anew(on: Fixture) {
    let Some(on) = surviving(on) else { return };
    let first = on.put(key(1), &entry(1)).await;
    let second = fresh_version();
    on.store
        .replace_deferred(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await
        .expect("it may be put off");
    let Some(on) = on.opened_anew().await else {
        return;
    };
    expect_eq(
        "the version that lies there",
        &on.version_at(key(1)).await,
        &Some(second),
    );
}

/// A place that is opened anew, with all that was acknowledged, is in the same life: it has the same incarnation.
pub async fn it_is_the_same_life_when_it_is_opened_anew(on: Fixture) {
    let Some(on) = surviving(on) else { return };
    on.put(key(1), &entry(1)).await;
    let before = on.now().await;
    let Some(on) = on.opened_anew().await else {
        return;
    };
    expect_eq("the time, and the incarnation", &on.now().await, &before);
}
