//! Medians with their spread. Floors are measured in turn with what they are compared with, so that whatever else the
//! machine does meets both.

use anyhow::Result;
use std::time::{Duration, Instant};

/// The results of several rounds of the same work.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Sample {
    /// The median of these, and the first and last tenth as the spread.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
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

    pub(crate) fn exactly(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
        }
    }

    /// Each value turned into another.
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

/// Something that is done again and again.
pub(crate) type Work<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Microseconds for each of these, in turn.
pub(crate) fn microseconds<const N: usize>(mut works: [Work<'_>; N]) -> Result<[Sample; N]> {
    let mut counts = [1; N];
    for (count, work) in counts.iter_mut().zip(&mut works) {
        *count = fitting(work)?;
    }
    let mut values = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((work, count), values) in works.iter_mut().zip(counts).zip(&mut values) {
            values.push(micros(timed(work, count)?) / f64::from(count));
        }
    }
    Ok(values.map(Sample::of))
}

/// Returns how often a work fits into a round.
fn fitting(work: Work<'_>) -> Result<u32> {
    let mut count = 1;
    loop {
        let took = timed(work, count)?;
        if took * 2 >= ROUND {
            return Ok(count);
        }
        count *= 2;
    }
}

fn timed(work: Work<'_>, count: u32) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..count {
        work()?;
    }
    Ok(begun.elapsed())
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
