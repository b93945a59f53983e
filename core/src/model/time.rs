//! Times by the ledger's store. No host's own clock is ever in a record.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

/// The most by which the wall clocks of two boots or lives of a store are taken to differ, in
/// milliseconds.
const CLOCK_MARGIN_MS: u64 = 60_000;

/// The boot from which a store's steady clock counts: it changes when the machine restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Boot(pub u64);

/// Which life of a store this is: it changes when the store may have lost writes it acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A moment by a store's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970 in UTC. People and time servers may set this clock.
    pub wall_ms: u64,
    /// Milliseconds of a clock that is never set, within one boot. A store without such a clock
    /// repeats `wall_ms`.
    pub steady_ms: u64,
    /// The boot that `steady_ms` belongs to.
    pub boot: Boot,
    /// The life of the store.
    pub incarnation: Incarnation,
}

impl Stamp {
    /// Returns the time since `earlier`: the longest that either clock allows, for what a long time
    /// forbids (such as sending again under a key that the target may have forgotten).
    #[must_use]
    pub fn longest_since(&self, earlier: &Self) -> u64 {
        let wall = self.wall_ms.saturating_sub(earlier.wall_ms);
        self.steady_since(earlier)
            .map_or(wall, |steady| wall.max(steady))
    }

    /// Returns the time since `earlier`: the shortest that either clock allows, for what a long
    /// time permits.
    #[must_use]
    pub fn shortest_since(&self, earlier: &Self) -> u64 {
        let wall = self.wall_ms.saturating_sub(earlier.wall_ms);
        self.steady_since(earlier)
            .map_or(wall, |steady| wall.min(steady))
    }

    /// Returns the time since `earlier` by the steady clock, or `None` after another boot.
    #[must_use]
    pub fn steady_since(&self, earlier: &Self) -> Option<u64> {
        (self.boot == earlier.boot).then(|| self.steady_ms.saturating_sub(earlier.steady_ms))
    }

    /// Returns true if this moment certainly comes after `earlier`. Moments of two boots or lives of
    /// the store are a minute apart at least, because their clocks may differ by less.
    pub(crate) fn is_certainly_after(&self, earlier: &Self) -> bool {
        let same_clocks = self.boot == earlier.boot && self.incarnation == earlier.incarnation;
        let margin_ms = if same_clocks { 0 } else { CLOCK_MARGIN_MS };
        self.shortest_since(earlier) > margin_ms
    }

    /// Returns true if a clock went back since `earlier`: nothing may be granted by it.
    #[must_use]
    pub fn runs_behind(&self, earlier: &Self) -> bool {
        self.wall_ms < earlier.wall_ms
            || (self.boot == earlier.boot && self.steady_ms < earlier.steady_ms)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.wall_ms))
    }
}

/// A moment as RFC 3339 prints it, in UTC, to the millisecond.
#[must_use]
pub fn rfc3339(wall_ms: u64) -> String {
    // What lies past the year 9999 has no RFC 3339 form.
    const LAST_MS: u64 = 253_402_300_799_999;
    let moment = UNIX_EPOCH + Duration::from_millis(wall_ms.min(LAST_MS));
    humantime::format_rfc3339_millis(moment).to_string()
}
