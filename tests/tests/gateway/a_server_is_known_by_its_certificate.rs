//! A company's server has a certificate of the company's own authority. The gateway speaks to it
//! where that authority is trusted. If another server answers in its place, nothing is sent:
//! neither the call nor the secret in its headers.

use crate::{
    peers,
    raw_server::{
        RawServer, ReceivedRequest, RecordingClient, ask, context, json_of, result, status,
    },
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use semel_mcp::{
    layer::Upstream,
    upstream::{HttpUpstream, ServerEndpoint},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/tls")
        .join(name)
}

/// A server with the certificate of `localhost`.
async fn encrypted() -> RawServer {
    let chain = CertificateDer::from_pem_file(certificate("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let config = config.with_single_cert(vec![chain], key).unwrap();
    RawServer::encrypted(TlsAcceptor::from(Arc::new(config)), answer).await
}

fn answer(came: &ReceivedRequest) -> String {
    let said = |said: Value| {
        json_of(
            200,
            "",
            &json!({ "jsonrpc": "2.0", "id": came.body["id"], "result": said }),
        )
    };
    match came.method() {
        "initialize" => {
            said(json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} } }))
        }
        "tools/list" => {
            said(json!({ "tools": [{ "name": "pay", "inputSchema": { "type": "object" } }] }))
        }
        "tools/call" => said(json!({ "content": [{ "type": "text", "text": "paid" }] })),
        _ if came.body["id"].is_null() => status(202),
        _ => json_of(200, "", &result(&came.body["id"])),
    }
}

fn is_call(came: &ReceivedRequest) -> bool {
    came.method() == "tools/call"
}

/// Returns the answers of a gateway before this address to a client that opens a session and pays,
/// with these authorities trusted.
async fn pay(ledger: &Path, url: String, authorities: &str) -> (Value, Value) {
    let mut command = Command::new("timeout");
    command
        .arg("60")
        .arg(peers::semel())
        .args(["mcp", "--name", "far", "--upstream", &url]);
    command
        .env("SSL_CERT_FILE", certificate(authorities))
        .env_remove("SSL_CERT_DIR")
        .env(
            "SEMEL_LEDGER",
            format!("sqlite:{}", ledger.join("ledger.db").display()),
        )
        .env(
            "SEMEL_CACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"),
        )
        .env("XDG_CONFIG_HOME", ledger)
        .env_remove("SEMEL_CONFIG");
    spawn_blocking(move || talk(command)).await.unwrap()
}

fn talk(mut command: Command) -> (Value, Value) {
    let mut gateway = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let mut input = gateway.stdin.take().unwrap();
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let pays = json!({ "name": "pay", "arguments": { "order": 7 } });
    let mut answers = [("initialize", hello), ("tools/call", pays)].map(|(method, params)| {
        writeln!(
            input,
            "{}",
            json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params })
        )
        .unwrap();
        let answers = lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        answers
            .into_iter()
            .find(|message| message["id"] == method)
            .expect("an answer")
    });
    drop(input);
    assert!(gateway.wait().unwrap().success());
    (answers[0].take(), answers[1].take())
}

/// The words of the error, and those of the answer to the call: nothing was sent.
async fn refused(ledger: &Path, url: String, authorities: &str, why: &str) {
    let (opened, paid) = pay(ledger, url.clone(), authorities).await;
    let error = opened["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{url}: {opened}"));
    assert!(
        error.contains(why) && error.contains("was not sent"),
        "{url}: {error}"
    );
    let told = paid.to_string();
    assert!(
        told.contains(why) && told.contains("You may make the same call again"),
        "{url}: {told}"
    );
}

/// An address at which no TLS is spoken: an error comes back for whatever is sent, or nothing.
fn plain(speaks: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/mcp",
        listener.local_addr().unwrap().port()
    );
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            if speaks {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            }
            kept.push(stream);
        }
    });
    url
}

/// A server that takes a connection and says nothing is not waited for as one that works.
async fn silence() {
    let endpoint = ServerEndpoint::new(&plain(false), &[]).unwrap();
    let client = Arc::new(RecordingClient::default());
    let connection = HttpUpstream::new(
        Arc::new(endpoint),
        Arc::<RecordingClient>::clone(&client) as _,
    );
    let lost = connection
        .request(ask(1, "tools/call"), &context(&client))
        .await
        .unwrap_err();
    assert!(
        !lost.sent
            && lost
                .reason
                .contains("did not accept the connection in time"),
        "{lost}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_only_where_its_certificate_holds() {
    let (far, ledger) = (encrypted().await, TempDir::new().unwrap());
    let port = far.address.port();
    let (named, numbered) = (
        format!("https://localhost:{port}/mcp"),
        format!("https://127.0.0.1:{port}/mcp"),
    );
    let ledger = ledger.path();
    tokio::join!(
        silence(),
        refused(
            ledger,
            named.clone(),
            "server.pem",
            "this system does not trust the issuer of its certificate"
        ),
        refused(
            ledger,
            numbered,
            "authority.pem",
            "its certificate is for another name"
        ),
        refused(
            ledger,
            plain(true),
            "authority.pem",
            "it does not speak TLS"
        ),
    );
    assert!(far.came(|_| true).is_empty(), "nothing was sent");
    let (opened, paid) = pay(ledger, named, "authority.pem").await;
    assert_eq!(
        opened["result"]["protocolVersion"], "2025-11-25",
        "{opened}"
    );
    assert_eq!(
        paid["result"]["_meta"]["dev.semel/answer"], "executed",
        "what was not sent may be tried again: {paid}"
    );
    assert_eq!(far.came(is_call).len(), 1);
}
