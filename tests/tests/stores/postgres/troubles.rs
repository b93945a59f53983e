//! The server's disk is full, or read-only. A write fails with a cure, nothing is written that was
//! reported as not written, and the store recovers once the cause is gone.

use super::open;
use crate::{
    charging::{Charges, charge, charging},
    either::until,
    witness::Witness,
};
use semel::{
    model::Answer,
    store::{Retention, ServerAddress, Store, StoreError},
};
use semel_conformance::{entry, fresh_version, key};
use semel_servers::postgres::{OWNER, PostgresServer};
use std::{sync::Arc, time::Duration};
use tokio::task::block_in_place;

/// A segment of the server's log, which is as large as it gets from the beginning.
const SEGMENT_BYTES: u64 = 16 << 20;

/// The error of a creation; none if it succeeds.
async fn refusal(store: &Arc<dyn Store>, number: u32) -> Option<String> {
    match store
        .create(
            key(number),
            &entry(1),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
    {
        Ok(_) => None,
        Err(StoreError::NotExecuted(error)) => Some(error.to_string()),
        Err(other) => panic!("{other}"),
    }
}

/// Waits until a creation is refused with this.
async fn until_refused(
    store: &Arc<dyn Store>,
    numbers: &mut std::ops::RangeFrom<u32>,
    with: &str,
) -> String {
    let mut told = None;
    until(with, async || {
        told = refusal(store, numbers.next().unwrap()).await;
        told.as_ref().is_some_and(|told| told.contains(with))
    })
    .await;
    told.unwrap()
}

/// Rows of another table, so that the ledger's table reaches the limit of the file size.
const FILL: &str =
    "INSERT INTO semel.entry (key, version, created_ms, created_life, written_ms, written_life, state, entry)
    SELECT sha256(number::text::bytea), substr(sha256(number::text::bytea), 1, 16), 0, 0, 0, 0, 'landed',
        convert_to(repeat('{}', 900), 'UTF8')
    FROM generate_series(1, 20000) AS number";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_runs_until_there_is_room() {
    let server = PostgresServer::start();
    let store = open(&server.create_ledger("ledger").await).await;
    server.run_sql(
        "ledger",
        "ALTER TABLE semel.entry ALTER entry SET STORAGE PLAIN",
    );
    server.run_sql("ledger", FILL);
    let (host, charges) = (charging(Arc::clone(&store)).await, Charges::default());
    block_in_place(|| server.limit_file_size(Some(SEGMENT_BYTES)));
    let told = until_refused(&store, &mut (1..), "could not extend file").await;
    println!("{told}");
    assert!(told.contains("Check free disk space"), "{told}");
    // Room that others left is used up by now.
    let refused = charge(&host, 1, &charges).await;
    assert!(refused.is_err() && charges.of(1) == 0, "{refused:?}");
    block_in_place(|| server.limit_file_size(None));
    until("the room", async || {
        refusal(&store, 1_000_000).await.is_none()
    })
    .await;
    let answer = charge(&host, 1, &charges).await;
    assert!(matches!(answer, Ok(Answer::Executed { .. })), "{answer:?}");
    assert_eq!(charges.of(1), 1);
}

/// The log cannot be written any more, so the server crashes, again and again, until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_loses_nothing() {
    let server = PostgresServer::start();
    let store = open(&server.create_ledger("ledger").await).await;
    let witness = Witness::watch(&store, async |witness| {
        witness.more(100).await;
        block_in_place(|| {
            server.limit_file_size(Some(1 << 20));
            server.wait_until_down();
            server.limit_file_size(None);
        });
        witness.more(100).await;
    });
    assert_eq!(witness.await.missing(&store).await, 0);
}

/// An operator makes the server read-only: sessions notice it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_read_only_for_a_while_is_told_and_used_again() {
    let server = PostgresServer::start();
    let store = open(&server.create_ledger("ledger").await).await;
    let (host, charges) = (charging(Arc::clone(&store)).await, Charges::default());
    let set = |value: &str| {
        server.run_sql(
            "postgres",
            &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"),
        );
        server.run_sql("postgres", "SELECT pg_reload_conf()");
    };
    set("on");
    let told = until_refused(&store, &mut (1..), "read-only transaction").await;
    assert!(told.contains("name the primary server"), "{told}");
    let refused = charge(&host, 1, &charges).await;
    assert!(refused.is_err() && charges.of(1) == 0, "{refused:?}");
    // By then the look from time to time has found it, too.
    until("the look", async || {
        refusal(&store, 0)
            .await
            .is_some_and(|told| told.contains("does not allow writes"))
    })
    .await;
    set("off");
    until("the cure", async || {
        refusal(&store, 1_000_000).await.is_none()
    })
    .await;
    let answer = charge(&host, 1, &charges).await;
    assert!(matches!(answer, Ok(Answer::Executed { .. })), "{answer:?}");
}

/// The URL names both servers. While only the standby is there, nothing is written; once it took over, the store finds it, and
/// another life of the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_not_written_until_it_took_over() {
    let mut primary = PostgresServer::start();
    primary.create_ledger("ledger").await;
    let standby = block_in_place(|| primary.start_standby(primary.port));
    let both = format!(
        "postgres://{OWNER}@127.0.0.1:{},127.0.0.1:{}/ledger",
        primary.port, standby.port
    );
    let store = open(&ServerAddress::new(both)).await;
    assert_eq!(refusal(&store, 0).await, None);
    let before = store.get(key(0)).await.unwrap().1.incarnation;
    block_in_place(|| primary.crash());
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The first may still be unknown: the connection ended.
    let _ = store
        .create(key(1), &entry(1), fresh_version(), Retention::UntilRemoved)
        .await;
    let told = until_refused(&store, &mut (2..), "database does not allow writes").await;
    assert!(told.contains("name the primary server"), "{told}");
    block_in_place(|| standby.promote());
    until("the takeover", async || store.get(key(0)).await.is_ok()).await;
    assert_ne!(store.get(key(0)).await.unwrap().1.incarnation, before);
    assert_eq!(refusal(&store, 1_000_000).await, None);
}
