//! The ledger in PostgreSQL.

mod crashes;
mod opening;
mod sharing;
mod standbys;
mod troubles;

use proptest::{collection::vec, prelude::*};
use semel::store::{Clock, ServerAddress, SettableClock, Store};
use semel_conformance::{Fixture, equivalence};
use semel_postgres::{PostgresSetup, PostgresStore};
use semel_servers::postgres::PostgresServer;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

#[test]
fn it_keeps_the_contract() {
    keeps_the_contract(&PostgresSetup::default());
}

#[test]
fn it_keeps_the_contract_in_many_partitions() {
    keeps_the_contract(&PostgresSetup {
        partitions: Some(4),
        ..PostgresSetup::default()
    });
}

fn keeps_the_contract(setup: &PostgresSetup) {
    let server = Arc::new(PostgresServer::start());
    for (number, case) in semel_conformance::CASES.iter().enumerate() {
        println!("{}", case.name());
        case.run(fixture(
            Arc::clone(&server),
            format!("case_{number}"),
            setup,
        ));
    }
}

/// A database takes longer to make than a hundred steps do: few cases, each of many steps.
#[test]
fn it_answers_as_memory_does() {
    let (server, cases) = (Arc::new(PostgresServer::start()), AtomicU32::new(0));
    let config = ProptestConfig {
        cases: 15,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in vec(any::<u64>(), 300..400))| {
        let name = format!("alike_{}", cases.fetch_add(1, Ordering::Relaxed));
        semel_conformance::run(async {
            let fixture = fixture(Arc::clone(&server), name, &PostgresSetup::default()).await;
            equivalence::answers_like_memory(&fixture, &steps).await;
        });
    });
}

/// A fresh ledger in a database of this name.
async fn fixture(server: Arc<PostgresServer>, name: String, setup: &PostgresSetup) -> Fixture {
    let (clock, ledger) = (
        Arc::new(SettableClock::default()),
        server.create_ledger_with(&name, setup).await,
    );
    let ticking = Arc::clone(&clock);
    let open = move || {
        let (ledger, clock) = (ledger.clone(), Arc::clone(&ticking) as Arc<dyn Clock>);
        async move {
            Arc::new(
                PostgresStore::open_with_clock(&ledger, Some(clock))
                    .await
                    .unwrap(),
            ) as Arc<dyn Store>
        }
    };
    Fixture::new(open().await, clock)
        .with_wall_clock_only()
        .with_reopen(open)
        .with_sharing()
        .with_failures(move |begins| refuse_writes(&server, &name, begins))
}

/// A database that checks what no row is takes none.
fn refuse_writes(server: &PostgresServer, name: &str, refuse: bool) {
    let sql = if refuse {
        "ALTER TABLE semel.entry ADD CONSTRAINT refused CHECK (false) NOT VALID"
    } else {
        "ALTER TABLE semel.entry DROP CONSTRAINT refused"
    };
    server.run_sql(name, sql);
}

async fn open(ledger: &ServerAddress) -> Arc<dyn Store> {
    Arc::new(PostgresStore::open(ledger).await.unwrap())
}
