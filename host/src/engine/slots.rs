//! Slots for instances: a semaphore for threads, because a decision blocks its thread.

use parking_lot::{Condvar, Mutex};

/// The slots in which instances run, as many as the engine's pool has.
pub(super) struct InstanceSlots {
    free: Mutex<u32>,
    released: Condvar,
}

/// An occupied slot. Dropping it releases the slot.
pub(super) struct InstanceSlot<'a>(&'a InstanceSlots);

impl InstanceSlots {
    pub(super) fn new(count: u32) -> Self {
        Self {
            free: Mutex::new(count),
            released: Condvar::new(),
        }
    }

    /// Acquires a slot, and blocks while all are occupied. Fuel bounds the time for which an instance occupies one.
    pub(super) fn acquire(&self) -> InstanceSlot<'_> {
        let mut free = self.free.lock();
        self.released.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
        InstanceSlot(self)
    }
}

impl Drop for InstanceSlot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.released.notify_one();
    }
}
