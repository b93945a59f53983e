//! How much is asked of a run: what a test does by itself, or more of it by `cargo xtask soak`.

use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The extent of a run.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The number of repetitions.
    pub times: u64,
    /// By this number a run is repeated.
    pub seed: u64,
    until: Option<Instant>,
}

impl Wish {
    /// Reads the extent from the variable `name`; `times` is the default.
    pub fn of(name: &str, times: u64) -> Self {
        let number = |name: &str| {
            env::var(name)
                .ok()
                .map(|text| text.parse::<u64>().expect(name))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            times: number(name).unwrap_or(times),
            seed: number("SEMEL_SOAK_SEED").unwrap_or(now.as_nanos() as u64),
            until: number("SEMEL_SOAK_MINUTES")
                .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
        }
    }

    /// Returns true if the time is up.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Returns true if it must reach its number of repetitions, however long that takes.
    pub fn has_time(&self) -> bool {
        self.until.is_none()
    }
}
