//! The ledger in PostgreSQL.

mod crashes;
mod opening;
mod sharing;
mod standbys;
mod troubles;

use semel::store::{
    Clock, PostgresSetup, PostgresStore, Server, SettableClock, Store,
    conformance::{self, Fixture},
};
use semel_servers::postgres::Postgres;
use std::sync::Arc;

#[test]
fn it_keeps_the_contract() {
    keeps_the_contract(&PostgresSetup::default());
}

#[test]
fn it_keeps_the_contract_in_many_partitions() {
    keeps_the_contract(&PostgresSetup { partitions: Some(4), ..PostgresSetup::default() });
}

fn keeps_the_contract(setup: &PostgresSetup) {
    let server = Postgres::start();
    for (number, (name, case)) in conformance::CASES.iter().enumerate() {
        println!("{name}");
        conformance::run(async {
            let ledger = server.ledger_with(&format!("case_{number}"), setup).await;
            case(&fixture(&ledger).await).await;
        });
    }
}

async fn fixture(ledger: &Server) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = PostgresStore::open_with_clock(ledger, Some(shared)).await.unwrap();
    Fixture { store: Arc::new(store), clock, is_steady: false, lose: None, place: Box::new(()) }
}

async fn open(ledger: &Server) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(ledger).await.unwrap())
}
