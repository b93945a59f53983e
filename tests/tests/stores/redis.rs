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
    Clock, Created, Keep, RedisSetUp, RedisStore, Server, SettableClock, Store, StoreError,
    conformance::{self, Fixture, alike, entry, fresh_version, key},
};
use semel_servers::redis::Redis;
use std::sync::Arc;

/// What a user needs at the least.
const LEAN: &str = "+@read +@write +@scripting +@pubsub +@connection +info +time +config|get ~semel:* &semel:*";

#[test]
fn it_keeps_the_contract() {
    for (name, case) in conformance::CASES {
        println!("{name}");
        conformance::run(async { case(&fixture(Arc::new(Redis::start())).await).await });
    }
}

#[test]
fn it_answers_as_memory_does() {
    let redis = Arc::new(Redis::start());
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in vec(any::<u64>(), 80..120))| {
        redis.cli(&["FLUSHALL"]);
        conformance::run(async { alike::answers_as_memory_does(&fixture(Arc::clone(&redis)).await, &steps).await });
    });
}

/// A fresh ledger on a server without one.
async fn fixture(redis: Arc<Redis>) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let server = redis.ledger().await;
    let store = RedisStore::open_with_clock(&server, Some(Arc::clone(&clock) as Arc<dyn Clock>)).await.unwrap();
    let losing = Arc::clone(&redis);
    let lose = move || {
        losing.cli(&["FLUSHALL"]);
        let server = losing.server();
        // On a runtime of its own: a case waits on one of its.
        let set_up = std::thread::spawn(move || {
            conformance::run(async { assert_eq!(RedisStore::set_up(&server).await, Ok(RedisSetUp::Made)) });
        });
        set_up.join().unwrap();
    };
    Fixture { store: Arc::new(store), clock, is_steady: false, lose: Some(Box::new(lose)), place: Box::new(redis) }
}

/// The server, for a user with a password: `user:password`.
fn at(redis: &Redis, user: &str) -> Server {
    Server::at(format!("redis://{user}@127.0.0.1:{}", redis.port))
}

/// The store of a fresh ledger in the server.
async fn store(redis: &Redis) -> RedisStore {
    redis.ledger().await;
    open(redis).await
}

async fn open(redis: &Redis) -> RedisStore {
    RedisStore::open(&redis.server()).await.unwrap()
}

async fn create(store: &RedisStore, number: u32) -> Result<Created, StoreError> {
    store.create(key(number), &entry(number), fresh_version(), Keep::UntilRemoved).await
}

/// Whether something lies there, or why that is not told.
async fn get(store: &RedisStore, number: u32) -> Result<bool, String> {
    store.get(key(number)).await.map(|(stored, _)| stored.is_some()).map_err(|error| error.to_string())
}
