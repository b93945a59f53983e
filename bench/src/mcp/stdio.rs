//! The gateway between one client and its server, all over the standard streams.

pub(super) mod client;

use super::{AT_ONCE, a_second, gateway::Gateway, message::Tool};
use crate::{
    row::{Reach, Rows},
    sample::{self, Sample},
};
use anyhow::Result;
use client::Client;
use std::{cell::RefCell, fs::File, io::Write, path::Path, time::Instant};

/// The number of connections made.
const STARTS: usize = 11;

pub(super) fn measure(rows: &mut Rows, folder: &Path, gateway: &Gateway) -> Result<()> {
    let bare = Client::bare()?;
    let mut through = gateway.client()?;
    one_at_a_time(rows, folder, bare, &mut through)?;
    let rate = a_second(AT_ONCE, || through.calls(Tool::Pay, AT_ONCE))?;
    let title = "gateway, stdio: 64 calls at once, executed, SQLite FULL";
    rows.add(title, "calls/s", rate, None, &[Reach::AtLeast(3_000.0)]);
    first_answers(rows, gateway)
}

/// The latency that is added to one call, beside a sync of the disk: a recorded call needs two.
fn one_at_a_time(
    rows: &mut Rows,
    folder: &Path,
    mut bare: Client,
    through: &mut Client,
) -> Result<()> {
    let mut file = File::create(folder.join("synced"))?;
    let mut sync = || {
        file.write_all(&[7; 512])?;
        Ok(file.sync_data()?)
    };
    let through = RefCell::new(through);
    let mut bare_call = || bare.call(Tool::Pay);
    let mut executed = || through.borrow_mut().call(Tool::Pay);
    let mut passed = || through.borrow_mut().call(Tool::Look);
    let [floor, executed, passed, sync] =
        sample::microseconds([&mut bare_call, &mut executed, &mut passed, &mut sync])?;
    rows.add(
        "gateway, stdio: a sync of the disk, for comparison",
        "µs",
        sync,
        None,
        &[],
    );
    let added = |through: Sample| through.map(|through| through - floor.median);
    let title =
        "gateway, stdio: added to an executed call, SQLite FULL (floor: the call without it)";
    rows.add(
        title,
        "µs",
        added(executed),
        Some(floor),
        &[Reach::AtMost(1_000.0)],
    );
    let title = "gateway, stdio: added to a call that passes (floor: the call without it)";
    rows.add(
        title,
        "µs",
        added(passed),
        Some(floor),
        &[Reach::AtMost(300.0)],
    );
    Ok(())
}

/// From the start of the program to its first answer.
fn first_answers(rows: &mut Rows, gateway: &Gateway) -> Result<()> {
    let timed = |start: &dyn Fn() -> Result<Client>| {
        let begun = Instant::now();
        start().map(|_| begun.elapsed().as_secs_f64() * 1e3)
    };
    let mut bare = Vec::new();
    let mut later = Vec::new();
    for _ in 0..STARTS {
        let without = timed(&Client::bare)?;
        bare.push(without);
        later.push(timed(&|| gateway.client())? - without);
    }
    let title = "gateway, stdio: first answer later than the server's own, compiled code kept (floor: that)";
    rows.add(
        title,
        "ms",
        Sample::of(later),
        Some(Sample::of(bare)),
        &[Reach::AtMost(150.0)],
    );
    Ok(())
}
