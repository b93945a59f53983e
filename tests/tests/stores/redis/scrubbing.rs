//! What was overwritten or removed cannot be read from the server's files any more, once it is scrubbed.

use super::store;
use semel::store::{RemoveResult, Retention, Store};
use semel_conformance::{entry, fresh_version, handle, key};
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer};
use std::{fs, path::Path};

/// The tenants of what is overwritten and of what is removed.
const OVERWRITTEN: &str = "somebody-who-was-overwritten";
const REMOVED: &str = "somebody-who-was-removed";

/// Returns true if a file below the folder holds this text.
fn is_told(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .any(|file| match file.is_dir() {
            true => is_told(&file, text),
            false => fs::read(&file)
                .unwrap()
                .windows(text.len())
                .any(|part| part == text.as_bytes()),
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scrubbed_lies_in_no_file() {
    // Both kinds of file, none of them compressed.
    let redis =
        RedisServer::start_with_settings(&[LEDGER_SETTINGS, &["--rdbcompression", "no"]].concat());
    let store = store(&redis).await;
    let (first, second) = (fresh_version(), fresh_version());
    store
        .create(
            key(1),
            &handle(OVERWRITTEN, 1),
            first,
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    store
        .create(key(2), &handle(REMOVED, 2), second, Retention::UntilRemoved)
        .await
        .unwrap();
    redis.run_command(&["SAVE"]);
    store
        .replace(
            key(1),
            first,
            &entry(1),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
    assert!(matches!(
        store.remove(key(2), second).await,
        Ok(RemoveResult::Removed)
    ));
    let told = || [OVERWRITTEN, REMOVED].map(|name| is_told(redis.folder(), name));
    assert_eq!(
        told(),
        [true, true],
        "the control: until then it lies there"
    );
    store.scrub().await.unwrap();
    assert_eq!(told(), [false, false]);
    assert!(
        store
            .get(key(1))
            .await
            .unwrap()
            .0
            .is_some_and(|stored| stored.entry == entry(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_written_anew_are_told() {
    let redis = RedisServer::start();
    let store = store(&redis).await;
    // A folder in the way of the dump, which the server writes last.
    fs::create_dir(redis.folder().join("dump.rdb")).unwrap();
    let told = store.scrub().await.unwrap_err().to_string();
    assert!(
        told.contains("could not rewrite its files") && told.contains("rdb_last_bgsave_status:err"),
        "{told}"
    );
}
