//! A sealing store is a store like any other; what lies beneath it tells nothing; and nothing that was put elsewhere opens.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

mod canaries;
mod forging;
mod formats;

use super::*;
use crate::MemoryStore;
use semel_core::ledger::Record;

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

/// A record in which everything that tells something says so, in each state.
fn records() -> Vec<Record> {
    canaries::states()
        .into_iter()
        .map(canaries::record)
        .collect()
}
