//! The ledger in a file: the contract, what is refused, what a fault leaves behind, and many processes on one file.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails panics")]

mod faulting;
mod opening;
mod putting_off;
mod same_as_memory;
mod sharing;

use super::*;
use crate::store::{SettableClock, conformance::Fixture};
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder whose content need not survive anything, in memory where there is such a place.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn ledger_in(folder: &TempDir) -> PathBuf {
    folder.path().join("ledger.db")
}

fn fixture() -> Fixture {
    let (clock, folder) = (Arc::new(SettableClock::default()), folder());
    let store = SqliteStore::open_with_clock(ledger_in(&folder), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Fixture { store: Arc::new(store), clock, is_steady: true, lose: None, place: Box::new(folder) }
}

/// A connection past all checks, as another program has it.
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

crate::store_conformance!(fixture);
