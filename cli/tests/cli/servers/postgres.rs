//! A ledger in PostgreSQL.

use super::{Refusals, assert_ledger_works, exit_and_message, refusal, shop_at};
use insta::assert_snapshot;
use semel_servers::postgres::{OWNER, PostgresServer};
use std::path::PathBuf;

fn init(url: &str, more: &[&str]) -> crate::workshop::CommandOutput {
    shop_at(url).run(&[&["ledger", "init"], more].concat())
}

/// A server with a database that has no ledger yet.
fn server() -> PostgresServer {
    let server = PostgresServer::start();
    server.run_sql("postgres", "CREATE DATABASE ledger");
    server
}

#[test]
fn a_url_that_leads_nowhere_is_told() {
    let server = server();
    let mut refusals = Refusals::new(server.port);
    let port = server.port;
    refusals.add_at("another scheme", "postgers://127.0.0.1/ledger");
    refusals.add_at("no host", "postgres:///ledger");
    refusals.add_at("no port", "postgres://owner@127.0.0.1:x/ledger");
    refusals.add_at(
        "an unknown parameter",
        "postgres://owner@127.0.0.1/ledger?colour=red",
    );
    refusals.add_at("nobody there", "postgres://owner@127.0.0.1:1/ledger");
    refusals.add_at("another database", &server.url("missing"));
    refusals.add_at(
        "another user",
        &format!("postgres://nobody@127.0.0.1:{port}/ledger"),
    );
    refusals.add_at("no ledger", &server.url("ledger"));
    refusals.add_at(
        "no TLS",
        &format!("{}?sslmode=require", server.url("ledger")),
    );
    assert_snapshot!(refusals.into_text());
}

#[test]
fn what_the_server_does_not_allow_is_told() {
    let server = server();
    let (ledger, mut refusals) = (server.url("ledger"), Refusals::new(server.port));
    server.run_sql(
        "ledger",
        "CREATE ROLE guest LOGIN; CREATE ROLE ada LOGIN PASSWORD 'right'",
    );
    let guest = ledger.replace(OWNER, "guest");
    refusals.add("may not make it", &exit_and_message(&init(&guest, &[])));
    init(&ledger, &[]).assert_message(0, "");
    refusals.add_at("no rights", &guest);
    refusals.add(
        "nobody to let in",
        &exit_and_message(&init(&ledger, &["--grant-to", "nobody"])),
    );
    server.run_sql("ledger", "UPDATE semel.ledger SET schema = 99");
    refusals.add_at("newer", &ledger);
    refusals.add("newer, init", &exit_and_message(&init(&ledger, &[])));
    server.run_sql("ledger", "UPDATE semel.ledger SET schema = 0");
    refusals.add_at("older", &ledger);
    server.run_sql(
        "ledger",
        "UPDATE semel.ledger SET schema = 1; ALTER TABLE semel.entry SET UNLOGGED",
    );
    refusals.add_at("not logged", &ledger);
    server.run_sql("ledger", "ALTER TABLE semel.entry SET LOGGED");
    server.run_sql(
        "ledger",
        "ALTER DATABASE ledger SET default_transaction_read_only = on",
    );
    refusals.add_at("read-only", &ledger);
    refusals.add("read-only, init", &exit_and_message(&init(&ledger, &[])));
    server.set_authentication(&[
        "host all owner 127.0.0.1/32 trust",
        "host all ada 127.0.0.1/32 scram-sha-256",
    ]);
    refusals.add_at("no password", &ledger.replace(OWNER, "ada"));
    refusals.add_at("wrong password", &ledger.replace(OWNER, "ada:wrong"));
    refusals.add_at("not let in", &guest);
    assert_snapshot!(refusals.into_text());
}

#[test]
fn a_password_that_is_kept_elsewhere_lets_in() {
    let server = server();
    let ledger = server.url("ledger");
    server.run_sql("ledger", "CREATE ROLE ada LOGIN PASSWORD 'right'");
    init(&ledger, &["--grant-to", "ada"]).assert_message(0, "");
    server.set_authentication(&[
        "host all owner 127.0.0.1/32 trust",
        "host all ada 127.0.0.1/32 scram-sha-256",
    ]);
    let shop = shop_at(&ledger.replace(OWNER, "ada"));
    let config = shop
        .read("semel.toml")
        .replace("[ledger]\n", "[ledger]\nsecret_env = \"LEDGER_PASSWORD\"\n");
    shop.write("semel.toml", &config);
    let mut list = shop.semel(&["ledger", "list"]);
    let listed = list.env("LEDGER_PASSWORD", "right").output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let denied = list.env("LEDGER_PASSWORD", "wrong").output().unwrap();
    assert_eq!(denied.status.code(), Some(69));
    assert!(
        !String::from_utf8_lossy(&denied.stderr).contains("wrong"),
        "{denied:?}"
    );
}

#[test]
fn it_is_made_once_and_used_by_whom_it_was_granted_to() {
    let server = server();
    let ledger = server.url("ledger");
    server.run_sql("ledger", "CREATE ROLE guest LOGIN");
    let shown = ledger.replace("owner@", "");
    init(&ledger, &["--partitions", "4"])
        .assert_stdout(0, &format!("{shown}: the ledger is created\n"));
    let found = format!("{shown}: the ledger exists already\n");
    init(&ledger, &["--grant-to", "guest"]).assert_stdout(0, &found);
    init(&ledger, &[]).assert_stdout(0, &found);
    assert_eq!(
        server.run_sql("ledger", "SELECT count(*) FROM pg_inherits"),
        "16",
        "4 parts of a table and of each of its 3 indices"
    );
    init(&ledger, &["--partitions", "0"]).assert_message(64, "--partitions");
    init(&ledger, &["--renew"]).assert_message(64, "`--renew` is for a ledger in Redis");
    let shop = shop_at(&ledger.replace(OWNER, "guest"));
    assert_ledger_works(
        &shop,
        &[
            "server_version",
            "synchronous_commit on",
            "D2: survives power loss",
            "timeline",
        ],
    );
}

/// A server that takes enciphered connections only.
#[test]
fn connections_are_enciphered_where_the_server_wants_it() {
    let tls = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/data/tls")
            .join(name)
    };
    let server = PostgresServer::start_with_tls(&tls("server.pem"), &tls("server.key"));
    server.run_sql("postgres", "CREATE DATABASE ledger");
    server.set_authentication(&[
        "hostssl all all 127.0.0.1/32 trust",
        "hostssl all all ::1/128 trust",
    ]);
    let (port, mut refusals) = (server.port, Refusals::new(server.port));
    refusals.add_at("not enciphered", &server.url("ledger"));
    let url = format!("postgres://{OWNER}@localhost:{port}/ledger?sslmode=require");
    let shop = shop_at(&url);
    let by_authority = |name: &str, words: &[&str]| {
        let mut command = shop.semel(words);
        command
            .env("SSL_CERT_FILE", tls(name))
            .env_remove("SSL_CERT_DIR");
        crate::workshop::CommandOutput::from(command.output().unwrap())
    };
    // A machine that trusts another certificate authority.
    refusals.add(
        "not vouched for",
        &exit_and_message(&by_authority("server.pem", &["ledger", "init"])),
    );
    by_authority("authority.pem", &["ledger", "init"]).assert_message(0, "");
    by_authority("authority.pem", &["ledger", "list"]).assert_stdout(0, "");
    assert!(refusal(&shop).starts_with("69: "));
    assert_snapshot!(refusals.into_text());
}
