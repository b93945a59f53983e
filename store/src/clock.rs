//! The clock of a store: the machine's clocks, or a clock that a test sets.
//!
//! Only stores read a clock. All decisions use the stamps that stores return.

use semel_core::model::{Boot, Incarnation, Stamp};
use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// A reading of a machine's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Milliseconds since 1970 in UTC.
    pub wall_ms: u64,
    /// Milliseconds of a monotonic clock that counts sleep.
    pub steady_ms: u64,
    /// The boot that `steady_ms` belongs to.
    pub boot: Boot,
}

impl ClockReading {
    /// Creates a reading where there is only a wall clock, and reboots are not recognised.
    #[must_use]
    pub fn from_wall(wall_ms: u64) -> Self {
        Self {
            wall_ms,
            steady_ms: wall_ms,
            boot: Boot(0),
        }
    }

    /// Returns the stamp of this reading, in this incarnation of a store.
    #[must_use]
    pub fn stamp(self, incarnation: Incarnation) -> Stamp {
        Stamp {
            wall_ms: self.wall_ms,
            steady_ms: self.steady_ms,
            boot: self.boot,
            incarnation,
        }
    }
}

/// A clock that a store reads.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the present reading.
    fn now(&self) -> ClockReading;
}

/// The clocks of this machine.
///
/// On a machine without a monotonic clock, or without a boot id, the steady time repeats the wall
/// time.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: Option<Boot>,
}

impl SystemClock {
    /// The clocks of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self {
            boot: present_boot(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> ClockReading {
        let since_1970 = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let wall_ms = duration_ms(since_1970);
        match self.boot {
            Some(boot) => ClockReading {
                wall_ms,
                steady_ms: steady_ms(),
                boot,
            },
            None => ClockReading::from_wall(wall_ms),
        }
    }
}

/// A clock that a test sets. It does not run by itself.
#[derive(Debug)]
pub struct SettableClock(Mutex<ClockReading>);

impl SettableClock {
    /// Creates a clock with this reading.
    #[must_use]
    pub fn new(moment: ClockReading) -> Self {
        Self(Mutex::new(moment))
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        self.update(|moment| {
            moment.wall_ms = moment.wall_ms.saturating_add(duration_ms(by));
            moment.steady_ms = moment.steady_ms.saturating_add(duration_ms(by));
        });
    }

    /// Sets the wall clock, forward or back. The steady clock is unchanged.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.update(|moment| moment.wall_ms = wall_ms);
    }

    /// Reboots the machine: another boot, with a steady clock that begins at 0.
    pub fn reboot(&self) {
        self.update(|moment| {
            moment.boot = Boot(moment.boot.0.wrapping_add(1));
            moment.steady_ms = 0;
        });
    }

    fn update(&self, update: impl FnOnce(&mut ClockReading)) {
        update(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for SettableClock {
    /// Creates a clock at noon of a day in 2026, an hour after the machine booted.
    fn default() -> Self {
        Self::new(ClockReading {
            wall_ms: 1_772_366_400_000,
            steady_ms: 3_600_000,
            boot: Boot(1),
        })
    }
}

impl Clock for SettableClock {
    fn now(&self) -> ClockReading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a digest of the kernel's boot id.
#[cfg(target_os = "linux")]
fn present_boot() -> Option<Boot> {
    use sha2::{Digest, Sha256};
    let name = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let digest: [u8; 32] = Sha256::digest(name.trim_ascii()).into();
    digest
        .first_chunk()
        .map(|first| Boot(u64::from_be_bytes(*first)))
}

#[cfg(not(target_os = "linux"))]
fn present_boot() -> Option<Boot> {
    None
}

/// Returns the time since the boot. It counts sleep, so that a lease ends while a laptop is closed.
#[cfg(target_os = "linux")]
fn steady_ms() -> u64 {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    duration_ms(Duration::try_from(since_boot).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn steady_ms() -> u64 {
    0
}
