//! The gateway between clients over HTTP and a server: a child process, or a server over HTTP.

mod client;

use super::{
    CONCURRENT_CALLS, calls_per_second, gateway::GatewayProgram, http_process::HttpProcess,
    message::BenchTool, server,
};
use crate::{
    results::{FigureGoal, ResultTable},
    sample::{self, Sample},
};
use anyhow::{Context, Result};
use client::HttpClient;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{cell::RefCell, process::Command};

/// The number of idle clients.
const IDLE_CLIENTS: usize = 2_000;

/// The limit on open files that a process needs for them, with a reserve.
const OPEN_FILES_MIN: u64 = 2 * IDLE_CLIENTS as u64 + 200;

pub(super) fn measure(rows: &mut ResultTable, gateway: &GatewayProgram) -> Result<()> {
    raise_file_limit()?;
    let server =
        HttpProcess::start(Command::new(std::env::current_exe()?).arg(server::http::COMMAND))?;
    measure_added_latency(rows, gateway, &server)?;
    measure_concurrent_calls(rows, gateway, &server)?;
    measure_idle_clients(rows, gateway, &server)
}

/// Measures the added latency of one call.
fn measure_added_latency(
    rows: &mut ResultTable,
    gateway: &GatewayProgram,
    server: &HttpProcess,
) -> Result<()> {
    let before_a_child = gateway.start_http_before_child()?;
    let before_a_server = gateway.start_http_before(server)?;
    let mut bare = HttpClient::open_session(server.address)?;
    let to_a_child = RefCell::new(HttpClient::open_session(before_a_child.address)?);
    let to_a_server = RefCell::new(HttpClient::open_session(before_a_server.address)?);
    let mut bare_call = || bare.make_call(BenchTool::Pay);
    let [floor, executed, passed, executed_over, passed_over] = sample::measure_in_turn([
        &mut bare_call,
        &mut || to_a_child.borrow_mut().make_call(BenchTool::Pay),
        &mut || to_a_child.borrow_mut().make_call(BenchTool::Look),
        &mut || to_a_server.borrow_mut().make_call(BenchTool::Pay),
        &mut || to_a_server.borrow_mut().make_call(BenchTool::Look),
    ])?;
    let mut add = |what: &str, through: Sample, at_most| {
        let title =
            format!("gateway, HTTP: added to {what} (floor: the call without it, over HTTP)");
        let added = through.map(|through| through - floor.median);
        rows.add_row(
            &title,
            "µs",
            added,
            Some(floor),
            &[FigureGoal::AtMost(at_most)],
        );
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

/// Measures clients that all call before the first is answered.
fn measure_concurrent_calls(
    rows: &mut ResultTable,
    gateway: &GatewayProgram,
    server: &HttpProcess,
) -> Result<()> {
    let gateway = gateway.start_http_before(server)?;
    let [floor, rate] = [server, &gateway].map(|at| -> Result<Sample> {
        let mut clients = (0..CONCURRENT_CALLS)
            .map(|_| HttpClient::open_session(at.address))
            .collect::<Result<Vec<_>>>()?;
        calls_per_second(CONCURRENT_CALLS, || {
            clients
                .iter_mut()
                .try_for_each(|client| client.send_call(BenchTool::Pay))?;
            clients.iter_mut().try_for_each(HttpClient::receive_answer)
        })
    });
    let title = "gateway, HTTP: 64 clients at once, executed, SQLite FULL (floor: without it)";
    rows.add_row(
        title,
        "calls/s",
        rate?,
        Some(floor?),
        &[FigureGoal::AtLeast(3_000.0)],
    );
    Ok(())
}

/// Measures the memory for clients that opened a session, listed the tools, and do nothing more.
fn measure_idle_clients(
    rows: &mut ResultTable,
    gateway: &GatewayProgram,
    server: &HttpProcess,
) -> Result<()> {
    let gateway = gateway.start_http_before(server)?;
    let mut clients = vec![HttpClient::open_session(gateway.address)?];
    let before = gateway.memory_use()?;
    for _ in 1..IDLE_CLIENTS {
        clients.push(HttpClient::open_session(gateway.address)?);
    }
    let after = gateway.memory_use()?;
    let mut add = |what: &str, before, after| {
        let title =
            format!("gateway, HTTP: memory with 2,000 idle clients, {what} (floor: with one)");
        rows.add_row(
            &title,
            "MiB",
            Sample::from_value(after),
            Some(Sample::from_value(before)),
            &[FigureGoal::AtMost(150.0)],
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

/// Raises the limit on open files. Each client needs one here, and at most two in the gateway, which inherits the limit.
fn raise_file_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit
        .current
        .is_some_and(|current| current < OPEN_FILES_MIN)
    {
        limit.current = Some(OPEN_FILES_MIN);
        setrlimit(Resource::Nofile, limit).with_context(|| {
            format!("{IDLE_CLIENTS} clients need {OPEN_FILES_MIN} open files: raise the limit (`ulimit -n`)")
        })?;
    }
    Ok(())
}
