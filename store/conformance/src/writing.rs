//! Conditional writes, times, and entries whole.

use super::expecting::expect_eq;
use super::*;
use semel_core::{
    ledger::Entry,
    model::{Stamp, StoreKey},
};
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention, StoreError, StoredEntry};

/// A creation writes where nothing lies, at the time of the store.
pub async fn a_creation_writes_where_nothing_lies(on: Fixture) {
    let entry = entry(1);
    let version = fresh_version();
    let now = on.stamp().await;
    let created = on
        .store
        .create(key(1), &entry, version, Retention::UntilRemoved)
        .await;
    let at = expect!(created, Ok(CreateResult::Created(at)) => at, "a creation where nothing lies");
    expect_eq("the time of the creation", &at, &now);
    expect_eq(
        "what lies there",
        &on.at(key(1)).await,
        &Some(StoredEntry {
            entry,
            version,
            created: now,
            written: now,
        }),
    );
}

/// A creation finds what lies, and leaves it as it is.
pub async fn a_creation_finds_what_lies_and_leaves_it(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    let lying = on.at(key(1)).await;
    on.pass(1);
    let now = on.stamp().await;
    let created = on
        .store
        .create(key(1), &entry(2), fresh_version(), Retention::Seconds(0))
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, at)) => (Some(found), at), "a creation where something lies");
    expect_eq("what is found, and the time", &found, &(lying.clone(), now));
    expect_eq("what lies there afterwards", &on.at(key(1)).await, &lying);
}

