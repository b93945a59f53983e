//! Versions: by which a writer knows what he rests on, and what he wrote.

use super::expecting::expect_eq;
use super::*;
use semel_store::{CreateResult, RemoveResult, ReplaceResult, Retention};

/// A version never recurs for a key, not even after removal: it is the writer's own random value, and the store never
/// makes one up.
pub async fn a_version_never_recurs(on: Fixture) {
    let old = on.put(key(1), &entry(1)).await;
    expect!(
        on.store.remove(key(1), old).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    let new = on.put(key(1), &entry(1)).await;
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
        "a replacement of the version that was removed"
    );
    let removed = on.store.remove(key(1), old).await;
    expect!(
        removed,
        Ok(RemoveResult::Changed(Some(_), _)),
        "a removal of the version that was removed"
    );
    expect_eq(
        "the version that lies there",
        &on.version_at(key(1)).await,
        &Some(new),
    );
}

/// Any value may be a version.
pub async fn a_version_is_any_value(on: Fixture) {
    let mut expected = on.put(key(1), &entry(1)).await;
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
            "a replacement of what lies there"
        );
        expect_eq(
            "the version that lies there",
            &on.version_at(key(1)).await,
            &Some(version),
        );
        expected = version;
    }
    expect!(
        on.store.remove(key(1), expected).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
}

/// Whoever never heard what became of a write and asks for it again is told that something lies there, and finds that it is
/// his own.
pub async fn a_write_asked_for_again_finds_itself(on: Fixture) {
    let first = on.put(key(1), &entry(1)).await;
    on.pass(1);
    let created = on
        .store
        .create(key(1), &entry(1), first, Retention::UntilRemoved)
        .await;
    let found = expect!(created, Ok(CreateResult::Exists(found, _)) => found.version, "a creation that is repeated");
    expect_eq("the version that it finds", &found, &first);
    let second = fresh_version();
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of what lies there"
    );
    let lying = on.at(key(1)).await;
    on.pass(1);
    let replaced = on
        .store
        .replace(key(1), first, &entry(2), second, Retention::UntilRemoved)
        .await;
    let found = expect!(replaced, Ok(ReplaceResult::Changed(found, _)) => found, "a replacement that is repeated");
    expect_eq("what it finds", &found, &lying);
}
