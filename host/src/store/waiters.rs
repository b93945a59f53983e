//! Those that wait in this process for a key to change.

use crate::words::StoreKey;
use tokio::sync::Notify;

/// How many bells there are. Keys share them, so their number does not grow with that of the keys, and a waiter is
/// sometimes woken for nothing.
pub(super) const BELLS: usize = 64;

/// Those that wait in this process for a key to change.
#[derive(Debug)]
pub(super) struct Waiters {
    bells: [Notify; BELLS],
    spare: Notify,
}

impl Waiters {
    pub(super) fn new() -> Self {
        Self { bells: [const { Notify::const_new() }; BELLS], spare: Notify::const_new() }
    }

    /// Which bell rings when the key changes.
    pub(super) fn number(key: StoreKey) -> usize {
        // Keys are digests, so any byte of them spreads evenly.
        let [first, ..] = key.as_bytes();
        usize::from(*first) % BELLS
    }

    /// What rings when the key changes.
    pub(super) fn bell(&self, key: StoreKey) -> &Notify {
        self.bells.get(Self::number(key)).unwrap_or(&self.spare)
    }

    /// Wakes those that wait for the key.
    pub(super) fn wake(&self, key: StoreKey) {
        self.bell(key).notify_waiters();
    }

    /// Wakes those of one bell.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn wake_number(&self, number: usize) {
        self.bells.get(number).unwrap_or(&self.spare).notify_waiters();
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }
}
