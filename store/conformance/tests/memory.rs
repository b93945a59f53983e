//! The store in memory keeps the contract.

use std::sync::Arc;

use semel_conformance::Fixture;
use semel_store::{Clock, MemoryStore, SettableClock};

fn fixture() -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let losing = Arc::clone(&store);
    Fixture::new(store, clock).with_loss(move || losing.forget())
}

semel_conformance::store_conformance!(fixture);
