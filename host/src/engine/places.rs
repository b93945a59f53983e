//! Places to run at once: who comes when all are taken waits for one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many places.
pub(super) struct Places {
    free: Mutex<u32>,
    one_is_free: Condvar,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place<'a>(&'a Places);

impl Places {
    pub(super) fn new(count: u32) -> Self {
        Self { free: Mutex::new(count), one_is_free: Condvar::new() }
    }

    /// Takes a place. It waits at most as long as those who hold one run.
    pub(super) fn take(&self) -> Place<'_> {
        let waited = self.one_is_free.wait_while(self.free(), |free| *free == 0);
        let mut free = waited.unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }

    // A count is right whoever panicked while holding it: nothing between taking the lock and changing it can.
    fn free(&self) -> MutexGuard<'_, u32> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.one_is_free.notify_one();
    }
}
