//! A ledger in a Redis cluster: the contract over several servers, slots that move while it is used, and servers that fail,
//! are emptied, or hand over to a replica that lacks the last writes.

use super::{LEAN, at, create, get, losing, opening, opening_by};
use crate::charging::{Charges, charge, charging};
use proptest::prelude::*;
use semel::{
    key::KeyScheme,
    ledger::Person,
    model::{Answer, Durability, StoreKey},
    runtime::{CallError, Ledger, LedgerError, Semel},
    store::{CreateResult, EntryQuery, ReplaceResult, Retention, SettableClock, Store, StoreError},
};
use semel_conformance::{Fixture, entry, equivalence, fresh_version, key};
use semel_redis::{RedisSetupResult, RedisStore};
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer, cluster::RedisCluster};
use semel_store::fresh_nonce;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// A key, another for each number, in any bucket.
fn anywhere(number: u32) -> StoreKey {
    key(number.wrapping_mul(0x9e37_79b1))
}

async fn open(cluster: &RedisCluster) -> RedisStore {
    RedisStore::open(&cluster.address()).await.unwrap()
}

async fn create_anywhere(store: &RedisStore, number: u32) -> Result<CreateResult, StoreError> {
    store
        .create(
            anywhere(number),
            &entry(number),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
}

/// A fresh ledger on a cluster, whatever lay there.
async fn fixture(cluster: Arc<RedisCluster>) -> Fixture {
    cluster.flush_all();
    let clock = Arc::new(SettableClock::default());
    let server = cluster.create_ledger().await;
    let losing = Arc::clone(&cluster);
    let lose = move || {
        losing.flush_all();
        let server = losing.address();
        // On a runtime of its own: a case waits on one of its.
        let set_up = std::thread::spawn(move || {
            semel_conformance::run(async {
                assert_eq!(
                    RedisStore::set_up(&server).await,
                    Ok(RedisSetupResult::Created)
                )
            });
        });
        set_up.join().unwrap();
    };
    let open = opening_by(server, Arc::clone(&clock));
    Fixture::new(open().await, clock)
        .with_wall_clock_only()
        .with_reopen(open)
        .with_sharing()
        .with_loss(lose)
        .keep_alive(cluster)
}

#[test]
fn it_keeps_the_contract_and_answers_as_memory_does() {
    let cluster = Arc::new(RedisCluster::start(3));
    for case in semel_conformance::CASES {
        println!("{}", case.name());
        case.run(fixture(Arc::clone(&cluster)));
    }
    let config = ProptestConfig {
        cases: 10,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(any::<u64>(), 80..120))| {
        semel_conformance::run(async { equivalence::answers_like_memory(&fixture(Arc::clone(&cluster)).await, &steps).await });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_it_and_its_slots_move_while_they_do() {
    let mut cluster = RedisCluster::start(3);
    cluster.create_ledger().await;
    let other_door = cluster.nodes[1].address();
    let hosts = [
        Arc::new(open(&cluster).await),
        Arc::new(RedisStore::open(&other_door).await.unwrap()),
    ];
    news_come_from_the_other(&hosts).await;
    each_key_is_created_once(&hosts).await;
    let before = losing::incarnation(&hosts[0]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..16 {
        writers.spawn(rewrite_until(
            Arc::clone(&hosts[number % 2]),
            100_000 * (1 + number as u32),
            Arc::clone(&stop),
        ));
    }
    let new = cluster.add_primary();
    for from in 0..3 {
        cluster.reshard(from, new, 500);
    }
    // And all of them back, so that one goes, too.
    cluster.reshard(new, 0, 1500);
    stop.store(true, Ordering::Relaxed);
    let written: usize = writers.join_all().await.into_iter().sum();
    println!("{written} writes while 3,000 slots moved");
    assert!(written > 500, "{written}");
    assert_eq!(
        losing::incarnation(&hosts[0]).await,
        before,
        "what moves is not lost"
    );
    let listed = hosts[1]
        .list(&EntryQuery {
            limit: 1000,
            ..Default::default()
        })
        .await
        .unwrap();
    assert!(listed.keys.len() >= 200 && listed.keys.is_sorted());
    hosts[0].scrub().await.unwrap();
}

/// They listen to different servers, and what changes lies with any of them.
async fn news_come_from_the_other([here, there]: &[Arc<RedisStore>; 2]) {
    let mut took = Vec::new();
    for number in 1_000..1_012 {
        let (at, version) = (anywhere(number), fresh_version());
        here.create(at, &entry(number), version, Retention::UntilRemoved)
            .await
            .unwrap();
        let waiting = Arc::clone(here);
        let waiter = tokio::spawn(async move {
            waiting
                .wait_for_change(at, version, Duration::from_secs(20))
                .await;
            Instant::now()
        });
        // Past the first looks, so that news are what wakes it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        there
            .replace(
                at,
                version,
                &entry(number),
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        let written = Instant::now();
        took.push(waiter.await.unwrap().saturating_duration_since(written));
    }
    took.sort();
    assert!(took[took.len() / 2] < Duration::from_millis(20), "{took:?}");
}

async fn each_key_is_created_once(hosts: &[Arc<RedisStore>; 2]) {
    let created = Arc::new(AtomicUsize::new(0));
    let mut racing = JoinSet::new();
    for number in 0..200 {
        for host in hosts {
            let (host, created) = (Arc::clone(host), Arc::clone(&created));
            racing.spawn(async move {
                let won = matches!(
                    create_anywhere(&host, number).await.unwrap(),
                    CreateResult::Created(_)
                );
                created.fetch_add(usize::from(won), Ordering::Relaxed);
            });
        }
    }
    racing.join_all().await;
    assert_eq!(created.load(Ordering::Relaxed), 200);
}

/// Makes one record after the other and replaces it, and says how often. Nothing is refused or unknown meanwhile.
async fn rewrite_until(store: Arc<RedisStore>, first: u32, stop: Arc<AtomicBool>) -> usize {
    let mut writes = 0;
    for number in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (at, version) = (anywhere(number), fresh_version());
        store
            .create(at, &entry(number), version, Retention::UntilRemoved)
            .await
            .unwrap();
        let next = fresh_nonce().unwrap();
        let replaced = store
            .replace(
                at,
                version,
                &entry(number + 1),
                next,
                Retention::Seconds(3600),
            )
            .await
            .unwrap();
        assert!(
            matches!(replaced, ReplaceResult::Replaced(_)),
            "{replaced:?}"
        );
        assert_eq!(store.get(at).await.unwrap().0.unwrap().version, next);
        writes += 2;
    }
    writes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_to_the_end_of_its_way_is_refused_in_words() {
    let cluster = RedisCluster::start(2);
    cluster.create_ledger().await;
    let store = Arc::new(open(&cluster).await);
    create(&store, 1).await.unwrap();
    let slot = cluster.slot_of_key("semel:{000}:life");
    let owner = (0..2)
        .find(|at| {
            !cluster.nodes[*at]
                .run_command(&["GET", "semel:{000}:life"])
                .contains("MOVED")
        })
        .unwrap();
    let (from, to) = (&cluster.nodes[owner], &cluster.nodes[1 - owner]);
    to.run_command(&[
        "CLUSTER",
        "SETSLOT",
        &slot,
        "IMPORTING",
        &cluster.node_id(owner),
    ]);
    from.run_command(&[
        "CLUSTER",
        "SETSLOT",
        &slot,
        "MIGRATING",
        &cluster.node_id(1 - owner),
    ]);
    insta::assert_snapshot!(losing::told(create(&store, 2).await));
    let waiting = Arc::clone(&store);
    let waiter = tokio::spawn(async move { create(&waiting, 2).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !waiter.is_finished(),
        "it waits while the slot may still move"
    );
    from.run_command(&["CLUSTER", "SETSLOT", &slot, "STABLE"]);
    to.run_command(&["CLUSTER", "SETSLOT", &slot, "STABLE"]);
    assert!(matches!(
        waiter.await.unwrap(),
        Ok(CreateResult::Created(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_needs_to_find_the_other_servers() {
    let cluster = RedisCluster::start(2);
    cluster.create_ledger().await;
    let allow = |more: &str| {
        let words = ["ACL", "SETUSER", "lean", "on", ">secret"]
            .into_iter()
            .chain(LEAN.split(' '));
        let words: Vec<&str> = words.chain(more.split_whitespace()).collect();
        cluster
            .nodes
            .iter()
            .for_each(|node| assert_eq!(node.run_command(&words), "OK"));
    };
    allow("");
    let lean = at(&cluster.nodes[1], "lean:secret");
    let told = RedisStore::open(&lean).await.unwrap_err().to_string();
    assert!(told.contains("`+cluster|slots`"), "{told}");
    allow("+cluster|slots");
    create_anywhere(&RedisStore::open(&lean).await.unwrap(), 1)
        .await
        .unwrap();
    // One primary that lets it in, and another that does not.
    cluster.nodes[0].run_command(&["ACL", "SETUSER", "lean", "off"]);
    let told = RedisStore::open(&lean).await.unwrap_err().to_string();
    assert!(told.contains("check the user and the password"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_emptied_or_unfit_is_found_out() {
    let cluster = RedisCluster::start(3);
    cluster.create_ledger().await;
    let store = open(&cluster).await;
    assert_eq!(store.durability(), Durability::PowerLoss);
    for number in 0..50 {
        create_anywhere(&store, number).await.unwrap();
    }
    let before = losing::incarnation(&store).await;
    // Not the one with the marker.
    let emptied = cluster
        .nodes
        .iter()
        .find(|node| {
            node.run_command(&["EXISTS", "semel:{ledger}"])
                .contains("MOVED")
        })
        .unwrap();
    emptied.run_command(&["FLUSHALL"]);
    let mut told = Vec::new();
    for number in 0..50 {
        match create_anywhere(&store, number).await {
            Ok(CreateResult::Exists(..)) => {}
            answer => told.push(losing::told(answer)),
        }
    }
    assert!(
        !told.is_empty() && told.len() < 50,
        "what is whole is used: {}",
        told.len()
    );
    assert!(
        told.iter()
            .all(|told| told.contains("a part of the ledger was flushed")),
        "{told:?}"
    );
    assert!(matches!(
        RedisStore::set_up(&cluster.address()).await,
        Ok(RedisSetupResult::Renewed { .. })
    ));
    create_anywhere(&store, 100).await.unwrap();
    assert_ne!(losing::incarnation(&store).await, before);
    // The level is that of the weakest of them, and what would lose is refused wherever it is.
    cluster.nodes[1].run_command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    losing::until("the level", async || {
        store.durability() == Durability::ProcessCrash
    })
    .await;
    cluster.nodes[2].run_command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    losing::until("the setting", async || {
        get(&store, 1)
            .await
            .is_err_and(|told| told.contains("allkeys-lru"))
    })
    .await;
}

/// Which of these orders are not on record any more.
async fn forgotten(host: &Semel, orders: std::ops::Range<u32>, charges: &Charges) -> Vec<u32> {
    let mut forgotten = Vec::new();
    for order in orders {
        match charge(host, order, charges).await {
            Ok(Answer::Replayed { .. }) => {}
            Err(CallError::Ledger(LedgerError::Quarantined { .. })) => forgotten.push(order),
            other => panic!("order {order}: {other:?}"),
        }
    }
    forgotten
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_a_loss_and_nothing_is_sent() {
    let mut cluster = RedisCluster::start(3);
    let replica = cluster.add_replica(0);
    cluster.create_ledger().await;
    let store: Arc<dyn Store> = Arc::new(open(&cluster).await);
    let (host, charges) = (charging(Arc::clone(&store)).await, Charges::default());
    // The replica lags: what is acknowledged from here on does not reach it.
    cluster.nodes[replica].pause();
    cluster.fill_replication_socket(0);
    for order in 0..40 {
        assert!(matches!(
            charge(&host, order, &charges).await,
            Ok(Answer::Executed { .. })
        ));
    }
    let before = store.get(key(1)).await.unwrap().1.incarnation;
    // The server that the URL names.
    cluster.nodes[0].kill();
    cluster.nodes[replica].resume();
    losing::until("the takeover", async || {
        match charge(&host, 1_000, &charges).await {
            Err(CallError::Ledger(LedgerError::Quarantined { .. })) => true,
            Ok(answer) => panic!("a replica took over, and it was charged: {answer:?}"),
            Err(_) => false,
        }
    })
    .await;
    assert!(
        cluster.nodes[replica]
            .run_command(&["ROLE"])
            .starts_with("master")
    );
    let lost = forgotten(&host, 0..40, &charges).await;
    println!("{} of 40 charges are on record no more", lost.len());
    assert!(
        !lost.is_empty() && lost.len() < 40,
        "what the others have is still answered: {lost:?}"
    );
    assert_eq!(charges.all(), 40, "nothing is sent again");
    // Another host finds the same, by another server.
    let after = store.get(key(1)).await.unwrap().1.incarnation;
    assert_ne!(after, before);
    let fresh = RedisStore::open(&cluster.nodes[1].address()).await.unwrap();
    assert_eq!(losing::incarnation(&fresh).await, after);
    // The control: if an operator says that nothing was lost, the lost charges are made again.
    let ledger = Ledger::open(Arc::clone(&store), KeyScheme::default())
        .await
        .unwrap();
    ledger
        .trust(&Person {
            who: "eve".to_owned(),
            why: "what could happen".to_owned(),
        })
        .await
        .unwrap();
    assert!(matches!(
        charge(&host, lost[0], &charges).await,
        Ok(Answer::Executed { .. })
    ));
    assert_eq!(charges.all(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_in_part_is_not_used() {
    let mut cluster = RedisCluster::start(3);
    cluster.create_ledger().await;
    let store = open(&cluster).await;
    create(&store, 1).await.unwrap();
    cluster.nodes[1].kill();
    losing::until("the end", async || get(&store, 1).await.is_err()).await;
    let (down, door) = (cluster.nodes[1].port, cluster.nodes[2].address());
    let told = RedisStore::open(&door).await.unwrap_err().to_string();
    assert!(
        told.contains(&format!("127.0.0.1:{down}/0 is unreachable")),
        "{told}"
    );
    // It comes back with all that it had.
    cluster.restart_node(1);
    losing::until("the return", async || get(&store, 1).await == Ok(true)).await;
    // A node that is paused blocks no caller for long.
    cluster.nodes[2].pause();
    losing::until("that it stands still", async || {
        let asked = Instant::now();
        let answer = get(&store, 1).await;
        assert!(
            asked.elapsed() < Duration::from_secs(12),
            "{:?}",
            asked.elapsed()
        );
        answer.is_err()
    })
    .await;
    cluster.nodes[2].resume();
    losing::until("that it goes on", async || get(&store, 1).await == Ok(true)).await;
}

#[tokio::test]
async fn a_server_without_its_cluster_is_refused() {
    let bus = semel_servers::machine::free_port().to_string();
    let redis = RedisServer::start_with_settings(
        &[
            LEDGER_SETTINGS,
            &["--cluster-enabled", "yes", "--cluster-port", &bus],
        ]
        .concat(),
    );
    insta::assert_snapshot!(opening::refusal(&redis, &redis.address()).await);
}
