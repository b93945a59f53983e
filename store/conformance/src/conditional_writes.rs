//! Conditional writes, their times, and entries of any content and size.

use super::expectation::expect_eq;
use super::*;
use semel_core::{
    ledger::Entry,
    model::{Stamp, StoreKey},
};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, StoreError, StoredEntry};

/// A creation writes an absent entry, at the store's time.
pub(crate) async fn a_creation_writes_an_absent_entry(on: Fixture) {
    let entry = entry(1);
    let version = fresh_version();
    let now = on.expected_stamp().await;
    let created = on
        .store
        .create(key(1), &entry, version, Retention::UntilRemoved)
        .await;
    let at = expect!(created, Ok(CreateResult::Created(at)) => at, "a creation of an absent entry");
    expect_eq("the time of the creation", &at, &now);
    expect_eq(
        "the entry at the key",
        &on.entry_at(key(1)).await,
        &Some(StoredEntry {
            entry,
            version,
            created: now,
            written: now,
        }),
    );
}

/// A creation returns an existing entry, and leaves it as it is.
pub(crate) async fn a_creation_leaves_an_existing_entry(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    let current = on.entry_at(key(1)).await;
    on.advance_seconds(1);
    let now = on.expected_stamp().await;
    let created = on
        .store
        .create(key(1), &entry(2), fresh_version(), Retention::Seconds(0))
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, at)) => (Some(found), at), "a creation of an existing entry");
    expect_eq(
        "the returned entry, and the time",
        &found,
        &(current.clone(), now),
    );
    expect_eq(
        "the entry at the key afterwards",
        &on.entry_at(key(1)).await,
        &current,
    );
}

/// A replacement replaces the expected version, at the store's time, and keeps the creation time.
pub(crate) async fn a_replacement_replaces_the_expected_version(on: Fixture) {
    let mut expected = on.create(key(1), &entry(1)).await;
    let created = on.expected_stamp().await;
    for number in 2..4 {
        on.advance_seconds(1);
        let entry = entry(number);
        let version = fresh_version();
        let now = on.expected_stamp().await;
        let replaced = on
            .store
            .replace(key(1), expected, &entry, version, Retention::UntilRemoved)
            .await;
        let at = expect!(replaced, Ok(ReplaceResult::Replaced(at)) => at, "a replacement of the expected version");
        expect_eq("the time of the replacement", &at, &now);
        expect_eq(
            "the entry at the key",
            &on.entry_at(key(1)).await,
            &Some(StoredEntry {
                entry,
                version,
                created,
                written: now,
            }),
        );
        expected = version;
    }
}

/// A replacement of another version writes nothing, and returns the current entry and the time.
pub(crate) async fn a_replacement_of_another_version_writes_nothing(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    on.advance_seconds(1);
    let current = on.entry_at(key(1)).await;
    let now = on.expected_stamp().await;
    let replaced = on
        .store
        .replace(
            key(1),
            fresh_version(),
            &entry(2),
            fresh_version(),
            Retention::Seconds(0),
        )
        .await;
    let found = expect!(replaced, Ok(ReplaceResult::Changed(found, at)) => (found, at), "a replacement of another version");
    expect_eq(
        "the returned entry, and the time",
        &found,
        &(current.clone(), now),
    );
    expect_eq(
        "the entry at the key afterwards",
        &on.entry_at(key(1)).await,
        &current,
    );
}

