//! Two hosts share a ledger on a server for a whole day, and everything that can fail does: a host
//! is killed, or paused until others took over; the server crashes; connections break within a
//! message, or slow down; replies are lost. Meanwhile the agents of both hosts repeat their calls,
//! in branches and after they gave up. In the evening nothing was done twice, nothing acknowledged
//! is missing, no answer was wrong, nothing is stuck, and the hosts use as much memory as in the
//! morning.
//!
//! A day is some seconds long; `cargo xtask soak --minutes N` has longer ones, and a seed repeats what goes wrong in which
//! order. What it meets is up to the machine.

mod day;
mod evening;
mod footprint;
mod report;
mod trouble;

use crate::{
    processes::Agents,
    server::{Server, made},
    wish::Wish,
};
use day::Day;
use report::Report;

/// The default length of a day, in seconds.
const SECONDS: u64 = 8;

fn a_day(server: Server) {
    let wish = Wish::of("SEMEL_SOAK_DAY_SECONDS", SECONDS);
    let (name, seed) = (server.name(), wish.seed);
    let report = lived(server, &Agents::from_now_on(), wish.seed, wish.times);
    println!("{report}repeat it by `cargo xtask soak --minutes N --ledger {name} --seed {seed}`");
    assert!(report.is_sound(), "{report}");
    assert!(report.is_flat(), "a host grows: {report}");
    assert!(
        report.effects > 100 && report.answers["replayed"] > 100,
        "hardly anything happened: {report}"
    );
}

fn lived(server: Server, agents: &Agents, seed: u64, seconds: u64) -> Report {
    let mut day = Day::begin(server, agents, seed);
    day.pass(seconds);
    day.end()
}

#[test]
fn on_postgres() {
    a_day(made(Server::postgres()));
}

#[test]
fn on_redis() {
    a_day(made(Server::redis()));
}

/// The control: each host has a ledger of its own, which ends with it, and keeps what it needs no more.
#[test]
fn control_hosts_that_share_nothing_do_it_twice_and_those_that_leak_are_seen() {
    let agents = Agents {
        leaks: true,
        ..Agents::from_now_on()
    };
    let report = lived(Server::Nowhere, &agents, 3, 4);
    println!(
        "{} double sendings, {} lost records, {}",
        report.twice(),
        report.lost(),
        report.courses[0]
    );
    assert!(report.twice() > 0 && report.lost() > 0, "{report}");
    let grown = &report.courses[0];
    assert!(
        !grown.keeps_its_memory() && !grown.keeps_its_descriptors(),
        "{grown}"
    );
}
