//! What is refused when a ledger in Redis is opened, in which words, and which level is found.

use super::{LEAN, at};
use semel::{
    model::Durability,
    store::{ServerAddress, Store},
};
use semel_redis::{RedisSetupResult, RedisStore};
use semel_servers::redis::{LEDGER_SETTINGS, RedisServer};

/// Why it is not opened, with its port left out.
pub(super) async fn refusal(redis: &RedisServer, server: &ServerAddress) -> String {
    let opened = RedisStore::open(server).await;
    opened
        .expect_err("it is refused")
        .to_string()
        .replace(&redis.port.to_string(), "PORT")
}

/// The level of a ledger on a server with these settings beside those that are fit.
async fn level(settings: &[&str]) -> Durability {
    let redis = RedisServer::start_with_settings(&[LEDGER_SETTINGS, settings].concat());
    RedisStore::open(&redis.create_ledger().await)
        .await
        .unwrap()
        .durability()
}

/// The errors of creating and opening a ledger on a server with these settings.
async fn unfit(settings: &[&str]) -> String {
    let redis = RedisServer::start_with_settings(settings);
    let told = refusal(&redis, &redis.address()).await;
    let making = RedisStore::set_up(&redis.address())
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(making.replace(&redis.port.to_string(), "PORT"), told);
    told
}

#[tokio::test]
async fn what_was_not_made_is_not_used() {
    let redis = RedisServer::start();
    insta::assert_snapshot!(refusal(&redis, &redis.address()).await);
    assert_eq!(
        RedisStore::set_up(&redis.address()).await,
        Ok(RedisSetupResult::Created)
    );
    assert_eq!(
        RedisStore::set_up(&redis.address()).await,
        Ok(RedisSetupResult::Unchanged)
    );
    RedisStore::open(&redis.address()).await.unwrap();
}

#[tokio::test]
async fn databases_of_a_server_are_ledgers_of_their_own() {
    let redis = RedisServer::start();
    redis.create_ledger().await;
    let other = ServerAddress::new(format!("{}/3", redis.url()));
    assert!(
        refusal(&redis, &other)
            .await
            .contains("there is no ledger in 127.0.0.1:PORT/3")
    );
}

#[tokio::test]
async fn what_would_lose_is_refused() {
    insta::assert_snapshot!("no append-only file", unfit(&["--appendonly", "no"]).await);
    let evicting = [
        "--appendonly",
        "yes",
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
    ];
    insta::assert_snapshot!("evicting", unfit(&evicting).await);
}

#[tokio::test]
async fn the_level_is_that_of_the_settings() {
    assert_eq!(level(&[]).await, Durability::PowerLoss);
    assert_eq!(
        level(&["--appendfsync", "everysec"]).await,
        Durability::ProcessCrash
    );
    assert_eq!(
        level(&["--appendfsync", "no"]).await,
        Durability::ProcessCrash
    );
    assert_eq!(
        level(&["--no-appendfsync-on-rewrite", "yes"]).await,
        Durability::ProcessCrash
    );
}

#[tokio::test]
async fn a_replica_is_refused() {
    let primary = RedisServer::start();
    primary.create_ledger().await;
    let port = primary.port.to_string();
    let replica = RedisServer::start_with_settings(
        &[LEDGER_SETTINGS, &["--replicaof", "127.0.0.1", &port]].concat(),
    );
    insta::assert_snapshot!(refusal(&replica, &replica.address()).await);
}

#[tokio::test]
async fn a_service_that_hides_its_settings_is_accepted_by_name() {
    let redis = RedisServer::start();
    redis.create_ledger().await;
    redis.run_command(&[
        "ACL", "SETUSER", "agent", "on", ">secret", "~semel:*", "&semel:*", "+@all", "-config",
    ]);
    let server = at(&redis, "agent:secret");
    insta::assert_snapshot!(refusal(&redis, &server).await);
    let store = RedisStore::open(&server.allow_unverified()).await.unwrap();
    assert_eq!(store.durability(), Durability::Unverified);
}

#[tokio::test]
async fn whoever_may_not_do_what_is_needed_is_told() {
    let redis = RedisServer::start();
    redis.create_ledger().await;
    redis.run_command(&[
        "ACL", "SETUSER", "agent", "on", ">secret", "~semel:*", "&semel:*", "+@all", "-zadd",
    ]);
    insta::assert_snapshot!(
        "a command",
        refusal(&redis, &at(&redis, "agent:secret")).await
    );
    insta::assert_snapshot!(
        "a password",
        refusal(&redis, &at(&redis, "agent:wrong")).await
    );
    assert!(
        refusal(&redis, &at(&redis, "agent:wrong").with_password("secret"))
            .await
            .contains("ZADD")
    );
    let enough: Vec<&str> = ["ACL", "SETUSER", "lean", "on", ">secret"]
        .into_iter()
        .chain(LEAN.split(' '))
        .collect();
    redis.run_command(&enough);
    RedisStore::open(&at(&redis, "lean:secret")).await.unwrap();
}

#[tokio::test]
async fn another_schema_is_not_touched() {
    let redis = RedisServer::start();
    redis.create_ledger().await;
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "9"]);
    insta::assert_snapshot!("newer", refusal(&redis, &redis.address()).await);
    assert!(RedisStore::set_up(&redis.address()).await.is_err());
    redis.run_command(&["DEL", "semel:{ledger}"]);
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "mine"]);
    insta::assert_snapshot!("foreign", refusal(&redis, &redis.address()).await);
}

#[tokio::test]
async fn nobody_at_the_address_is_told() {
    let told = RedisStore::open(&ServerAddress::new("redis://127.0.0.1:1"))
        .await
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!("nobody", told);
    let told = RedisStore::open(&ServerAddress::new("redis://127.0.0.1:1/x"))
        .await
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!("url", told);
}
