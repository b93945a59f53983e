//! A ledger in Redis.

use super::{Refusals, is_used_as_ever, shop_at, told};
use insta::assert_snapshot;
use semel_servers::{
    machine,
    redis::{LEDGER_SETTINGS, RedisServer},
};
use std::path::PathBuf;

fn init(url: &str, more: &[&str]) -> crate::workshop::Done {
    shop_at(url).run(&[&["ledger", "init"], more].concat())
}

#[test]
fn a_url_that_leads_nowhere_is_told() {
    let redis = RedisServer::start();
    let (port, mut refusals) = (redis.port, Refusals::of(redis.port));
    refusals.add_at("no host", "redis://");
    refusals.add_at("no port", "redis://127.0.0.1:x");
    refusals.add_at("no database", &format!("{}/x", redis.url()));
    refusals.add_at("nobody there", "redis://127.0.0.1:1");
    refusals.add_at("no ledger", &redis.url());
    refusals.add_at(
        "a database that there is not",
        &format!("{}/99", redis.url()),
    );
    refusals.add_at("no TLS", &format!("rediss://127.0.0.1:{port}"));
    assert_snapshot!(refusals.all());
}

#[test]
fn what_the_server_does_not_allow_is_told() {
    let redis = RedisServer::start();
    let (url, mut refusals) = (redis.url(), Refusals::of(redis.port));
    let as_user = |user: &str| url.replace("://", &format!("://{user}@"));
    redis.run_command(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">right",
        "~semel:*",
        "&semel:*",
        "+@read",
        "+info",
        "+config|get",
    ]);
    refusals.add(
        "may not make it",
        &told(&init(&as_user("reader:right"), &[])),
    );
    init(&url, &[]).stopped(0, "");
    refusals.add_at("no rights", &as_user("reader:right"));
    refusals.add_at("wrong password", &as_user("reader:wrong"));
    redis.run_command(&["ACL", "SETUSER", "default", "resetpass", ">right"]);
    refusals.add_at("no password", &url);
    let owner = shop_at(&as_user("default:right"));
    owner.run(&["ledger", "list"]).printed(0, "");
    assert_snapshot!(refusals.all());
}

#[test]
fn a_server_that_is_not_fit_is_told() {
    let redis = RedisServer::start();
    let (url, mut refusals) = (redis.url(), Refusals::of(redis.port));
    init(&url, &[]).stopped(0, "");
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    refusals.add_at("evicting", &url);
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "9"]);
    refusals.add_at("newer", &url);
    refusals.add("newer, init", &told(&init(&url, &[])));
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "1"]);
    redis.run_command(&["REPLICAOF", "127.0.0.1", "1"]);
    refusals.add_at("a replica", &url);
    refusals.add("a replica, init", &told(&init(&url, &[])));
    assert_snapshot!(refusals.all());
}

#[test]
fn it_is_made_once_and_used() {
    let redis = RedisServer::start();
    let url = redis.url();
    init(&url, &["--partitions", "4"]).stopped(
        64,
        "`--partitions` and `--grant-to` are for a ledger in PostgreSQL",
    );
    init(&url, &[]).printed(0, &format!("{url}: the ledger is made\n"));
    init(&url, &[]).printed(0, &format!("{url}: the ledger is there already\n"));
    let shop = shop_at(&url);
    is_used_as_ever(
        &shop,
        &[
            "appendfsync always",
            "redis_version",
            "D2: survives power loss",
        ],
    );
    // Somebody empties it: nothing is sent again until a person says so.
    redis.run_command(&["FLUSHALL"]);
    shop.exec("charge", super::ORDER, "echo $SEMEL_KEY >> effects")
        .stopped(69, "there is no ledger");
    init(&url, &[]).printed(0, &format!("{url}: the ledger is made\n"));
    assert_eq!(shop.effects(), 1);
    shop.exec("charge", super::ORDER, "echo $SEMEL_KEY >> effects")
        .stopped(0, "");
    // Another life of a ledger that knows of a call.
    init(&url, &["--renew"]).printed(
        0,
        &format!("{url}: the ledger began another life; 0 of its records are known to be lost\n"),
    );
    let other = r#"{"order": 18, "amount": 10}"#;
    shop.exec("charge", other, "echo $SEMEL_KEY >> effects")
        .stopped(69, "semel ledger trust");
    let trust = [
        "ledger",
        "trust",
        "--who",
        "ada",
        "--why",
        "the agents were off",
    ];
    shop.run(&trust).printed(0, "calls are sent again\n");
    assert_eq!(shop.effects(), 2);
    shop.exec("charge", other, "echo $SEMEL_KEY >> effects")
        .stopped(0, "");
    assert_eq!(shop.effects(), 3);
}

#[test]
fn connections_are_enciphered_where_the_server_wants_it() {
    let tls = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/data/tls")
            .join(name)
    };
    let port = machine::free_port().to_string();
    let (chain, key, authority) = (tls("server.pem"), tls("server.key"), tls("authority.pem"));
    let files = [
        ("--tls-cert-file", &chain),
        ("--tls-key-file", &key),
        ("--tls-ca-cert-file", &authority),
    ];
    let files: Vec<_> = files
        .iter()
        .flat_map(|(name, file)| [*name, file.to_str().unwrap()])
        .collect();
    let _redis = RedisServer::start_with_settings(
        &[
            LEDGER_SETTINGS,
            &["--tls-port", &port, "--tls-auth-clients", "no"],
            &files,
        ]
        .concat(),
    );
    let mut refusals = Refusals::of(port.parse().unwrap());
    refusals.add_at("not enciphered", &format!("redis://localhost:{port}"));
    let shop = shop_at(&format!("rediss://localhost:{port}"));
    let by_authority = |name: &str, words: &[&str]| {
        let mut command = shop.semel(words);
        command
            .env("SSL_CERT_FILE", tls(name))
            .env_remove("SSL_CERT_DIR");
        crate::workshop::Done::of(command.output().unwrap())
    };
    refusals.add(
        "not vouched for",
        &told(&by_authority("server.pem", &["ledger", "init"])),
    );
    by_authority("authority.pem", &["ledger", "init"]).stopped(0, "");
    by_authority("authority.pem", &["ledger", "list"]).printed(0, "");
    assert_snapshot!(refusals.all());
}
