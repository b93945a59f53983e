//! Several hosts on one ledger.

use super::open;
use semel::store::{CreateResult, ReplaceResult, Retention};
use semel_conformance::{entry, fresh_version, key};
use semel_servers::postgres::PostgresServer;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// News come by the server long before a waiter would look by himself.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_host_wakes_the_waiters_of_another() {
    let server = PostgresServer::start();
    let ledger = server.create_ledger("ledger").await;
    let (one, other) = (open(&ledger).await, open(&ledger).await);
    let mut version = fresh_version();
    one.create(key(1), &entry(1), version, Retention::UntilRemoved)
        .await
        .unwrap();
    let mut waits = Vec::new();
    for number in 2..9 {
        let waiting = Arc::clone(&other);
        let waiter = tokio::spawn(async move {
            waiting
                .wait_for_change(key(1), version, Duration::from_secs(60))
                .await;
            std::time::Instant::now()
        });
        // So long that it looks seldom by now.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (next, written) = (fresh_version(), std::time::Instant::now());
        one.replace(
            key(1),
            version,
            &entry(number),
            next,
            Retention::UntilRemoved,
        )
        .await
        .unwrap();
        waits.push(waiter.await.unwrap() - written);
        version = next;
    }
    waits.sort();
    println!(
        "a waiter of another host was woken after {:?} at the median",
        waits[waits.len() / 2]
    );
    assert!(
        waits[waits.len() / 2] < Duration::from_millis(100),
        "{waits:?}"
    );
}

/// Statements of many keys from two hosts meet all the time, and each write is answered rightly. None locks another one out: the
/// keys of each are sorted.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_two_hosts_on_the_same_keys_lose_nothing() {
    const KEYS: u32 = 40;
    let server = PostgresServer::start();
    let ledger = server.create_ledger("ledger").await;
    let hosts = [open(&ledger).await, open(&ledger).await];
    let mut writers = JoinSet::new();
    for writer in 0..200 {
        let (store, key) = (
            Arc::clone(&hosts[writer % 2]),
            key(writer as u32 * 7 % KEYS),
        );
        writers.spawn(async move {
            let (mut done, mut lies) = (0, None);
            while done < 5 {
                let version = fresh_version();
                let outcome = match lies {
                    None => match store
                        .create(key, &entry(1), version, Retention::UntilRemoved)
                        .await
                        .unwrap()
                    {
                        CreateResult::Created(_) => Ok(version),
                        CreateResult::Exists(stored, _) => Err(Some(stored.version)),
                    },
                    Some(expected) => {
                        match store
                            .replace(key, expected, &entry(1), version, Retention::UntilRemoved)
                            .await
                            .unwrap()
                        {
                            ReplaceResult::Replaced(_) => Ok(version),
                            ReplaceResult::Changed(stored, _) => {
                                Err(stored.map(|stored| stored.version))
                            }
                        }
                    }
                };
                done += u32::from(outcome.is_ok());
                lies = outcome.map_or_else(|other| other, Some);
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    assert_eq!(
        server.run_sql("ledger", "SELECT count(*) FROM semel.entry"),
        KEYS.to_string()
    );
    drop(hosts);
    // A session reports this after its end.
    tokio::task::block_in_place(|| {
        semel_servers::machine::wait_until("their end", || server.ledger_backends().is_empty())
    });
    assert_eq!(deadlocks(&server), 0);
}

fn deadlocks(server: &PostgresServer) -> u32 {
    server
        .run_sql(
            "postgres",
            "SELECT deadlocks FROM pg_stat_database WHERE datname = 'ledger'",
        )
        .parse()
        .unwrap()
}

/// Many clients that change the same rows in this order, in one statement each time, as a batch does.
fn change_in_order(server: &PostgresServer, order: &str) {
    let script = format!(
        "WITH asked AS MATERIALIZED (SELECT key FROM semel.entry ORDER BY {order})
         UPDATE semel.entry SET written_ms = written_ms + 1 FROM asked WHERE entry.key = asked.key;"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script.replace('\n', " ")).unwrap();
    std::fs::set_permissions(
        file.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let mut clients = server.client_command("pgbench");
    clients
        .args([
            "--no-vacuum",
            "--client=8",
            "--jobs=2",
            "--transactions=50",
            "--file",
        ])
        .arg(file.path());
    clients.env(
        "PGOPTIONS",
        "-c enable_hashjoin=off -c enable_mergejoin=off -c deadlock_timeout=10ms",
    );
    let ran = clients.arg("ledger").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() || said.contains("deadlock detected"),
        "{said}"
    );
}

/// The control: the same rows in another order each time.
#[tokio::test(flavor = "multi_thread")]
async fn control_batches_that_are_not_sorted_lock_each_other_out() {
    let server = PostgresServer::start();
    let store = open(&server.create_ledger("ledger").await).await;
    for number in 0..40 {
        store
            .create(
                key(number),
                &entry(1),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
    }
    tokio::task::block_in_place(|| {
        change_in_order(&server, "key");
        assert_eq!(deadlocks(&server), 0);
        change_in_order(&server, "random()");
        assert!(deadlocks(&server) > 0);
    });
}
