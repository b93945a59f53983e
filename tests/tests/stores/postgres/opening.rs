//! What is refused when a ledger is opened, in which words.

use insta::assert_snapshot;
use semel::{model::Durability, store::ServerAddress};
use semel_postgres::{PostgresSetup, PostgresStore, SetupResult};
use semel_servers::postgres::{OWNER, PostgresServer};

async fn refusal(server: &ServerAddress) -> String {
    PostgresStore::open(server)
        .await
        .map_or_else(|fault| fault.to_string(), |_| "it opens".to_owned())
}

/// The port is another one each time.
fn without_port(text: &str, server: &PostgresServer) -> String {
    text.replace(&server.port.to_string(), "PORT")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_ledger_is_refused_with_its_cure() {
    let server = PostgresServer::start();
    let ledger = server.create_ledger("ledger").await;
    let mut told = Vec::new();
    let mut tell = |what: &str, refusal: String| {
        told.push(format!("{what}: {}", without_port(&refusal, &server)))
    };
    tell("no URL", refusal(&ServerAddress::new("postgres//")).await);
    tell(
        "nobody there",
        refusal(&ServerAddress::new(
            "postgres://owner@127.0.0.1:1/ledger?connect_timeout=2",
        ))
        .await,
    );
    tell(
        "another database",
        refusal(&ServerAddress::new(server.url("missing"))).await,
    );
    tell(
        "no ledger",
        refusal(&ServerAddress::new(server.url("postgres"))).await,
    );
    server.run_sql("ledger", "CREATE ROLE guest LOGIN");
    let guest = ServerAddress::new(server.url("ledger").replace(OWNER, "guest"));
    tell("no rights", refusal(&guest).await);
    let granted = PostgresSetup {
        grant_to: vec!["guest".to_owned()],
        ..PostgresSetup::default()
    };
    assert_eq!(
        PostgresStore::set_up(&ledger, &granted).await,
        Ok(SetupResult::Unchanged)
    );
    tell("granted", refusal(&guest).await);
    server.run_sql("ledger", "UPDATE semel.ledger SET schema = 99");
    tell("newer", refusal(&ledger).await);
    tell(
        "newer, set up",
        PostgresStore::set_up(&ledger, &granted)
            .await
            .unwrap_err()
            .to_string(),
    );
    server.run_sql("ledger", "UPDATE semel.ledger SET schema = 0");
    tell("older", refusal(&ledger).await);
    server.run_sql(
        "ledger",
        "UPDATE semel.ledger SET schema = 1; ALTER TABLE semel.entry SET UNLOGGED",
    );
    tell("unlogged", refusal(&ledger).await);
    server.run_sql("ledger", "ALTER TABLE semel.entry SET LOGGED");
    server.run_sql(
        "ledger",
        "ALTER DATABASE ledger SET default_transaction_read_only = on",
    );
    tell("read-only", refusal(&ledger).await);
    assert_snapshot!(told.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_what_it_acknowledged_is_refused() {
    for setting in ["fsync=off", "full_page_writes=off"] {
        let server = PostgresServer::start_with_settings(&[setting]);
        let told = refusal(&server.create_ledger("ledger").await).await;
        assert!(
            told.contains("would not keep what it acknowledged")
                && told.contains("ALTER SYSTEM SET"),
            "{told}"
        );
    }
}

/// The operator may not know the database's default. Sessions of a ledger wait for the disk all the
/// same.
#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_does_not_wait_for_the_disk_is_overruled() {
    let server = PostgresServer::start_with_settings(&["synchronous_commit=off"]);
    let ledger = server.create_ledger("ledger").await;
    let store = PostgresStore::open(&ledger).await.unwrap();
    assert_eq!(
        semel::store::Store::durability(&store),
        Durability::PowerLoss
    );
    assert!(
        store
            .report()
            .settings
            .contains(&("synchronous_commit", "on".to_owned()))
    );
}

/// A ledger that is open notices what is changed under it, and trusts it again once that is put right.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_while_it_is_open_is_noticed() {
    use semel_conformance::key;
    let server = PostgresServer::start();
    let store = super::open(&server.create_ledger("ledger").await).await;
    for (setting, is_right) in [("off", false), ("on", true)] {
        server.run_sql(
            "postgres",
            &format!("ALTER SYSTEM SET full_page_writes = {setting}"),
        );
        server.run_sql("postgres", "SELECT pg_reload_conf()");
        let begun = std::time::Instant::now();
        while store.get(key(1)).await.is_ok() != is_right {
            assert!(
                begun.elapsed().as_secs() < 30,
                "it is not noticed that it is {setting}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_set_a_ledger_up_at_once_make_one() {
    let server = PostgresServer::start();
    server.run_sql("postgres", "CREATE DATABASE ledger");
    let ledger = ServerAddress::new(server.url("ledger"));
    let setup = PostgresSetup::default();
    let (one, other) = tokio::join!(
        PostgresStore::set_up(&ledger, &setup),
        PostgresStore::set_up(&ledger, &setup)
    );
    let mut both = [one.unwrap(), other.unwrap()];
    both.sort_by_key(|set_up| *set_up == SetupResult::Unchanged);
    assert_eq!(both, [SetupResult::Created, SetupResult::Unchanged]);
}
