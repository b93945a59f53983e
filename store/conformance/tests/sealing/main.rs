//! A sealing store keeps the contract, whichever store it is around.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod resealing;

use std::sync::Arc;

use semel_conformance::Fixture;
use semel_sqlite::SqliteStore;
use semel_store::{
    Clock, MemoryStore, SealingKey, SealingKeys, SealingStore, SettableClock, Store,
};

/// How large an entry may be in the clear: what is sealed is longer, and is written as text.
const SEALED_BYTES_MAX: usize = semel_core::ledger::ENTRY_BYTES_MAX / 4 * 3 - 4096;

fn key(id: &str) -> SealingKey {
    SealingKey::new(
        id,
        format!("the secret of {id}, which is long enough to be one").as_bytes(),
    )
    .unwrap()
}

fn keys(id: &str) -> SealingKeys {
    SealingKeys::new(key(id))
}

fn over_memory() -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let losing = Arc::clone(&inner);
    let store = Arc::new(SealingStore::new(inner, keys("a")));
    Fixture::new(store, clock)
        .with_loss(move || losing.forget())
        .with_entries_up_to(SEALED_BYTES_MAX)
}

mod over_memory {
    use super::over_memory;
    semel_conformance::store_conformance!(over_memory);
}

fn over_sqlite() -> Fixture {
    let (clock, folder) = (
        Arc::new(SettableClock::default()),
        tempfile::tempdir().unwrap(),
    );
    let path = folder.path().join("ledger.db");
    let ticking = Arc::clone(&clock);
    let open = move || -> Arc<dyn Store> {
        let inner =
            SqliteStore::open_with_clock(&path, Arc::clone(&ticking) as Arc<dyn Clock>).unwrap();
        Arc::new(SealingStore::new(Arc::new(inner), keys("a")))
    };
    Fixture::new(open(), clock)
        .with_reopen(move || std::future::ready(open()))
        .with_sharing()
        .with_entries_up_to(SEALED_BYTES_MAX)
        .with_files_in(&folder)
        .keep_alive(folder)
}

mod over_sqlite {
    use super::over_sqlite;
    semel_conformance::store_conformance!(over_sqlite);
}
