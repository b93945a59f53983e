//! Medians with their spread. A figure and its floor are measured in turn, so that other load on the machine affects both.

use anyhow::Result;
use std::time::{Duration, Instant};

/// The median and spread of several rounds of the same work.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Sample {
    /// Returns the median of the values, with the first and ninth decile as the spread.
    pub(crate) fn from_values(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| {
            values
                .get(values.len().saturating_sub(1) * part / 10)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Self {
            median: at(5),
            low: at(1),
            high: at(9),
        }
    }

    pub(crate) fn from_value(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
        }
    }

    /// Converts each value.
    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let low = change(self.low);
        let high = change(self.high);
        Self {
            median: change(self.median),
            low: low.min(high),
            high: low.max(high),
        }
    }
}

/// The number of measured rounds, after one for warm-up.
const ROUNDS: usize = 15;

/// The approximate time of a round.
const ROUND: Duration = Duration::from_millis(60);

/// Work that is repeated and timed.
pub(crate) type BenchWork<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Measures the microseconds of each work, in turn.
pub(crate) fn measure_in_turn<const N: usize>(
    mut works: [BenchWork<'_>; N],
) -> Result<[Sample; N]> {
    let mut counts = [1; N];
    for (count, work) in counts.iter_mut().zip(&mut works) {
        *count = calibrate_count(work)?;
    }
    let mut values = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((work, count), values) in works.iter_mut().zip(counts).zip(&mut values) {
            values.push(to_micros(time_runs(work, count)?) / f64::from(count));
        }
    }
    Ok(values.map(Sample::from_values))
}

/// Returns the number of repetitions that fill about a round.
fn calibrate_count(work: BenchWork<'_>) -> Result<u32> {
    let mut count = 1;
    loop {
        let took = time_runs(work, count)?;
        if took * 2 >= ROUND {
            return Ok(count);
        }
        count *= 2;
    }
}

fn time_runs(work: BenchWork<'_>, count: u32) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(begun.elapsed())
}

pub(crate) fn to_micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
