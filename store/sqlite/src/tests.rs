//! The ledger in a file: the contract, refused files, faults, and many processes on one file.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

mod deferring;
mod faulting;
mod opening;
mod same_as_memory;
mod sharing;

use super::*;
use semel_conformance::Fixture;
use semel_store::SettableClock;
use std::path::PathBuf;
use tempfile::TempDir;

/// A temporary folder, in memory if possible: its content need not survive anything.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

fn ledger_in(folder: &TempDir) -> PathBuf {
    folder.path().join("ledger.db")
}

fn fixture() -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let folder = folder();
    let path = ledger_in(&folder);
    let ticking = Arc::clone(&clock);
    let open = move || -> Arc<dyn Store> {
        Arc::new(
            SqliteStore::open_with_clock(&path, Arc::clone(&ticking) as Arc<dyn Clock>).unwrap(),
        )
    };
    Fixture::new(open(), clock)
        .with_reopen(move || std::future::ready(open()))
        .with_sharing()
        .with_files_in(&folder)
        .keep_alive(folder)
}

/// A connection without any checks, like that of another program.
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

semel_conformance::store_conformance!(fixture);
