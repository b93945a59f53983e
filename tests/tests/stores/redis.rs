//! The ledger in Redis: the contract, what is refused, what is found out while it is used, and what faults leave behind.

mod cluster;
mod encrypted;
mod faults;
mod losing;
mod opening;
mod scrubbing;
mod troubles;

use proptest::{collection::vec, prelude::*};
use semel::store::{
    Clock, CreateResult, Retention, ServerAddress, SettableClock, Store, StoreError,
};
use semel_conformance::{Fixture, entry, equivalence, fresh_version, key};
use semel_redis::{RedisSetupResult, RedisStore};
use semel_servers::redis::RedisServer;
use std::{pin::Pin, sync::Arc};

/// The minimal permissions of a user.
const LEAN: &str =
    "+@read +@write +@scripting +@pubsub +@connection +info +time +config|get ~semel:* &semel:*";

#[test]
fn it_keeps_the_contract() {
    for case in semel_conformance::CASES {
        println!("{}", case.name());
        case.run(fixture(Arc::new(RedisServer::start())));
    }
}

#[test]
fn it_answers_as_memory_does() {
    let redis = Arc::new(RedisServer::start());
    let config = ProptestConfig {
        cases: 15,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in vec(any::<u64>(), 300..400))| {
        redis.run_command(&["FLUSHALL"]);
        semel_conformance::run(async { equivalence::answers_like_memory(&fixture(Arc::clone(&redis)).await, &steps).await });
    });
}

/// A fresh ledger on a server without one.
async fn fixture(redis: Arc<RedisServer>) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let server = redis.create_ledger().await;
    let (losing, troubled) = (Arc::clone(&redis), Arc::clone(&redis));
    let lose = move || {
        losing.run_command(&["FLUSHALL"]);
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
        .with_failures(move |begins| refuse_writes(&troubled, begins))
        .keep_alive(redis)
}

/// Opens the ledger on a server, any number of times.
fn opening_by(
    server: ServerAddress,
    clock: Arc<SettableClock>,
) -> impl Fn() -> Opening + Send + Sync {
    move || {
        let (server, clock) = (server.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        Box::pin(async move {
            let store = RedisStore::open_with_clock(&server, Some(clock))
                .await
                .unwrap();
            Arc::new(store) as Arc<dyn Store>
        })
    }
}

type Opening = Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>>;

/// A server that lacks the replicas it asks for takes no writes.
fn refuse_writes(redis: &RedisServer, refuse: bool) {
    redis.run_command(&[
        "CONFIG",
        "SET",
        "min-replicas-to-write",
        if refuse { "1" } else { "0" },
    ]);
}

/// The server, for a user with a password: `user:password`.
fn at(redis: &RedisServer, user: &str) -> ServerAddress {
    ServerAddress::new(format!("redis://{user}@127.0.0.1:{}", redis.port))
}

/// The store of a fresh ledger in the server.
async fn store(redis: &RedisServer) -> RedisStore {
    redis.create_ledger().await;
    open(redis).await
}

async fn open(redis: &RedisServer) -> RedisStore {
    RedisStore::open(&redis.address()).await.unwrap()
}

async fn create(store: &RedisStore, number: u32) -> Result<CreateResult, StoreError> {
    store
        .create(
            key(number),
            &entry(number),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
}

/// Returns true if there is an entry, or the error.
async fn get(store: &RedisStore, number: u32) -> Result<bool, String> {
    store
        .get(key(number))
        .await
        .map(|(stored, _)| stored.is_some())
        .map_err(|error| error.to_string())
}
