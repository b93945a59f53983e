//! The ledger in a file: the contract, what it refuses to open, and many processes on one file.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use super::*;
use crate::store::{SettableClock, conformance::Fixture};
use tempfile::TempDir;

fn fixture() -> Fixture {
    let (clock, folder) = (Arc::new(SettableClock::default()), TempDir::new().unwrap());
    let path = folder.path().join("ledger.db");
    let store = SqliteStore::open_with_clock(path, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Fixture { store: Arc::new(store), clock, lose: None, place: Box::new(folder) }
}

crate::store_conformance!(fixture);
