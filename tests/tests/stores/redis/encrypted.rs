//! A server is spoken to over TLS where the URL says so, and only if an authority that this machine trusts vouches for it.

use super::{RedisServer, create, get};
use semel::store::ServerAddress;
use semel_redis::{RedisSetupResult, RedisStore};
use semel_servers::{machine, redis::LEDGER_SETTINGS};
use std::{path::PathBuf, process::Command};

const URL: &str = "SEMEL_TEST_URL";

fn certificate(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/tls");
    folder.join(name).display().to_string()
}

/// The output of a process that trusts only this authority.
fn said(url: &str, authority: &str) -> String {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process
        .args(["--exact", "--nocapture", "redis::encrypted::speak"])
        .env(URL, url)
        .env_remove("SSL_CERT_DIR");
    let output = process
        .env("SSL_CERT_FILE", certificate(authority))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_a_server_that_is_vouched_for_is_spoken_to() {
    let port = machine::free_port().to_string();
    let (chain, key, authority) = (
        certificate("server.pem"),
        certificate("server.key"),
        certificate("authority.pem"),
    );
    let tls = ["--tls-port", &port, "--tls-auth-clients", "no"];
    let files = [
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
    ];
    let _redis = RedisServer::start_with_settings(&[LEDGER_SETTINGS, &tls, &files].concat());
    let url = format!("rediss://localhost:{port}");
    assert!(said(&url, "authority.pem").contains("it is written and read"));
    // The control: a process that trusts another authority.
    let refused = said(&url, "server.pem");
    assert!(
        refused.contains("refused: the ledger's server localhost:"),
        "{refused}"
    );
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn speak() {
    // A part of the other test, which starts it as a process of its own: alone there is nothing to do.
    let Ok(url) = std::env::var(URL) else { return };
    let server = ServerAddress::new(url);
    match RedisStore::set_up(&server).await {
        Ok(set_up) => assert_eq!(set_up, RedisSetupResult::Created),
        Err(fault) => return println!("refused: {fault}"),
    }
    let store = RedisStore::open(&server).await.unwrap();
    create(&store, 1).await.unwrap();
    assert_eq!(get(&store, 1).await, Ok(true));
    println!("it is written and read");
}
