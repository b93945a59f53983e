//! Two hosts act on one record at the same moment, and each is answered. If no order of what they did explains all answers,
//! one of them acts on what is not so. Here callers of two hosts ask about a few keys, whatever happens to server and wires,
//! and every key's history is searched for such an order.

mod callers;
mod checked;
mod lying;
#[path = "../promises/random.rs"]
mod random;
mod register;

use callers::{Progress, Tally, one_round};
use lying::{Lie, Lying};
use random::Random;
use semel::store::{ServerAddress, Store};
use semel_postgres::PostgresStore;
use semel_redis::RedisStore;
use semel_servers::{
    machine::wait_until,
    postgres::{OWNER, PostgresServer},
    proxy::{TcpProxy, TrafficDirection},
    redis::{LEDGER_SETTINGS, RedisServer},
};
use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

/// The number of rounds without faults, and with many.
const ROUNDS: usize = 30;
const ROUNDS_WITH_FAULTS: usize = 15;

/// After how many answers a host's wire breaks again, how many times it does until the server crashes, and how often that is.
const ANSWERS_BETWEEN: usize = 20;
const CRASH_EVERY: usize = 30;
const CRASHES: usize = 2;

/// The limit on the bytes before a connection breaks.
const CUT_BYTES_MAX: u64 = 2_500;

async fn on_postgres(port: u16) -> Arc<dyn Store> {
    let server = ServerAddress::new(format!("postgres://{OWNER}@127.0.0.1:{port}/histories"));
    Arc::new(PostgresStore::open(&server).await.unwrap())
}

async fn on_redis(port: u16) -> Arc<dyn Store> {
    Arc::new(
        RedisStore::open(&ServerAddress::new(format!("redis://127.0.0.1:{port}")))
            .await
            .unwrap(),
    )
}

async fn rounds(stores: &[Arc<dyn Store>]) {
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        one_round(stores, round, 7, &mut tally).await;
    }
    println!("{} histories of {} commands", tally.histories, tally.events);
    assert_eq!(
        (tally.wrong.len(), tally.unknown),
        (0, 0),
        "{:?}",
        tally.wrong
    );
}

/// Rounds while connections break and the server crashes.
async fn rounds_with_faults(
    stores: &[Arc<dyn Store>],
    wires: [TcpProxy; 2],
    mut crash: impl FnMut() + Send + 'static,
) {
    let wires = Arc::new(wires);
    let mut tally = Tally::default();
    let (broken, watched) = (Arc::clone(&wires), Arc::clone(&tally.progress));
    // The server is returned: calls after the last fault are answered.
    let faults = thread::spawn(move || (go_wrong(&*broken, &mut crash, &watched), crash));
    let mut round = 0;
    while round < ROUNDS_WITH_FAULTS || !faults.is_finished() {
        one_round(stores, round, 11, &mut tally).await;
        round += 1;
        tally
            .progress
            .is_over
            .store(round >= ROUNDS_WITH_FAULTS, Ordering::Relaxed);
    }
    let (crashes, _server) = faults.join().unwrap();
    let (histories, events, unknown) = (tally.histories, tally.events, tally.unknown);
    println!(
        "{histories} histories of {events} commands, {unknown} of them without an answer, {crashes} crashes"
    );
    assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
    assert!(unknown > 10, "hardly anything went wrong: {unknown}");
}

/// Breaks connections and crashes the server until the end, and returns the number of crashes. It
/// waits for answers between two faults: with constant faults no connection would open.
fn go_wrong(wires: &[TcpProxy], crash: &mut impl FnMut(), progress: &Progress) -> usize {
    let (mut random, mut faults, mut crashes) = (Random(13), 0, 0);
    while crashes < CRASHES || !progress.is_over.load(Ordering::Relaxed) {
        let host = random.below(2) as usize;
        let answers = || progress.answers[host].load(Ordering::Relaxed);
        let before = answers();
        wait_until("an answer", || answers() >= before + ANSWERS_BETWEEN);
        faults += 1;
        if faults % CRASH_EVERY == 0 {
            crash();
            crashes += 1;
            continue;
        }
        let way = if random.below(2) == 0 {
            TrafficDirection::Request
        } else {
            TrafficDirection::Reply
        };
        wires[host].cut_after(way, random.below(CUT_BYTES_MAX) as usize);
    }
    crashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_on_postgres() {
    let server = PostgresServer::start();
    server.create_ledger("histories").await;
    rounds(&[
        on_postgres(server.port).await,
        on_postgres(server.port).await,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_on_redis() {
    let server = RedisServer::start();
    server.create_ledger().await;
    rounds(&[on_redis(server.port).await, on_redis(server.port).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_on_postgres_while_wires_break_and_it_crashes() {
    let mut server = PostgresServer::start();
    server.create_ledger("histories").await;
    let wires = [TcpProxy::new(server.port), TcpProxy::new(server.port)];
    let stores = [
        on_postgres(wires[0].port).await,
        on_postgres(wires[1].port).await,
    ];
    rounds_with_faults(&stores, wires, move || server.crash_and_restart(&[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_on_redis_while_wires_break_and_it_crashes() {
    let mut server = RedisServer::start();
    server.create_ledger().await;
    let wires = [TcpProxy::new(server.port), TcpProxy::new(server.port)];
    let stores = [on_redis(wires[0].port).await, on_redis(wires[1].port).await];
    rounds_with_faults(&stores, wires, move || {
        server.kill_and_restart(LEDGER_SETTINGS)
    })
    .await;
}

/// The control: a store that lies once in a while is found out, and one that does not is not.
#[tokio::test]
async fn control_a_store_that_lies_is_found_out() {
    for lie in [
        Lie::StaleGet,
        Lie::LostWrite,
        Lie::BlindWrite,
        Lie::HiddenWrite,
        Lie::None,
    ] {
        let stores = [Arc::new(Lying::new(lie)) as Arc<dyn Store>];
        let mut tally = Tally::default();
        for round in 0..ROUNDS {
            one_round(&stores, round, 17, &mut tally).await;
        }
        println!(
            "{lie:?}: {} of {} histories cannot be",
            tally.wrong.len(),
            tally.histories
        );
        assert_eq!(tally.wrong.is_empty(), lie == Lie::None, "{lie:?}");
    }
}
