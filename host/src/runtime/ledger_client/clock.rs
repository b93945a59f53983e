//! The host's own monotonic clock, by which rights end.

use std::time::Duration;

/// An instant of the boot clock, which is never set and continues while the machine sleeps: a right must not outlive a
/// suspended laptop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

impl BootInstant {
    pub(crate) fn now() -> Self {
        // `std::time::Instant` stops while the machine sleeps.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        Self(Duration::new(seconds, nanos))
    }

    pub(crate) fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(Duration::from_millis(ms)))
    }

    pub(crate) fn elapsed_ms(self) -> u64 {
        u64::try_from(Self::now().0.saturating_sub(self.0).as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the time until this instant, and zero if it is past.
    pub(crate) fn time_left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }
}
