//! The ledger in PostgreSQL.

use crate::postgres_server::Postgres;
use semel::store::{
    Clock, PostgresStore, SettableClock,
    conformance::{self, Fixture},
};
use std::sync::Arc;

#[test]
fn it_keeps_the_contract() {
    let server = Postgres::start();
    for (number, (name, case)) in conformance::CASES.iter().enumerate() {
        println!("{name}");
        conformance::run(async {
            case(&fixture(&server, &format!("case_{number}")).await).await;
        });
    }
}

async fn fixture(server: &Postgres, database: &str) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let ledger = server.ledger(database).await;
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = PostgresStore::open_with_clock(&ledger, Some(shared)).await.unwrap();
    Fixture { store: Arc::new(store), clock, is_steady: false, lose: None, place: Box::new(()) }
}
