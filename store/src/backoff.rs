//! Exponential backoff: the pauses between two polls, tries or reconnections.

use std::{iter, time::Duration};

/// Pauses that double from the first to the longest, so that a server that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// One pause without an end, for a waiter that misses no notification and so never polls.
    pub(crate) const NEVER: Self = Self::new(Duration::MAX, Duration::MAX);

    /// Creates a backoff from its first pause and its longest.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Returns the pause that follows a pause of this length, or the first one after `None`.
    ///
    /// ```
    /// use semel_store::Backoff;
    /// use std::time::Duration;
    ///
    /// let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(50));
    /// assert_eq!(backoff.pause_after(None), Duration::from_millis(20));
    /// assert_eq!(backoff.pause_after(Some(Duration::from_millis(20))), Duration::from_millis(40));
    /// assert_eq!(backoff.pause_after(Some(Duration::from_millis(40))), Duration::from_millis(50));
    /// ```
    #[must_use]
    pub fn pause_after(self, last: Option<Duration>) -> Duration {
        match last {
            None => self.first,
            Some(last) => last.saturating_mul(2).min(self.longest),
        }
    }

    /// Returns all pauses in their order, without an end.
    pub fn pauses(self) -> impl Iterator<Item = Duration> + Send {
        iter::successors(Some(self.first), move |last| {
            Some(self.pause_after(Some(*last)))
        })
    }
}
