//! Those that wait in this process for a key to change.

use crate::words::StoreKey;
use tokio::sync::Notify;

/// How many bells there are. Keys share them, so their number does not grow with that of the keys, and a waiter is
/// sometimes woken for nothing.
const BELLS: usize = 64;

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

    /// What rings when the key changes.
    pub(super) fn bell(&self, key: StoreKey) -> &Notify {
        // Keys are digests, so any byte of them spreads evenly.
        let [first, ..] = key.as_bytes();
        self.bells.get(usize::from(*first) % BELLS).unwrap_or(&self.spare)
    }

    /// Wakes those that wait for the key.
    pub(super) fn wake(&self, key: StoreKey) {
        self.bell(key).notify_waiters();
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }
}
