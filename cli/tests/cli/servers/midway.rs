//! The server or the connection is lost in the middle of a guarded command. The command runs at
//! most once. If it ran, its exit code and output are its own, and a message says what could not be
//! recorded.

use super::{ORDER, shop_at};
use crate::workshop::{CommandOutput, EFFECT, Workshop};
use semel_servers::{
    postgres::PostgresServer,
    proxy::{TcpProxy, TrafficDirection},
    redis::{LEDGER_SETTINGS, RedisServer},
};
use std::process::Child;

/// The distance between two cuts, in bytes.
const STEP: usize = 397;

/// A server of either kind with a ledger in it.
enum Server {
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Server {
    fn all() -> [Self; 2] {
        let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
        postgres.run_sql("postgres", "CREATE DATABASE ledger");
        [Self::Postgres(postgres), Self::Redis(redis)].map(|server| {
            shop_at(&server.url(server.port()))
                .run(&["ledger", "init"])
                .assert_message(0, "");
            server
        })
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::Redis(server) => server.port,
        }
    }

    fn url(&self, port: u16) -> String {
        match self {
            Self::Postgres(_) => format!("postgres://owner@127.0.0.1:{port}/ledger"),
            Self::Redis(_) => format!("redis://127.0.0.1:{port}"),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Postgres(server) => server.crash(),
            Self::Redis(server) => server.kill(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Postgres(server) => server.restart(&[]),
            Self::Redis(server) => server.restart(LEDGER_SETTINGS),
        }
    }
}

/// A charge that waits until it is let go on.
fn start(shop: &Workshop) -> Child {
    let child = shop.start(
        "charge",
        ORDER,
        &[],
        &format!("{EFFECT} while [ ! -e go ]; do sleep 0.02; done; echo done"),
    );
    shop.wait_for("effects");
    child
}

fn finish(shop: &Workshop, child: Child) -> CommandOutput {
    shop.write("go", "");
    CommandOutput::from(child.wait_with_output().unwrap())
}

#[test]
fn a_connection_that_breaks_while_the_command_runs_is_made_anew() {
    for server in Server::all() {
        let wire = TcpProxy::new(server.port());
        let shop = shop_at(&server.url(wire.port));
        let child = start(&shop);
        wire.cut_connections();
        let done = finish(&shop, child);
        assert_eq!((done.stderr.as_str(), done.exit), ("", 0), "{done:?}");
        shop.exec("charge", ORDER, EFFECT)
            .assert_stdout(0, "done\n");
        assert_eq!(shop.effects(), 1);
    }
}

#[test]
fn a_server_that_is_gone_when_the_command_ends_leaves_its_output_and_says_so() {
    for mut server in Server::all() {
        let shop = shop_at(&server.url(server.port()));
        let child = start(&shop);
        server.end();
        let done = finish(&shop, child);
        done.assert_message(0, "not recorded: ");
        assert_eq!(done.stdout, "done\n");
        // While it is gone nothing runs.
        shop.exec("charge", r#"{"order": 18, "amount": 10}"#, EFFECT)
            .assert_message(69, "check its address, and whether it runs");
        server.restart();
        // The outcome was not recorded: the operation is running until its lease ends, and in doubt
        // then.
        let repeated = shop.exec_with("charge", ORDER, &["--wait", "100ms"], EFFECT);
        assert_eq!(repeated.exit, 75, "{repeated:?}");
        assert_eq!(shop.effects(), 1);
    }
}

/// Wherever the connection breaks, from the first greeting to the last settlement.
#[test]
fn a_connection_that_breaks_anywhere_runs_the_command_once_or_not() {
    for server in Server::all() {
        let (mut refused, mut ran) = (0, 0);
        for number in 0.. {
            let wire = TcpProxy::new(server.port());
            let shop = shop_at(&server.url(wire.port));
            let order = format!(r#"{{"order": {number}, "amount": 10}}"#);
            wire.cut_after(TrafficDirection::Request, number * STEP);
            let first = shop.exec("charge", &order, &format!("{EFFECT} echo done"));
            assert!(
                [0, 69].contains(&first.exit) && shop.effects() == usize::from(first.exit == 0),
                "{first:?}"
            );
            if !wire.cancel_cut() {
                break;
            }
            (refused, ran) = (
                refused + usize::from(first.exit == 69),
                ran + usize::from(first.exit == 0),
            );
            shop.exec("charge", &order, &format!("{EFFECT} echo done"))
                .assert_stdout(0, "done\n");
            assert_eq!(shop.effects(), 1, "{first:?}");
        }
        assert!(refused > 0 && ran > 0, "{refused} refused, {ran} ran");
    }
}
