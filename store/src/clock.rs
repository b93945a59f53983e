//! What a store reads the time from: the machine's clocks, or a clock that a test sets.
//!
//! Only stores have one. Whoever decides by a time is told it by a store.

use semel_core::model::{Boot, Incarnation, Stamp};
use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// A moment by a machine's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Milliseconds since 1970 in UTC.
    pub wall_ms: u64,
    /// Milliseconds of a clock that nobody sets, sleep included.
    pub steady_ms: u64,
    /// The boot that `steady_ms` belongs to.
    pub boot: Boot,
}

impl ClockReading {
    /// A moment by a wall clock, where there is no other and boots are not told apart.
    #[must_use]
    pub fn from_wall(wall_ms: u64) -> Self {
        Self {
            wall_ms,
            steady_ms: wall_ms,
            boot: Boot(0),
        }
    }

    /// The moment in this life of a store.
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

/// What a store reads the time from.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> ClockReading;
}

/// The clocks of this machine.
///
/// Where the machine has no clock that nobody sets, or does not tell its boots apart, the steady time repeats the
/// wall time.
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
        let wall_ms = milliseconds(since_1970);
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

/// A clock that stands still until it is set: for tests of whatever depends on a store's time.
#[derive(Debug)]
pub struct SettableClock(Mutex<ClockReading>);

impl SettableClock {
    /// A clock that stands at this moment.
    #[must_use]
    pub fn new(moment: ClockReading) -> Self {
        Self(Mutex::new(moment))
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        self.change(|moment| {
            moment.wall_ms = moment.wall_ms.saturating_add(milliseconds(by));
            moment.steady_ms = moment.steady_ms.saturating_add(milliseconds(by));
        });
    }

    /// Somebody sets the wall clock, forward or back. The steady one runs on as it was.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.change(|moment| moment.wall_ms = wall_ms);
    }

    /// The machine is started anew: another boot, whose steady clock begins at 0.
    pub fn reboot(&self) {
        self.change(|moment| {
            moment.boot = Boot(moment.boot.0.wrapping_add(1));
            moment.steady_ms = 0;
        });
    }

    fn change(&self, change: impl FnOnce(&mut ClockReading)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for SettableClock {
    /// Noon of a day in 2026, an hour after the machine was started.
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

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A digest of the boot's name, as the kernel gives it.
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

/// Since the machine was started, the time it slept included: a lease ends while a laptop is shut, too.
#[cfg(target_os = "linux")]
fn steady_ms() -> u64 {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    milliseconds(Duration::try_from(since_boot).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn steady_ms() -> u64 {
    0
}
