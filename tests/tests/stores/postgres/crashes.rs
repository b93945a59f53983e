//! The server crashes, or one of its processes is ended or killed, while hosts write. What was acknowledged is there, what was
//! said not to be written is not, and the store goes on by itself.

use super::open;
use crate::witness::Witness;
use semel::store::Store;
use semel_conformance::key;
use semel_servers::postgres::PostgresServer;
use std::sync::Arc;
use tokio::task::block_in_place;

/// The numbers of crashes of a server and of ended backend processes in a run.
const CRASHES: usize = 6;
const ENDS: usize = 20;
const KILLS: usize = 3;

/// The number of acknowledged writes in between.
const WRITES: usize = 60;

/// The numbers of acknowledged and of missing writes, where this happens to the server again and
/// again.
async fn acknowledged_and_missing(
    server: &mut PostgresServer,
    times: usize,
    happens: impl Fn(&mut PostgresServer),
) -> (usize, usize) {
    let store = open(&server.create_ledger("ledger").await).await;
    lost(server, &store, times, happens).await
}

async fn lost(
    server: &mut PostgresServer,
    store: &Arc<dyn Store>,
    times: usize,
    happens: impl Fn(&mut PostgresServer),
) -> (usize, usize) {
    let life = store.get(key(0)).await.unwrap().1.incarnation;
    let witness = Witness::watch(store, async |witness| {
        for _ in 0..times {
            witness.more(WRITES).await;
            block_in_place(|| happens(server));
        }
        witness.more(WRITES).await;
    });
    let witness = witness.await;
    assert_eq!(
        store.get(key(0)).await.unwrap().1.incarnation,
        life,
        "it is the same life of the ledger"
    );
    let missing = witness.missing(store).await;
    println!(
        "{times} times: {} acknowledged writes, {missing} of them missing",
        witness.count()
    );
    (witness.count(), missing)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let mut server = PostgresServer::start();
    let (_, missing) =
        acknowledged_and_missing(&mut server, CRASHES, |server| server.crash_and_restart(&[]))
            .await;
    assert_eq!(missing, 0);
}

/// A default that does not wait for the disk is overruled by each session of a ledger. Here a trigger goes around that, and the
/// server writes its log as late as it may. It may have written all of it by chance, so it crashes more than once.
#[tokio::test(flavor = "multi_thread")]
async fn control_what_does_not_wait_for_the_disk_is_lost_in_a_crash() {
    let late = ["wal_writer_delay=10s", "wal_writer_flush_after=1GB"];
    let mut server = PostgresServer::start_with_settings(&late);
    let store = open(&server.create_ledger("ledger").await).await;
    server.run_sql("ledger", NOT_WAITING);
    let (_, missing) = lost(&mut server, &store, 4, |server| {
        server.crash_and_restart(&late)
    })
    .await;
    assert!(missing > 0);
}

/// Lets no write to the ledger wait for the disk.
const NOT_WAITING: &str = "
    CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN NEW; END $$;
    CREATE TRIGGER hurry BEFORE INSERT ON semel.entry FOR EACH ROW EXECUTE FUNCTION hurry()";

/// An administrator ends all sessions.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_are_followed_by_others() {
    let end = |server: &mut PostgresServer| {
        let sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'semel%'";
        server.run_sql("postgres", sessions);
    };
    let (_, missing) = acknowledged_and_missing(&mut PostgresServer::start(), ENDS, end).await;
    assert_eq!(missing, 0);
}

/// The operating system kills a process of the server, for want of memory as it may be: the server ends all sessions and
/// recovers by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_server_that_is_killed_loses_nothing() {
    let (_, missing) = acknowledged_and_missing(&mut PostgresServer::start(), KILLS, |server| {
        server.kill_backend()
    })
    .await;
    assert_eq!(missing, 0);
}
