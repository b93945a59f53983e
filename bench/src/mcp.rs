//! What the gateway adds to a call: the same client and server with and without it in between, over the standard streams and
//! over HTTP.
//!
//! Clients and servers are of this program, and do as little as they can, so that neither is what takes the time.

mod gateway;
mod http;
mod listening;
mod message;
pub(crate) mod server;
mod stdio;

use crate::row::Rows;
use anyhow::{Context, Result};
use gateway::Gateway;
use std::{path::Path, time::Duration};

/// The calls in progress at once where there are many; the time of a round; the number of rounds.
const AT_ONCE: usize = 64;
const ROUND: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 5;

pub(crate) fn measure(rows: &mut Rows, folder: &Path, semel: Option<&Path>) -> Result<()> {
    let semel =
        semel.context("the gateway is measured as a program: say which with `--semel PROGRAM`")?;
    let gateway = Gateway::new(semel, folder)?;
    stdio::measure(rows, folder, &gateway)?;
    http::measure(rows, &gateway)
}

/// Returns the calls per second, `at_once` in progress.
fn a_second(at_once: usize, mut all: impl FnMut() -> Result<()>) -> Result<crate::sample::Sample> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = std::time::Instant::now();
        let mut done = 0;
        while begun.elapsed() < ROUND {
            all()?;
            done += at_once;
        }
        rates.push(done as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(crate::sample::Sample::of(rates))
}
