//! Retention: the end of an entry, and the sign of entries lost before their end.

use super::expectation::expect_eq;
use super::*;
use semel_store::{CreateResult, EntryQuery, RemoveResult, ReplaceResult, Retention};

/// An expired entry is absent to every request, and its key can be created again.
pub(crate) async fn an_expired_entry_is_absent(on: Fixture) {
    let version = on
        .create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    on.advance_seconds(9);
    expect_eq(
        "the version before the end of its retention",
        &on.version_at(key(1)).await,
        &Some(version),
    );
    on.advance_seconds(1);
    expect_eq(
        "the entry at the end of its retention",
        &on.entry_at(key(1)).await,
        &None,
    );
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
        Ok(ReplaceResult::Changed(None, _)),
        "a replacement of an expired entry"
    );
    let removed = on.store.remove(key(1), version).await;
    expect!(
        removed,
        Ok(RemoveResult::Changed(None, _)),
        "a removal of an expired entry"
    );
    let new = on.create(key(1), &entry(3)).await;
    let current = on
        .entry_at(key(1))
        .await
        .map(|stored| (stored.version, stored.created));
    expect_eq(
        "the new entry's version and creation time",
        &current,
        &Some((new, on.expected_stamp().await)),
    );
}

/// An expired entry is not listed.
pub(crate) async fn an_expired_entry_is_not_listed(on: Fixture) {
    on.create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    on.create(key(2), &entry(2)).await;
    on.advance_seconds(10);
    let page = on
        .store
        .list(&EntryQuery {
            limit: 10,
            ..EntryQuery::default()
        })
        .await
        .expect("a working store lists");
    expect_eq("the list", &page.keys, &vec![key(2)]);
}

/// Each write sets the retention of its entry, counted from that write, and clears the retention
/// that an earlier write set.
pub(crate) async fn each_write_sets_the_retention(on: Fixture) {
    let mut version = on
        .create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    for keep in [
        Retention::Seconds(10),
        Retention::UntilRemoved,
        Retention::Seconds(10),
    ] {
        on.advance_seconds(9);
        let next = fresh_version();
        let replaced = on
            .store
            .replace(key(1), version, &entry(2), next, keep)
            .await;
        expect!(
            replaced,
            Ok(ReplaceResult::Replaced(_)),
            "a replacement before the end of the retention"
        );
        version = next;
        if keep == Retention::UntilRemoved {
            on.advance_seconds(1_000_000_000);
        }
    }
    on.advance_seconds(9);
    expect_eq(
        "the version before the end of its retention",
        &on.version_at(key(1)).await,
        &Some(version),
    );
    on.advance_seconds(1);
    expect_eq(
        "the entry at the end of its retention",
        &on.entry_at(key(1)).await,
        &None,
    );
}

/// An entry that is created in place of an expired one has a retention of its own, or none.
pub(crate) async fn a_recreated_entry_has_its_own_retention(on: Fixture) {
    on.create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    on.advance_seconds(10);
    on.create_for(key(1), &entry(2), Retention::Seconds(20))
        .await;
    on.advance_seconds(19);
    expect_eq(
        "whether the entry is kept until its end",
        &on.entry_at(key(1)).await.is_some(),
        &true,
    );
    on.advance_seconds(1);
    let kept = on.create(key(1), &entry(3)).await;
    on.advance_seconds(1_000_000_000);
    expect_eq(
        "the version of an entry without an end",
        &on.version_at(key(1)).await,
        &Some(kept),
    );
}

/// A deferred replacement sets the retention of its entry, as any write does.
pub(crate) async fn a_deferred_replacement_sets_the_retention(on: Fixture) {
    let first = on
        .create_for(key(1), &entry(1), Retention::Seconds(10))
        .await;
    let second = on.create(key(2), &entry(1)).await;
    let kept = fresh_version();
    let ended = fresh_version();
    let ending = Retention::Seconds(10);
    on.store
        .replace_deferred(key(1), first, &entry(2), kept, Retention::UntilRemoved)
        .await
        .expect("the store accepts a deferred replacement");
    on.store
        .replace_deferred(key(2), second, &entry(2), ended, ending)
        .await
        .expect("the store accepts a deferred replacement");
    let both = (on.version_at(key(1)).await, on.version_at(key(2)).await);
    expect_eq(
        "the versions before the end of the retention",
        &both,
        &(Some(kept), Some(ended)),
    );
    on.advance_seconds(10);
    let both = (on.version_at(key(1)).await, on.version_at(key(2)).await);
    expect_eq(
        "the versions at the end of the retention",
        &both,
        &(Some(kept), None),
    );
}

/// Any retention is accepted, from zero seconds to the largest number.
pub(crate) async fn any_retention_is_accepted(on: Fixture) {
    for (number, seconds) in [
        (1, u64::MAX),
        (2, u64::MAX / 1000),
        (3, 2_000_000_000),
        (4, 0),
    ] {
        let created = on
            .store
            .create(
                key(number),
                &entry(number),
                fresh_version(),
                Retention::Seconds(seconds),
            )
            .await;
        expect!(
            created,
            Ok(CreateResult::Created(_)),
            "a creation of an absent entry"
        );
    }
    on.advance_seconds(1_000_000_000);
    let mut kept = Vec::new();
    for number in 1..5 {
        kept.push(on.entry_at(key(number)).await.is_some());
    }
    expect_eq(
        "the entries that are kept",
        &kept,
        &vec![true, true, true, false],
    );
}

/// The incarnation in stamps stays while no acknowledged write is lost, and changes once one may
/// have been lost.
pub(crate) async fn a_loss_changes_the_incarnation(on: Fixture) {
    let before = on.store_time().await.incarnation;
    on.create(key(1), &entry(1)).await;
    let written = on
        .entry_at(key(1))
        .await
        .expect("the entry was written")
        .written;
    let incarnations = (written.incarnation, on.store_time().await.incarnation);
    expect_eq(
        "the incarnation of the write, and of the present",
        &incarnations,
        &(before, before),
    );
    if let Some(lose) = &on.lose {
        lose();
        let after = on.store_time().await.incarnation;
        assert_ne!(after, before, "a loss changes the incarnation");
    }
}
