//! What faults of the server and of the way to it leave behind.

use super::open;
use semel::store::{
    Created, Keep, PostgresStore, Server, Store, StoreError, Version,
    conformance::{entry, fresh_version, key},
};
use semel_servers::{
    postgres::{OWNER, Postgres},
    proxy::{Proxy, Way},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn through(proxy: &Proxy, database: &str) -> Server {
    Server::at(format!("postgres://{OWNER}@127.0.0.1:{}/{database}", proxy.port))
}

/// What was said to be written is there, what was said not to be is not, and else either.
fn is_told_rightly(told: &Result<Created, StoreError>, lies: bool) -> bool {
    match told {
        Ok(Created::Created(_)) => lies,
        Err(StoreError::NotExecuted(_)) => !lies,
        Err(StoreError::Unknown(_)) => true,
        other => panic!("{other:?}"),
    }
}

/// The connection breaks after every seventh byte of the request, and every third of the reply.
#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_breaks_within_a_message_tells_nothing_wrong() {
    let server = Postgres::start();
    let ledger = server.ledger("ledger").await;
    let direct = open(&ledger).await;
    let mut number = 0;
    for (way, step) in [(Way::Request, 7), (Way::Reply, 3)] {
        let (mut unknown, mut lying) = (0, 0);
        for bytes in (0..).step_by(step) {
            let proxy = Proxy::to(server.port);
            let store = PostgresStore::open(&through(&proxy, "ledger")).await.unwrap();
            number += 1;
            let at = key(number);
            proxy.cut_after(way, bytes);
            let told = store.create(at, &entry(1), fresh_version(), Keep::UntilRemoved).await;
            if !proxy.has_cut() {
                assert!(told.is_ok(), "{told:?}");
                break;
            }
            // What is still under way at the server.
            tokio::time::sleep(Duration::from_millis(3)).await;
            let lies = direct.get(at).await.unwrap().0.is_some();
            assert!(is_told_rightly(&told, lies), "{way:?} {bytes}: {told:?}, and something lies there: {lies}");
            unknown += usize::from(told.is_err());
            lying += usize::from(lies);
        }
        println!("{way:?}: {unknown} without an answer, {lying} of them written");
        // The control: without the doubt, whoever tried again would write twice.
        assert!(way == Way::Request || lying > 0);
        assert!(unknown > 0);
    }
}

/// Writers that note what was acknowledged.
struct Witness {
    acknowledged: Mutex<HashMap<u32, Version>>,
    stop: AtomicBool,
}

async fn write_until_stopped(store: Arc<dyn Store>, witness: Arc<Witness>, first: u32) {
    for number in (first..).step_by(16) {
        if witness.stop.load(Ordering::Relaxed) {
            return;
        }
        let version = fresh_version();
        if let Ok(Created::Created(_)) = store.create(key(number), &entry(1), version, Keep::UntilRemoved).await {
            witness.acknowledged.lock().unwrap().insert(number, version);
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The server is ended in the midst of it, again and again, as a crash does it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    const CRASHES: usize = 4;
    let mut server = Postgres::start();
    let ledger = server.ledger("ledger").await;
    let store = open(&ledger).await;
    let life = store.get(key(0)).await.unwrap().1.incarnation;
    let witness = Arc::new(Witness { acknowledged: Mutex::default(), stop: AtomicBool::new(false) });
    let writers: Vec<_> = (1..=16)
        .map(|first| tokio::spawn(write_until_stopped(Arc::clone(&store), Arc::clone(&witness), first)))
        .collect();
    for _ in 0..CRASHES {
        let before = witness.acknowledged.lock().unwrap().len();
        let begun = std::time::Instant::now();
        while witness.acknowledged.lock().unwrap().len() < before + 100 {
            assert!(begun.elapsed().as_secs() < 60, "nothing is written");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::task::block_in_place(|| server.crash_and_start(&[]));
    }
    witness.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let reader = open(&ledger).await;
    let acknowledged = std::mem::take(&mut *witness.acknowledged.lock().unwrap());
    for (number, version) in &acknowledged {
        let (stored, now) = reader.get(key(*number)).await.unwrap();
        assert_eq!(stored.map(|stored| stored.version), Some(*version), "{number} was acknowledged");
        assert_eq!(now.incarnation, life, "a crash loses nothing");
    }
    println!("{} acknowledged writes over {CRASHES} crashes, all there", acknowledged.len());
}

/// An administrator ends all sessions.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_is_followed_by_another() {
    let server = Postgres::start();
    let store = open(&server.ledger("ledger").await).await;
    for number in 0..10 {
        server
            .sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'semel'");
        let begun = std::time::Instant::now();
        loop {
            let told = store.create(key(number), &entry(1), fresh_version(), Keep::UntilRemoved).await;
            if told.is_ok() {
                break;
            }
            assert!(begun.elapsed().as_secs() < 30, "{told:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A standby takes over that did not have everything: a missing record proves nothing from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_is_another_life() {
    let primary = Postgres::start();
    let ledger = primary.ledger("ledger").await;
    let store = open(&ledger).await;
    store.create(key(1), &entry(1), fresh_version(), Keep::UntilRemoved).await.unwrap();
    let before = store.get(key(1)).await.unwrap().1.incarnation;
    let standby = tokio::task::block_in_place(|| primary.standby());
    let refused = PostgresStore::open(&Server::at(standby.url("ledger"))).await.unwrap_err().to_string();
    assert!(refused.contains("name the primary server"), "{refused}");
    tokio::task::block_in_place(|| standby.promote());
    let promoted = open(&Server::at(standby.url("ledger"))).await;
    let (stored, now) = promoted.get(key(1)).await.unwrap();
    assert!(stored.is_some(), "the standby had it");
    assert_ne!(now.incarnation, before);
}