/// A replacement writes in place of the version that it expects, at the time of the store, and leaves the time of the
/// creation.
pub async fn a_replacement_takes_the_place_of_the_version_it_expects(on: Fixture) {
    let mut expected = on.put(key(1), &entry(1)).await;
    let created = on.stamp().await;
    for number in 2..4 {
        on.pass(1);
        let entry = entry(number);
        let version = fresh_version();
        let now = on.stamp().await;
        let replaced = on
            .store
            .replace(key(1), expected, &entry, version, Retention::UntilRemoved)
            .await;
        let at = expect!(replaced, Ok(ReplaceResult::Replaced(at)) => at, "a replacement of what lies there");
        expect_eq("the time of the replacement", &at, &now);
        expect_eq(
            "what lies there",
            &on.at(key(1)).await,
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

/// A replacement of another version writes nothing, and tells what lies there, and the time.
pub async fn a_replacement_of_another_version_writes_nothing(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    on.pass(1);
    let lying = on.at(key(1)).await;
    let now = on.stamp().await;
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
    expect_eq("what is found, and the time", &found, &(lying.clone(), now));
    expect_eq("what lies there afterwards", &on.at(key(1)).await, &lying);
}

/// A replacement of nothing creates nothing.
pub async fn a_replacement_of_nothing_creates_nothing(on: Fixture) {
    let now = on.stamp().await;
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
    let found = expect!(replaced, Ok(ReplaceResult::Changed(found, at)) => (found, at), "a replacement of nothing");
    expect_eq("what is found, and the time", &found, &(None, now));
    expect_eq("what lies there afterwards", &on.at(key(1)).await, &None);
}

/// What is asked after a replacement was put off is answered as if that had been carried out.
pub async fn a_replacement_put_off_is_there_for_whoever_asks(on: Fixture) {
    let mut version = on.put(key(1), &entry(1)).await;
    let created = on.stamp().await;
    for number in 2..5 {
        let entry = entry(number);
        let next = fresh_version();
        on.store
            .replace_deferred(key(1), version, &entry, next, Retention::UntilRemoved)
            .await
            .expect("it may be put off");
        let lying = Some(StoredEntry {
            entry,
            version: next,
            created,
            written: created,
        });
        expect_eq("what lies there", &on.at(key(1)).await, &lying);
        version = next;
    }
    let next = fresh_version();
    on.store
        .replace_deferred(key(1), version, &entry(5), next, Retention::UntilRemoved)
        .await
        .expect("it may be put off");
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
        "a replacement of what was put off"
    );
}

/// A replacement that was put off writes nothing where another version lies.
pub async fn a_replacement_put_off_leaves_another_version(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    let lying = on.at(key(1)).await;
    for at in [key(1), key(2)] {
        let put_off = on
            .store
            .replace_deferred(
                at,
                fresh_version(),
                &entry(2),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await;
        put_off.expect("it may be put off");
    }
    let both = (on.at(key(1)).await, on.at(key(2)).await);
    expect_eq(
        "what lies there, and where nothing lay",
        &both,
        &(lying, None),
    );
}

/// A removal leaves nothing, and the next creation begins anew.
pub async fn a_removal_takes_the_version_it_expects(on: Fixture) {
    let version = on.put(key(1), &entry(1)).await;
    let removed = on.store.remove(key(1), version).await;
    expect!(
        removed,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    expect_eq("what lies there", &on.at(key(1)).await, &None);
    on.pass(1);
    on.put(key(1), &entry(2)).await;
    let created = on.at(key(1)).await.map(|stored| stored.created);
    expect_eq(
        "when the next was created",
        &created,
        &Some(on.stamp().await),
    );
}

/// A removal of another version, or of nothing, removes nothing, and tells what lies there, and the time.
pub async fn a_removal_of_another_version_removes_nothing(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    on.pass(1);
    let lying = on.at(key(1)).await;
    let now = on.stamp().await;
    for (at, lying) in [(key(1), &lying), (key(2), &None)] {
        let removed = on.store.remove(at, fresh_version()).await;
        let found = expect!(removed, Ok(RemoveResult::Changed(found, at)) => (found, at), "a removal of another version");
        expect_eq("what is found, and the time", &found, &(lying.clone(), now));
    }
    expect_eq("what lies there afterwards", &on.at(key(1)).await, &lying);
}

/// The store writes the times, and tells the time with every answer but that of a removal, on a miss, too.
pub async fn the_store_writes_the_times(on: Fixture) {
    let before = on.now().await;
    expect_eq("the time", &before, &on.stamp().await);
    on.pass(5);
    let after = on.now().await;
    let later = Stamp {
        wall_ms: before.wall_ms + 5_000,
        steady_ms: before.steady_ms + 5_000,
        ..before
    };
    expect_eq("the time five seconds later", &after, &later);
    on.clock.reboot();
    let rebooted = on.now().await;
    if on.is_steady {
        assert_ne!(
            rebooted.boot, after.boot,
            "after a reboot the boot is another one"
        );
        expect_eq(
            "the clocks after a reboot",
            &(rebooted.wall_ms, rebooted.steady_ms),
            &(after.wall_ms, 0),
        );
    } else {
        expect_eq(
            "the time after a reboot of the machine that asks",
            &rebooted,
            &after,
        );
    }
}

/// A store does not smooth its time: that a clock went back is for others to see and judge.
pub async fn a_clock_set_back_shows(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    let now = on.now().await;
    on.clock.set_wall_ms(now.wall_ms - 60_000);
    let (stored, earlier) = on.store.get(key(1)).await.expect("a store at work reads");
    let written = stored.expect("it was written").written;
    let told = (earlier.wall_ms, written.wall_ms);
    expect_eq(
        "the time, and that of the write before",
        &told,
        &(now.wall_ms - 60_000, now.wall_ms),
    );
}

/// Whatever an entry holds, it comes back as it went in.
pub async fn entries_come_back_as_they_went_in(on: Fixture) {
    for (number, entry) in (0..).zip(odd_entries()) {
        on.put(key(number), &entry).await;
        expect_eq(
            "the entry",
            &on.at(key(number)).await.map(|stored| stored.entry),
            &Some(entry),
        );
    }
}

/// Keys that differ in any byte are different keys, and any 32 bytes are one.
pub async fn one_key_is_not_another(on: Fixture) {
    on.put(any_key(), &entry(0)).await;
    for at in 0..32 {
        let mut bytes = *any_key().as_bytes();
        bytes[at] = 0;
        expect_eq(
            "what lies at another key",
            &on.at(StoreKey::from_bytes(bytes)).await,
            &None,
        );
    }
    for (number, byte) in [(1, 0), (2, b'%'), (3, b'\n'), (4, 0x80)] {
        let odd = StoreKey::from_bytes([byte; 32]);
        on.put(odd, &entry(number)).await;
        expect_eq(
            "the entry",
            &on.at(odd).await.map(|stored| stored.entry),
            &Some(entry(number)),
        );
    }
}

/// An entry up to the limit comes back as it went in.
pub async fn an_entry_up_to_the_limit_comes_back_as_it_went_in(on: Fixture) {
    let largest = entry_of_bytes(on.entry_bytes_max);
    let version = on.put(key(1), &entry(1)).await;
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
        "a replacement by an entry as large as the limit"
    );
    let lying = on.at(key(1)).await.map(|stored| stored.entry);
    expect_eq(
        "whether the entry came back whole",
        &(lying == Some(largest)),
        &true,
    );
}

/// An entry over the limit is refused and nothing is written, or it is kept whole.
pub async fn what_is_too_large_is_refused_or_kept_whole(on: Fixture) {
    let small = entry(1);
    let too_large = entry_of_bytes(semel_core::ledger::ENTRY_BYTES_MAX + 1);
    let version = on.put(key(1), &small).await;
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
        other => expecting::fail(
            "a replacement by what is too large",
            &"it is refused, or done",
            other,
        ),
    };
    let lying = on.at(key(1)).await.map(|stored| stored.entry);
    expect_eq(
        "whether what was answered lies there",
        &(lying.as_ref() == Some(expected)),
        &true,
    );
}

/// An entry that is so many bytes long when it is written out.
fn entry_of_bytes(bytes: usize) -> std::sync::Arc<Entry> {
    let with = |reason| {
        operation(
            "acme",
            semel_core::ledger::State::Held {
                reason,
                two_effects: false,
            },
        )
    };
    let empty = with(String::new()).to_bytes().expect("it is small").len();
    with("x".repeat(bytes - empty))
}
