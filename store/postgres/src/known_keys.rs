//! The keys that recently held an entry, as far as this process knows.
//!
//! A hint only: a creation at a known key begins with a read, which costs the server and the host less
//! than an insert that conflicts.

use semel_core::model::StoreKey;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of the table. A later key may replace an earlier one.
const KEYS_MAX: usize = 8_192;

/// A lossy set of keys: a hash table without buckets.
pub(super) struct KnownKeys(Box<[AtomicU64]>);

impl KnownKeys {
    pub(super) fn new() -> Self {
        Self((0..KEYS_MAX).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn insert(&self, key: StoreKey) {
        let (slot, prefix) = self.slot(key);
        if let Some(slot) = slot {
            slot.store(prefix, Ordering::Relaxed);
        }
    }

    pub(super) fn contains(&self, key: StoreKey) -> bool {
        let (slot, prefix) = self.slot(key);
        slot.is_some_and(|slot| slot.load(Ordering::Relaxed) == prefix)
    }

    /// Returns the slot of a key, and the part of the key that it holds. Keys are digests, so 64 bits
    /// identify one well enough for a hint.
    fn slot(&self, key: StoreKey) -> (Option<&AtomicU64>, u64) {
        let prefix = u64::from_be_bytes(*key.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        (self.0.get(prefix as usize % KEYS_MAX), prefix)
    }
}