/// A replacement of an absent entry writes nothing.
pub(crate) async fn a_replacement_of_an_absent_entry_writes_nothing(on: Fixture) {
    let now = on.expected_stamp().await;
    let replaced = on
        .store
        .replace(
            key(1),
            fresh_version(),
            &entry(1),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    let found = expect!(replaced, Ok(ReplaceResult::Changed(found, at)) => (found, at), "a replacement of an absent entry");
    expect_eq("the returned entry, and the time", &found, &(None, now));
    expect_eq(
        "the entry at the key afterwards",
        &on.entry_at(key(1)).await,
        &None,
    );
}

/// Every request after a deferred replacement is answered as if that replacement had been executed.
pub(crate) async fn a_deferred_replacement_is_visible_at_once(on: Fixture) {
    let mut version = on.create(key(1), &entry(1)).await;
    let created = on.expected_stamp().await;
    for number in 2..5 {
        let entry = entry(number);
        let next = fresh_version();
        on.store
            .replace_deferred(key(1), version, &entry, next, Retention::UntilRemoved)
            .await
            .expect("the store accepts a deferred replacement");
        let current = Some(StoredEntry {
            entry,
            version: next,
            created,
            written: created,
        });
        expect_eq("the entry at the key", &on.entry_at(key(1)).await, &current);
        version = next;
    }
    let next = fresh_version();
    on.store
        .replace_deferred(key(1), version, &entry(5), next, Retention::UntilRemoved)
        .await
        .expect("the store accepts a deferred replacement");
    let replaced = on
        .store
        .replace(
            key(1),
            next,
            &entry(6),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the deferred version"
    );
}

/// A deferred replacement writes nothing where the version is another one.
pub(crate) async fn a_deferred_replacement_leaves_another_version(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    let current = on.entry_at(key(1)).await;
    for at in [key(1), key(2)] {
        let deferred = on
            .store
            .replace_deferred(
                at,
                fresh_version(),
                &entry(2),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await;
        deferred.expect("the store accepts a deferred replacement");
    }
    let both = (on.entry_at(key(1)).await, on.entry_at(key(2)).await);
    expect_eq("the entries at both keys", &both, &(current, None));
}

/// A removal leaves no entry, and the next creation has its own creation time.
pub(crate) async fn a_removal_removes_the_expected_version(on: Fixture) {
    let version = on.create(key(1), &entry(1)).await;
    let removed = on.store.remove(key(1), version).await;
    expect!(
        removed,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    expect_eq("the entry at the key", &on.entry_at(key(1)).await, &None);
    on.advance_seconds(1);
    on.create(key(1), &entry(2)).await;
    let created = on.entry_at(key(1)).await.map(|stored| stored.created);
    expect_eq(
        "the creation time of the next entry",
        &created,
        &Some(on.expected_stamp().await),
    );
}

/// A removal of another version, or of an absent entry, removes nothing, and returns the current
/// entry and the time.
pub(crate) async fn a_removal_of_another_version_removes_nothing(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    on.advance_seconds(1);
    let current = on.entry_at(key(1)).await;
    let now = on.expected_stamp().await;
    for (at, current) in [(key(1), &current), (key(2), &None)] {
        let removed = on.store.remove(at, fresh_version()).await;
        let found = expect!(removed, Ok(RemoveResult::Changed(found, at)) => (found, at), "a removal of another version");
        expect_eq(
            "the returned entry, and the time",
            &found,
            &(current.clone(), now),
        );
    }
    expect_eq(
        "the entry at the key afterwards",
        &on.entry_at(key(1)).await,
        &current,
    );
}

/// The store stamps each write with its own time, and returns its time with every answer but that
/// of a removal, also where there is no entry.
pub(crate) async fn the_store_stamps_each_write(on: Fixture) {
    let before = on.store_time().await;
    expect_eq("the time", &before, &on.expected_stamp().await);
    on.advance_seconds(5);
    let after = on.store_time().await;
    let later = Stamp {
        wall_ms: before.wall_ms + 5_000,
        steady_ms: before.steady_ms + 5_000,
        ..before
    };
    expect_eq("the time five seconds later", &after, &later);
    on.clock.reboot();
    let rebooted = on.store_time().await;
    if on.is_steady {
        assert_ne!(rebooted.boot, after.boot, "a reboot changes the boot");
        expect_eq(
            "the clocks after a reboot",
            &(rebooted.wall_ms, rebooted.steady_ms),
            &(after.wall_ms, 0),
        );
    } else {
        expect_eq("the time after a reboot of the client", &rebooted, &after);
    }
}

/// A store does not smooth its time: a clock that was set back is visible to its callers.
pub(crate) async fn a_clock_set_back_is_visible(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    let now = on.store_time().await;
    on.clock.set_wall_ms(now.wall_ms - 60_000);
    let (stored, earlier) = on.store.get(key(1)).await.expect("a working store reads");
    let written = stored.expect("the entry was written").written;
    let stamps = (earlier.wall_ms, written.wall_ms);
    expect_eq(
        "the time, and that of the earlier write",
        &stamps,
        &(now.wall_ms - 60_000, now.wall_ms),
    );
}

/// An entry of any content is returned as it was written.
pub(crate) async fn entries_are_returned_as_written(on: Fixture) {
    for (number, entry) in (0..).zip(odd_entries()) {
        on.create(key(number), &entry).await;
        expect_eq(
            "the entry",
            &on.entry_at(key(number)).await.map(|stored| stored.entry),
            &Some(entry),
        );
    }
}

/// Keys that differ in any byte are different keys, and any 32 bytes are a key.
pub(crate) async fn keys_that_differ_in_a_byte_are_different(on: Fixture) {
    on.create(any_key(), &entry(0)).await;
    for at in 0..32 {
        let mut bytes = *any_key().as_bytes();
        bytes[at] = 0;
        expect_eq(
            "the entry at another key",
            &on.entry_at(StoreKey::from_bytes(bytes)).await,
            &None,
        );
    }
    for (number, byte) in [(1, 0), (2, b'%'), (3, b'\n'), (4, 0x80)] {
        let odd = StoreKey::from_bytes([byte; 32]);
        on.create(odd, &entry(number)).await;
        expect_eq(
            "the entry",
            &on.entry_at(odd).await.map(|stored| stored.entry),
            &Some(entry(number)),
        );
    }
}

/// An entry up to the size limit is returned as it was written.
pub(crate) async fn an_entry_up_to_the_limit_is_returned_as_written(on: Fixture) {
    let largest = entry_of_size(on.entry_bytes_max);
    let version = on.create(key(1), &entry(1)).await;
    let replaced = on
        .store
        .replace(
            key(1),
            version,
            &largest,
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement by an entry of the largest size"
    );
    let current = on.entry_at(key(1)).await.map(|stored| stored.entry);
    expect_eq(
        "whether the entry is returned as written",
        &(current == Some(largest)),
        &true,
    );
}

/// An entry over the size limit is refused and not written, or stored whole.
pub(crate) async fn an_entry_over_the_limit_is_refused_or_stored_whole(on: Fixture) {
    let small = entry(1);
    let too_large = entry_of_size(semel_core::ledger::ENTRY_BYTES_MAX + 1);
    let version = on.create(key(1), &small).await;
    let replaced = on
        .store
        .replace(
            key(1),
            version,
            &too_large,
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    let expected = match &replaced {
        Ok(ReplaceResult::Replaced(_)) => &too_large,
        Err(StoreError::NotExecuted(_) | StoreError::Entry(_)) => &small,
        other => expectation::fail(
            "a replacement by an entry over the limit",
            &"a refusal, or a replacement",
            other,
        ),
    };
    let current = on.entry_at(key(1)).await.map(|stored| stored.entry);
    expect_eq(
        "whether the entry is as answered",
        &(current.as_ref() == Some(expected)),
        &true,
    );
}

/// Returns an entry of this size in its serialised form.
fn entry_of_size(bytes: usize) -> std::sync::Arc<Entry> {
    let with = |reason| {
        operation(
            "acme",
            semel_core::ledger::State::Held {
                reason,
                two_effects: false,
            },
        )
    };
    let empty = with(String::new())
        .to_bytes()
        .expect("the entry is small")
        .len();
    with("x".repeat(bytes - empty))
}
