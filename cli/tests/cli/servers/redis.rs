//! A ledger in Redis.

use super::{Refusals, assert_ledger_works, exit_and_message, shop_at};
use insta::assert_snapshot;
use semel_servers::{
    machine,
    redis::{LEDGER_SETTINGS, RedisServer},
};
use std::path::PathBuf;

fn init(url: &str, more: &[&str]) -> crate::workshop::CommandOutput {
    shop_at(url).run(&[&["ledger", "init"], more].concat())
}

#[test]
fn a_url_that_leads_nowhere_is_told() {
    let redis = RedisServer::start();
    let (port, mut refusals) = (redis.port, Refusals::new(redis.port));
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
    assert_snapshot!(refusals.into_text());
}

#[test]
fn what_the_server_does_not_allow_is_told() {
    let redis = RedisServer::start();
    let (url, mut refusals) = (redis.url(), Refusals::new(redis.port));
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
        &exit_and_message(&init(&as_user("reader:right"), &[])),
    );
    init(&url, &[]).assert_message(0, "");
    refusals.add_at("no rights", &as_user("reader:right"));
    refusals.add_at("wrong password", &as_user("reader:wrong"));
    redis.run_command(&["ACL", "SETUSER", "default", "resetpass", ">right"]);
    refusals.add_at("no password", &url);
    let owner = shop_at(&as_user("default:right"));
    owner.run(&["ledger", "list"]).assert_stdout(0, "");
    assert_snapshot!(refusals.into_text());
}

#[test]
fn a_server_that_is_not_fit_is_told() {
    let redis = RedisServer::start();
    let (url, mut refusals) = (redis.url(), Refusals::new(redis.port));
    init(&url, &[]).assert_message(0, "");
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    refusals.add_at("evicting", &url);
    redis.run_command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "9"]);
    refusals.add_at("newer", &url);
    refusals.add("newer, init", &exit_and_message(&init(&url, &[])));
    redis.run_command(&["HSET", "semel:{ledger}", "schema", "1"]);
    redis.run_command(&["REPLICAOF", "127.0.0.1", "1"]);
    refusals.add_at("a replica", &url);
    refusals.add("a replica, init", &exit_and_message(&init(&url, &[])));
    assert_snapshot!(refusals.into_text());
}

#[test]
fn it_is_made_once_and_used() {
    let redis = RedisServer::start();
    let url = redis.url();
    init(&url, &["--partitions", "4"]).assert_message(
        64,
        "`--partitions` and `--grant-to` are for a ledger in PostgreSQL",
    );
    init(&url, &[]).assert_stdout(0, &format!("{url}: the ledger is created\n"));
    init(&url, &[]).assert_stdout(0, &format!("{url}: the ledger exists already\n"));
    let shop = shop_at(&url);
    assert_ledger_works(
        &shop,
        &[
            "appendfsync always",
            "redis_version",
            "D2: survives power loss",
        ],
    );
    // An emptied server: nothing is sent again until a person decides so.
    redis.run_command(&["FLUSHALL"]);
    shop.exec("charge", super::ORDER, "echo $SEMEL_KEY >> effects")
        .assert_message(69, "there is no ledger");
    init(&url, &[]).assert_stdout(0, &format!("{url}: the ledger is created\n"));
    assert_eq!(shop.effects(), 1);
    shop.exec("charge", super::ORDER, "echo $SEMEL_KEY >> effects")
        .assert_message(0, "");
    // Another life of a ledger that knows of a call.
    init(&url, &["--renew"]).assert_stdout(
        0,
        &format!(
            "{url}: the ledger has a new incarnation; 0 of its records are known to be lost\n"
        ),
    );
    let other = r#"{"order": 18, "amount": 10}"#;
    shop.exec("charge", other, "echo $SEMEL_KEY >> effects")
        .assert_message(69, "semel ledger trust");
    let trust = [
        "ledger",
        "trust",
        "--who",
        "ada",
        "--why",
        "the agents were off",
    ];
    shop.run(&trust)
        .assert_stdout(0, "the quarantine has ended: calls are sent again\n");
    assert_eq!(shop.effects(), 2);
    shop.exec("charge", other, "echo $SEMEL_KEY >> effects")
        .assert_message(0, "");
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
    let mut refusals = Refusals::new(port.parse().unwrap());
    refusals.add_at("not enciphered", &format!("redis://localhost:{port}"));
    let shop = shop_at(&format!("rediss://localhost:{port}"));
    let by_authority = |name: &str, words: &[&str]| {
        let mut command = shop.semel(words);
        command
            .env("SSL_CERT_FILE", tls(name))
            .env_remove("SSL_CERT_DIR");
        crate::workshop::CommandOutput::from(command.output().unwrap())
    };
    refusals.add(
        "not vouched for",
        &exit_and_message(&by_authority("server.pem", &["ledger", "init"])),
    );
    by_authority("authority.pem", &["ledger", "init"]).assert_message(0, "");
    by_authority("authority.pem", &["ledger", "list"]).assert_stdout(0, "");
    assert_snapshot!(refusals.into_text());
}
