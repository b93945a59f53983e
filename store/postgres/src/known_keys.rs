//! Keys at which something lay lately, as far as this process knows. It decides nothing: a creation there begins with a look,
//! which costs the server and the host less than an attempt that finds something.

use semel_core::model::StoreKey;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most keys that are remembered. A later one replaces an earlier one.
const KEYS_MAX: usize = 8_192;

/// Keys at which something lay lately.
pub(super) struct KnownKeys(Box<[AtomicU64]>);

impl KnownKeys {
    pub(super) fn none() -> Self {
        Self((0..KEYS_MAX).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn add(&self, key: StoreKey) {
        let (place, name) = self.place(key);
        place.inspect(|place| place.store(name, Ordering::Relaxed));
    }

    pub(super) fn has(&self, key: StoreKey) -> bool {
        let (place, name) = self.place(key);
        place.is_some_and(|place| place.load(Ordering::Relaxed) == name)
    }

    /// Keys are digests, so any part of one is as good as its name.
    fn place(&self, key: StoreKey) -> (Option<&AtomicU64>, u64) {
        let name = u64::from_be_bytes(*key.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        (self.0.get(name as usize % KEYS_MAX), name)
    }
}
