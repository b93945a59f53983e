//! Versions, by which a writer recognises the entry it read, and its own write.

use super::expectation::expect_eq;
use super::*;
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention};

/// A version never recurs for a key, not even after a removal: it is the writer's random value, and
/// the store never makes one up.
pub(crate) async fn a_version_never_recurs(on: Fixture) {
    let old = on.create(key(1), &entry(1)).await;
    expect!(
        on.store.remove(key(1), old).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    let new = on.create(key(1), &entry(1)).await;
    let replaced = on
        .store
        .replace(
            key(1),
            old,
            &entry(2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Changed(Some(_), _)),
        "a replacement of the removed version"
    );
    let removed = on.store.remove(key(1), old).await;
    expect!(
        removed,
        Ok(RemoveResult::Changed(Some(_), _)),
        "a removal of the removed version"
    );
    expect_eq(
        "the version at the key",
        &on.version_at(key(1)).await,
        &Some(new),
    );
}

/// Any value may be a version.
pub(crate) async fn any_value_is_a_version(on: Fixture) {
    let mut expected = on.create(key(1), &entry(1)).await;
    for byte in [0, 0xff, b'\'', 0x80] {
        let version = Version::from_bytes([byte; 16]);
        let replaced = on
            .store
            .replace(
                key(1),
                expected,
                &entry(2),
                version,
                Retention::UntilRemoved,
            )
            .await;
        expect!(
            replaced,
            Ok(ReplaceResult::Replaced(_)),
            "a replacement of the expected version"
        );
        expect_eq(
            "the version at the key",
            &on.version_at(key(1)).await,
            &Some(version),
        );
        expected = version;
    }
    expect!(
        on.store.remove(key(1), expected).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
}

/// A writer that lost the answer and repeats the write gets the existing entry, and recognises its
/// own version.
pub(crate) async fn a_repeated_write_finds_its_own_version(on: Fixture) {
    let first = on.create(key(1), &entry(1)).await;
    on.advance_seconds(1);
    let created = on
        .store
        .create(key(1), &entry(1), first, Retention::UntilRemoved)
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, _)) => found.version, "a repeated creation");
    expect_eq("the returned version", &found, &first);
    let second = fresh_version();
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the expected version"
    );
    let current = on.entry_at(key(1)).await;
    on.advance_seconds(1);
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    let found =
        expect!(replaced, Ok(ReplaceResult::Changed(found, _)) => found, "a repeated replacement");
    expect_eq("the returned entry", &found, &current);
}
