//! The gateway between one client and its server, over the standard streams.

pub(super) mod client;

use super::{CONCURRENT_CALLS, calls_per_second, gateway::GatewayProgram, message::BenchTool};
use crate::{
    results::{FigureGoal, ResultTable},
    sample::{self, Sample},
};
use anyhow::Result;
use client::StdioClient;
use std::{cell::RefCell, fs::File, io::Write, path::Path, time::Instant};

/// The number of measured starts.
const STARTS: usize = 11;

pub(super) fn measure(
    rows: &mut ResultTable,
    folder: &Path,
    gateway: &GatewayProgram,
) -> Result<()> {
    let bare = StdioClient::start_bare()?;
    let mut through = gateway.start_stdio()?;
    measure_added_latency(rows, folder, bare, &mut through)?;
    let rate = calls_per_second(CONCURRENT_CALLS, || {
        through.make_calls(BenchTool::Pay, CONCURRENT_CALLS)
    })?;
    let title = "gateway, stdio: 64 calls at once, executed, SQLite FULL";
    rows.add_row(
        title,
        "calls/s",
        rate,
        None,
        &[FigureGoal::AtLeast(3_000.0)],
    );
    measure_first_answer(rows, gateway)
}

/// Measures the added latency of one call. A sync of the disk is measured for comparison: a recorded call needs two.
fn measure_added_latency(
    rows: &mut ResultTable,
    folder: &Path,
    mut bare: StdioClient,
    through: &mut StdioClient,
) -> Result<()> {
    let mut file = File::create(folder.join("synced"))?;
    let mut sync = || {
        file.write_all(&[7; 512])?;
        Ok(file.sync_data()?)
    };
    let through = RefCell::new(through);
    let mut bare_call = || bare.make_call(BenchTool::Pay);
    let mut executed = || through.borrow_mut().make_call(BenchTool::Pay);
    let mut passed = || through.borrow_mut().make_call(BenchTool::Look);
    let [floor, executed, passed, sync] =
        sample::measure_in_turn([&mut bare_call, &mut executed, &mut passed, &mut sync])?;
    rows.add_row(
        "gateway, stdio: a sync of the disk, for comparison",
        "µs",
        sync,
        None,
        &[],
    );
    let added = |through: Sample| through.map(|through| through - floor.median);
    let title =
        "gateway, stdio: added to an executed call, SQLite FULL (floor: the call without it)";
    rows.add_row(
        title,
        "µs",
        added(executed),
        Some(floor),
        &[FigureGoal::AtMost(1_000.0)],
    );
    let title = "gateway, stdio: added to a call that passes (floor: the call without it)";
    rows.add_row(
        title,
        "µs",
        added(passed),
        Some(floor),
        &[FigureGoal::AtMost(300.0)],
    );
    Ok(())
}

/// Measures the time from the start of the program to its first answer.
fn measure_first_answer(rows: &mut ResultTable, gateway: &GatewayProgram) -> Result<()> {
    let timed = |start: &dyn Fn() -> Result<StdioClient>| {
        let begun = Instant::now();
        start().map(|_| begun.elapsed().as_secs_f64() * 1e3)
    };
    let mut bare = Vec::new();
    let mut later = Vec::new();
    for _ in 0..STARTS {
        let without = timed(&StdioClient::start_bare)?;
        bare.push(without);
        later.push(timed(&|| gateway.start_stdio())? - without);
    }
    let title = "gateway, stdio: first answer later than the server's own, compiled code kept (floor: that)";
    rows.add_row(
        title,
        "ms",
        Sample::from_values(later),
        Some(Sample::from_values(bare)),
        &[FigureGoal::AtMost(150.0)],
    );
    Ok(())
}
