//! The machine of the server is lost, and a standby takes over. Where commits waited for it, it has all that was acknowledged;
//! where not, it lacks the last of it, which shows as another life of the ledger.

use super::open;
use crate::witness::Witness;
use semel::{
    model::Durability,
    store::{Retention, ServerAddress, StoreError},
};
use semel_conformance::{entry, fresh_version, key};
use semel_postgres::PostgresStore;
use semel_servers::{machine, postgres::PostgresServer, proxy::TcpProxy};
use std::time::Duration;
use tokio::task::block_in_place;

/// A primary with a ledger, its wire, and a standby at the other end.
struct Pair {
    primary: PostgresServer,
    wire: TcpProxy,
    standby: PostgresServer,
    ledger: ServerAddress,
}

impl Pair {
    /// With these names of standbys that commits wait for.
    async fn start(names: &str) -> Self {
        let primary = PostgresServer::start();
        let ledger = primary.create_ledger("ledger").await;
        let wire = TcpProxy::new(primary.port);
        let standby = block_in_place(|| primary.start_standby(wire.port));
        primary.run_sql(
            "postgres",
            &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"),
        );
        primary.run_sql("postgres", "SELECT pg_reload_conf()");
        let wanted = if names.is_empty() { "async" } else { "sync" };
        block_in_place(|| {
            machine::wait_until("the standby", || {
                primary.run_sql(
                    "postgres",
                    "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'",
                ) == wanted
            });
        });
        Self {
            primary,
            wire,
            standby,
            ledger,
        }
    }
}

/// The number of acknowledged writes that a standby lacks after a takeover: its connection broke
/// and its primary ended.
async fn missing_after_a_takeover(names: &str, level: Durability) -> usize {
    let Pair {
        mut primary,
        wire,
        standby,
        ledger,
    } = Pair::start(names).await;
    let store = open(&ledger).await;
    assert_eq!(store.durability(), level);
    let before = store.get(key(0)).await.unwrap().1.incarnation;
    let witness = Witness::watch(&store, async |witness| {
        witness.more(200).await;
        wire.pause();
        tokio::time::sleep(Duration::from_millis(300)).await;
        block_in_place(|| primary.crash());
    });
    let witness = witness.await;
    drop(wire);
    let refused = PostgresStore::open(&ServerAddress::new(standby.url("ledger")))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("name the primary server"), "{refused}");
    block_in_place(|| standby.promote());
    let promoted = open(&ServerAddress::new(standby.url("ledger"))).await;
    assert_ne!(
        promoted.get(key(0)).await.unwrap().1.incarnation,
        before,
        "nobody can tell what it lacks"
    );
    let missing = witness.missing(&promoted).await;
    println!(
        "{} acknowledged writes, {missing} of them missing at the standby",
        witness.count()
    );
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_commits_wait_for_has_all_that_was_acknowledged() {
    assert_eq!(
        missing_after_a_takeover("*", Durability::MachineLoss).await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_standby_that_nobody_waits_for_lacks_some_of_it() {
    assert!(missing_after_a_takeover("", Durability::PowerLoss).await > 0);
}

/// An operator ends the wait for a standby that does not answer. The server calls the write done,
/// and only warns that the standby may lack it.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_standby_that_is_given_up_is_no_acknowledgement() {
    let Pair {
        primary,
        wire,
        standby,
        ledger,
    } = Pair::start("*").await;
    let store = open(&ledger).await;
    store
        .create(key(1), &entry(1), fresh_version(), Retention::UntilRemoved)
        .await
        .unwrap();
    wire.pause();
    let writer = tokio::spawn(async move {
        let told = store
            .create(key(2), &entry(1), fresh_version(), Retention::UntilRemoved)
            .await;
        (store, told)
    });
    block_in_place(|| {
        machine::wait_until("the end of the wait", || {
            let cancel =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            primary.run_sql("postgres", cancel) == "t"
        });
    });
    let (store, told) = writer.await.unwrap();
    assert!(matches!(told, Err(StoreError::Unknown(_))), "{told:?}");
    assert!(
        store.get(key(2)).await.unwrap().0.is_some(),
        "it is written here"
    );
    let at_the_standby = |at: u32| {
        let key: String = key(at)
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        standby.run_sql(
            "ledger",
            &format!("SELECT count(*) FROM semel.entry WHERE key = '\\x{key}'"),
        )
    };
    assert_eq!(
        (at_the_standby(1).as_str(), at_the_standby(2).as_str()),
        ("1", "0")
    );
}
