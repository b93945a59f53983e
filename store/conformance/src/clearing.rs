//! What is dropped for good, and what is left of it.

use super::expecting::expect_eq;
use super::*;
use semel_store::{EntryQuery, RemoveResult, ReplaceResult, Retention, StoreError};
use std::{fs, path::Path};

/// What no file may hold once it is gone.
const GONE: &str = "a-tenant-to-be-forgotten";

/// A purge drops what is past its end, no more than asked, and says how many; no other answer changes by it.
pub async fn a_purge_drops_only_what_is_past_its_end(on: Fixture) {
    for number in 0..5 {
        on.put_for(key(number), &entry(number), Retention::Seconds(10))
            .await;
    }
    on.put_for(key(5), &entry(5), Retention::Seconds(11)).await;
    on.put(key(6), &entry(6)).await;
    let purge = async |at_most| {
        on.store
            .purge(at_most)
            .await
            .expect("a store at work purges")
    };
    expect_eq(
        "how many are dropped while none is past its end",
        &purge(100).await,
        &0,
    );
    on.pass(10);
    expect_eq("how many are dropped of none", &purge(0).await, &0);
    let counts = [purge(3).await, purge(3).await, purge(3).await];
    // A store that drops such entries by itself has none left to drop.
    if counts != [0, 0, 0] {
        expect_eq(
            "how many are dropped of five, three at a time",
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
        .expect("a store at work lists");
    expect_eq("what is left", &left.keys, &vec![key(5), key(6)]);
    on.put(key(0), &entry(0)).await;
}

/// A scrub changes no answer, be it that the store leaves the files to others, and says so.
pub async fn a_scrub_changes_no_answer(on: Fixture) {
    on.put(key(1), &entry(1)).await;
    on.put_for(key(2), &entry(2), Retention::Seconds(10)).await;
    let before = (on.at(key(1)).await, on.at(key(2)).await, on.now().await);
    expect!(
        on.store.scrub().await,
        Ok(()) | Err(StoreError::NotExecuted(_)),
        "a scrub"
    );
    let after = (on.at(key(1)).await, on.at(key(2)).await, on.now().await);
    expect_eq("what lies there, and the time", &after, &before);
}

/// After a scrub nothing can be read from the store's own files of what was overwritten or removed.
pub async fn a_scrub_leaves_nothing_of_what_is_gone(on: Fixture) {
    let Some(folder) = on.files.clone() else {
        return;
    };
    let first = on.put(key(1), &handle(GONE, 1)).await;
    let second = on.put(key(2), &handle(GONE, 2)).await;
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
        "a replacement of what lies there"
    );
    expect!(
        on.store.remove(key(2), second).await,
        Ok(RemoveResult::Removed),
        "a removal of what lies there"
    );
    on.store.scrub().await.expect("a store at work scrubs");
    expect_eq(
        "the files that tell what is gone",
        &files_with(GONE, &folder),
        &Vec::<String>::new(),
    );
}

fn files_with(word: &str, folder: &Path) -> Vec<String> {
    let inside = fs::read_dir(folder).expect("the folder of the store is read");
    let inside = inside.map(|inside| inside.expect("the folder of the store is read").path());
    let told = inside.flat_map(|path| match fs::read(&path) {
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
    told.collect()
}
