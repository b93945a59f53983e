//! The gateway between clients and a server, over HTTP: before a child, and before a server that speaks HTTP itself.

mod client;

use super::{AT_ONCE, a_second, gateway::Gateway, listening::Listening, message::Tool, server};
use crate::{
    row::{Reach, Rows},
    sample::{self, Sample},
};
use anyhow::{Context, Result};
use client::Client;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{cell::RefCell, process::Command};

/// The number of idle clients.
const IDLE: usize = 2_000;

/// The open files that a process needs for that, with a reserve.
const FILES: u64 = 2 * IDLE as u64 + 200;

pub(super) fn measure(rows: &mut Rows, gateway: &Gateway) -> Result<()> {
    allow_files()?;
    let server = Listening::start(Command::new(std::env::current_exe()?).arg(server::http::WORD))?;
    one_at_a_time(rows, gateway, &server)?;
    many_at_once(rows, gateway, &server)?;
    idle(rows, gateway, &server)
}

/// The latency that is added to one call.
fn one_at_a_time(rows: &mut Rows, gateway: &Gateway, server: &Listening) -> Result<()> {
    let before_a_child = gateway.before_a_child()?;
    let before_a_server = gateway.before(server)?;
    let mut bare = Client::open(server.address)?;
    let to_a_child = RefCell::new(Client::open(before_a_child.address)?);
    let to_a_server = RefCell::new(Client::open(before_a_server.address)?);
    let mut bare_call = || bare.call(Tool::Pay);
    let [floor, executed, passed, executed_over, passed_over] = sample::microseconds([
        &mut bare_call,
        &mut || to_a_child.borrow_mut().call(Tool::Pay),
        &mut || to_a_child.borrow_mut().call(Tool::Look),
        &mut || to_a_server.borrow_mut().call(Tool::Pay),
        &mut || to_a_server.borrow_mut().call(Tool::Look),
    ])?;
    let mut add = |what: &str, through: Sample, at_most| {
        let title =
            format!("gateway, HTTP: added to {what} (floor: the call without it, over HTTP)");
        let added = through.map(|through| through - floor.median);
        rows.add(&title, "µs", added, Some(floor), &[Reach::AtMost(at_most)]);
    };
    add(
        "an executed call, SQLite FULL, before a child",
        executed,
        1_500.0,
    );
    add("a call that passes, before a child", passed, 300.0);
    add(
        "an executed call, SQLite FULL, before a server over HTTP",
        executed_over,
        1_500.0,
    );
    add(
        "a call that passes, before a server over HTTP",
        passed_over,
        300.0,
    );
    Ok(())
}

/// Clients that all call before the first is answered.
fn many_at_once(rows: &mut Rows, gateway: &Gateway, server: &Listening) -> Result<()> {
    let gateway = gateway.before(server)?;
    let [floor, rate] = [server, &gateway].map(|at| -> Result<Sample> {
        let mut clients = (0..AT_ONCE)
            .map(|_| Client::open(at.address))
            .collect::<Result<Vec<_>>>()?;
        a_second(AT_ONCE, || {
            clients
                .iter_mut()
                .try_for_each(|client| client.begin(Tool::Pay))?;
            clients.iter_mut().try_for_each(Client::end)
        })
    });
    let title = "gateway, HTTP: 64 clients at once, executed, SQLite FULL (floor: without it)";
    rows.add(
        title,
        "calls/s",
        rate?,
        Some(floor?),
        &[Reach::AtLeast(3_000.0)],
    );
    Ok(())
}

/// Clients that each opened a session, listed the tools, and stay.
fn idle(rows: &mut Rows, gateway: &Gateway, server: &Listening) -> Result<()> {
    let gateway = gateway.before(server)?;
    let mut clients = vec![Client::open(gateway.address)?];
    let before = gateway.memory()?;
    for _ in 1..IDLE {
        clients.push(Client::open(gateway.address)?);
    }
    let after = gateway.memory()?;
    let mut add = |what: &str, before, after| {
        let title =
            format!("gateway, HTTP: memory with 2,000 idle clients, {what} (floor: with one)");
        rows.add(
            &title,
            "MiB",
            Sample::exactly(after),
            Some(Sample::exactly(before)),
            &[Reach::AtMost(150.0)],
        );
    };
    add("resident", before.resident, after.resident);
    add(
        "resident, what is shared by its share",
        before.proportional,
        after.proportional,
    );
    Ok(())
}

/// Each client is an open file here, and at most two in the gateway, which inherits the limit.
fn allow_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < FILES) {
        limit.current = Some(FILES);
        setrlimit(Resource::Nofile, limit).with_context(|| {
            format!("{IDLE} clients need {FILES} open files: raise the limit (`ulimit -n`)")
        })?;
    }
    Ok(())
}
