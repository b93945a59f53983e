//! The cost of the gateway: the same client and server with and without it between them, over the standard streams and over
//! HTTP.
//!
//! Clients and servers are this program, too. They do as little as possible, so that the figures are the gateway's.

mod gateway;
mod http;
mod http_process;
mod message;
pub(crate) mod server;
mod stdio;

use crate::results::ResultTable;
use anyhow::{Context, Result};
use gateway::GatewayProgram;
use std::{path::Path, time::Duration};

/// The number of concurrent calls.
const CONCURRENT_CALLS: usize = 64;

/// The time of a round.
const ROUND: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 5;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path, semel: Option<&Path>) -> Result<()> {
    let semel =
        semel.context("the gateway is measured as a program: name it with `--semel PROGRAM`")?;
    let gateway = GatewayProgram::new(semel, folder)?;
    stdio::measure(rows, folder, &gateway)?;
    http::measure(rows, &gateway)
}

/// Measures calls per second. `make_calls` makes `at_once` concurrent calls.
fn calls_per_second(
    at_once: usize,
    mut make_calls: impl FnMut() -> Result<()>,
) -> Result<crate::sample::Sample> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = std::time::Instant::now();
        let mut done = 0;
        while begun.elapsed() < ROUND {
            make_calls()?;
            done += at_once;
        }
        rates.push(done as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(crate::sample::Sample::from_values(rates))
}
