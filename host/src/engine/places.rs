//! Places to run at once: who comes when all are taken waits for one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many places.
pub(super) struct Places {
    state: Mutex<State>,
    one_is_free: Condvar,
}

struct State {
    free: u32,
    /// Who waits is counted, because waking nobody costs a system call too.
    waiting: u32,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place<'a>(&'a Places);

impl Places {
    pub(super) fn new(count: u32) -> Self {
        Self {
            state: Mutex::new(State {
                free: count,
                waiting: 0,
            }),
            one_is_free: Condvar::new(),
        }
    }

    /// Takes a place. It waits at most as long as those who hold one run.
    pub(super) fn take(&self) -> Place<'_> {
        let mut state = self.state();
        while state.free == 0 {
            state.waiting += 1;
            state = self
                .one_is_free
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free -= 1;
        Place(self)
    }

    // The counts are right whoever panicked while holding the lock: nothing between taking it and changing them can.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free += 1;
        let somebody_waits = state.waiting > 0;
        drop(state);
        if somebody_waits {
            self.0.one_is_free.notify_one();
        }
    }
}
