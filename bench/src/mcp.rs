//! What the gateway adds to a call: the same client and server over the standard streams, with and without it in between.
//!
//! Both are of this program, so that neither is what takes the time. Over HTTP nothing is measured yet.

mod client;
pub(crate) mod server;

use crate::{
    row::{Reach, Rows},
    sample::{self, Sample},
};
use anyhow::{Context, Result};
use client::{Client, Tool};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many calls are under way where there are many.
const AT_ONCE: usize = 64;
const ROUND: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 5;

/// How often a connection is made.
const STARTS: usize = 11;

pub(crate) fn measure(rows: &mut Rows, folder: &Path, semel: Option<&Path>) -> Result<()> {
    let semel = semel.context("the gateway is measured as a program: say which with `--semel PROGRAM`")?;
    let gateway = Gateway::new(semel, folder)?;
    let (mut bare, mut through) = (Client::bare()?, gateway.client()?);
    one_at_a_time(rows, folder, &mut bare, &mut through)?;
    many_at_once(rows, &mut through)?;
    first_answers(rows, &gateway)
}

/// How the gateway is started.
struct Gateway {
    semel: PathBuf,
    folder: PathBuf,
}

impl Gateway {
    fn new(semel: &Path, folder: &Path) -> Result<Self> {
        let gateway = Self { semel: semel.to_owned(), folder: folder.join("mcp") };
        std::fs::create_dir_all(&gateway.folder)?;
        // Compiled code is kept from here on.
        gateway.client()?;
        Ok(gateway)
    }

    fn client(&self) -> Result<Client> {
        Client::through(&self.semel, &self.folder)
    }
}

/// What is added to one call, and what a sync of the disk costs beside it: a call that is recorded needs two.
fn one_at_a_time(rows: &mut Rows, folder: &Path, bare: &mut Client, through: &mut Client) -> Result<()> {
    let mut file = File::create(folder.join("synced"))?;
    let mut sync = || {
        file.write_all(&[7; 512])?;
        Ok(file.sync_data()?)
    };
    let (bare, through) = (&std::cell::RefCell::new(bare), &std::cell::RefCell::new(through));
    let mut bare_call = || bare.borrow_mut().call(Tool::Pay);
    let mut executed = || through.borrow_mut().call(Tool::Pay);
    let mut passed = || through.borrow_mut().call(Tool::Look);
    let [floor, executed, passed, sync] =
        sample::microseconds([&mut bare_call, &mut executed, &mut passed, &mut sync])?;
    rows.add("gateway, stdio: a sync of the disk, for comparison", "µs", sync, None, &[]);
    let added = |through: Sample| through.map(|through| through - floor.median);
    let title = "gateway, stdio: added to an executed call, SQLite FULL (floor: the call without it)";
    rows.add(title, "µs", added(executed), Some(floor), &[Reach::AtMost(1_000.0)]);
    let title = "gateway, stdio: added to a call that passes (floor: the call without it)";
    rows.add(title, "µs", added(passed), Some(floor), &[Reach::AtMost(300.0)]);
    Ok(())
}

fn many_at_once(rows: &mut Rows, through: &mut Client) -> Result<()> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (begun, mut calls) = (Instant::now(), 0);
        while begun.elapsed() < ROUND {
            through.calls(Tool::Pay, AT_ONCE)?;
            calls += AT_ONCE;
        }
        rates.push(calls as f64 / begun.elapsed().as_secs_f64());
    }
    let title = "gateway, stdio: 64 calls at once, executed, SQLite FULL";
    rows.add(title, "calls/s", Sample::of(rates), None, &[Reach::AtLeast(3_000.0)]);
    Ok(())
}

/// From the start of the program to its first answer.
fn first_answers(rows: &mut Rows, gateway: &Gateway) -> Result<()> {
    let timed = |start: &dyn Fn() -> Result<Client>| {
        let begun = Instant::now();
        start().map(|_| begun.elapsed().as_secs_f64() * 1e3)
    };
    let (mut bare, mut later) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let without = timed(&Client::bare)?;
        bare.push(without);
        later.push(timed(&|| gateway.client())? - without);
    }
    let title = "gateway, stdio: first answer later than the server's own, compiled code kept (floor: that)";
    rows.add(title, "ms", Sample::of(later), Some(Sample::of(bare)), &[Reach::AtMost(150.0)]);
    Ok(())
}
