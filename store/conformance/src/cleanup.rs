//! Purge and scrub: expired entries, and what the store's files still contain of removed ones.

use super::expectation::expect_eq;
use super::*;
use semel_store::{EntryQuery, RemoveResult, ReplaceResult, Retention, StoreError};
use std::{fs, path::Path};

/// The name that no file may hold after its entry was removed.
const GONE: &str = "a-tenant-to-be-forgotten";

/// A purge drops expired entries, no more than asked, and returns their number; it changes no other
/// answer.
pub(crate) async fn a_purge_drops_only_expired_entries(on: Fixture) {
    for number in 0..5 {
        on.create_for(key(number), &entry(number), Retention::Seconds(10))
            .await;
    }
    on.create_for(key(5), &entry(5), Retention::Seconds(11))
        .await;
    on.create(key(6), &entry(6)).await;
    let purge = async |at_most| {
        on.store
            .purge(at_most)
            .await
            .expect("a working store purges")
    };
    expect_eq(
        "the number dropped while none is expired",
        &purge(100).await,
        &0,
    );
    on.advance_seconds(10);
    expect_eq("the number dropped of none", &purge(0).await, &0);
    let counts = [purge(3).await, purge(3).await, purge(3).await];
    // A store that drops such entries by itself has none left to drop.
    if counts != [0, 0, 0] {
        expect_eq(
            "the numbers dropped of five, three at a time",
            &counts,
            &[3, 2, 0],
        );
    }
    let left = on
        .store
        .list(&EntryQuery {
            limit: 10,
            ..EntryQuery::default()
        })
        .await
        .expect("a working store lists");
    expect_eq("the list that is left", &left.keys, &vec![key(5), key(6)]);
    on.create(key(0), &entry(0)).await;
}

/// A scrub changes no answer, also where the store refuses it because others manage its files.
pub(crate) async fn a_scrub_changes_no_answer(on: Fixture) {
    on.create(key(1), &entry(1)).await;
    on.create_for(key(2), &entry(2), Retention::Seconds(10))
        .await;
    let before = (
        on.entry_at(key(1)).await,
        on.entry_at(key(2)).await,
        on.store_time().await,
    );
    expect!(
        on.store.scrub().await,
        Ok(()) | Err(StoreError::NotExecuted(_)),
        "a scrub"
    );
    let after = (
        on.entry_at(key(1)).await,
        on.entry_at(key(2)).await,
        on.store_time().await,
    );
    expect_eq("the entry at the key, and the time", &after, &before);
}

/// After a scrub the store's own files contain nothing of replaced or removed entries.
pub(crate) async fn a_scrub_leaves_no_trace_of_removed_entries(on: Fixture) {
    let Some(folder) = on.files.clone() else {
        return;
    };
    let first = on.create(key(1), &handle(GONE, 1)).await;
    let second = on.create(key(2), &handle(GONE, 2)).await;
    let replaced = on
        .store
        .replace(
            key(1),
            first,
            &entry(1),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    expect!(
        replaced,
        Ok(ReplaceResult::Replaced(_)),
        "a replacement of the expected version"
    );
    expect!(
        on.store.remove(key(2), second).await,
        Ok(RemoveResult::Removed),
        "a removal of the expected version"
    );
    on.store.scrub().await.expect("a working store scrubs");
    expect_eq(
        "the files that contain removed entries",
        &files_with(GONE, &folder),
        &Vec::<String>::new(),
    );
}

fn files_with(word: &str, folder: &Path) -> Vec<String> {
    let inside = fs::read_dir(folder).expect("the folder of the store is read");
    let inside = inside.map(|inside| inside.expect("the folder of the store is read").path());
    let found = inside.flat_map(|path| match fs::read(&path) {
        Ok(bytes)
            if bytes
                .windows(word.len())
                .any(|bytes| bytes == word.as_bytes()) =>
        {
            vec![path.display().to_string()]
        }
        Err(_) if path.is_dir() => files_with(word, &path),
        _ => vec![],
    });
    found.collect()
}
