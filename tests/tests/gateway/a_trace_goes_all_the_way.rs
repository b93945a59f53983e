//! A payment is slow, and an engineer asks which of twelve services it was in. The trace must not
//! end at the gateway, in whichever form the agent sent it and however the server is reached.

use crate::{
    raw_server::{RawServer, json_of, status},
    scene::{Agent, Setup, config, semel},
    web::{Gateway, modern, request},
};
use semel::model::Tenant;
use semel_mcp::{
    front::stdio,
    guarded::ToolGuard,
    layer::{CallerIdentity, Connector},
    protocol_version::DowngradeConnector,
    stack::{LayerStack, ServerLocation},
    upstream::ServerEndpoint,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers each call with the metadata that came with it, and exits on request.
const ECHO: &str = r#"
import sys, json
for line in sys.stdin:
    m = json.loads(line)
    id, method, p = m.get("id"), m.get("method"), m.get("params") or {}
    if id is None: continue
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif method == "tools/list": result = {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ["pay", "end"]]}
    elif method == "server/discover":
        print(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "?"}}), flush=True)
        continue
    elif p.get("name") == "end": sys.exit(0)
    else: result = {"content": [{"type": "text", "text": json.dumps(p.get("_meta"))}]}
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
"#;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "vendor=1";

async fn before(server: ServerLocation) -> Arc<dyn Connector> {
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    Arc::new(DowngradeConnector::new(Arc::new(LayerStack::new(
        guard, server,
    ))))
}

fn child() -> ServerLocation {
    ServerLocation::Command(["python3", "-c", ECHO].map(Into::into).to_vec())
}

/// The same server on the network.
async fn far() -> RawServer {
    RawServer::answering(|came| {
        let said = |member: &str, said: Value| {
            json_of(200, "", &json!({ "jsonrpc": "2.0", "id": came.body["id"], member: said }))
        };
        match came.method() {
            "initialize" => said("result", json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} } })),
            "tools/list" => {
                said("result", json!({ "tools": [{ "name": "pay", "inputSchema": { "type": "object" } }] }))
            }
            "server/discover" => said("error", json!({ "code": -32_601, "message": "?" })),
            _ if came.body["id"].is_null() => status(202),
            _ => said(
                "result",
                json!({ "content": [{ "type": "text", "text": came.body["params"]["_meta"].to_string() }] }),
            ),
        }
    })
    .await
}

/// The trace in what the server says that it was sent.
fn told(answer: &Value) -> (Value, Value) {
    let text = answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let own: Value = serde_json::from_str(text).unwrap();
    (own["traceparent"].clone(), own["tracestate"].clone())
}

fn call(amount: u32, own: Value) -> Value {
    json!({ "name": "pay", "arguments": { "amount": amount }, "_meta": own })
}

fn as_metadata() -> Value {
    json!({ "traceparent": PARENT, "tracestate": STATE })
}

const HEADERS: [(&str, &str); 2] = [("traceparent", PARENT), ("tracestate", STATE)];

/// The answers to clients of both protocol versions, which send their trace by headers or by
/// metadata.
async fn answers(gateway: &Gateway) -> Vec<(&'static str, Value)> {
    let session = gateway.open().await;
    let mine = ("mcp-session-id", session.as_str());
    let named = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "pay"),
    ];
    let mut answers = Vec::new();
    for (what, headers, body) in [
        (
            "headers, older",
            [&[mine], &HEADERS[..]].concat(),
            request(1, "tools/call", call(1, json!({}))),
        ),
        (
            "metadata, older",
            vec![mine],
            request(2, "tools/call", call(2, as_metadata())),
        ),
        (
            "headers, newer",
            [&named[..], &HEADERS[..]].concat(),
            modern(3, "tools/call", call(3, json!({}))),
        ),
        (
            "metadata, newer",
            named.to_vec(),
            modern(4, "tools/call", call(4, as_metadata())),
        ),
    ] {
        answers.push((what, gateway.post(&headers, &body).await.json().await));
    }
    answers
}

#[tokio::test]
async fn a_child_is_told_the_trace_in_the_metadata() {
    let gateway = Gateway::connecting(before(child()).await).await;
    for (what, answer) in answers(&gateway).await {
        assert_eq!(told(&answer), (json!(PARENT), json!(STATE)), "{what}");
    }
}

#[tokio::test]
async fn a_server_on_the_network_is_told_the_trace_as_its_client_told_it() {
    let far = far().await;
    let endpoint = ServerEndpoint::new(&format!("http://{}/mcp", far.address), &[]).unwrap();
    let gateway =
        Gateway::connecting(before(ServerLocation::Endpoint(Arc::new(endpoint))).await).await;
    for (what, answer) in answers(&gateway).await {
        if what.starts_with("metadata") {
            assert_eq!(told(&answer), (json!(PARENT), json!(STATE)), "{what}");
        }
    }
    let traced = |amount: u32| {
        let call = far
            .came(|came| came.body["params"]["arguments"]["amount"] == amount)
            .remove(0);
        call.header("traceparent")
            .map(str::to_owned)
            .zip(call.header("tracestate").map(str::to_owned))
    };
    let whole = Some((PARENT.to_owned(), STATE.to_owned()));
    assert_eq!([1, 2, 3, 4].map(traced), [whole.clone(), None, whole, None]);
}

#[tokio::test]
async fn each_call_is_told_its_own_trace_also_to_a_child_that_was_started_again() {
    let (mut agent, input, client) = Agent::apart();
    let upstream = before(child())
        .await
        .connect(Arc::clone(&client))
        .await
        .unwrap();
    tokio::spawn(stdio::serve_client(
        input,
        client,
        CallerIdentity::new(Tenant::default(), None),
        upstream,
    ));
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    agent
        .write(&request(0, "initialize", hello).to_string())
        .await;
    agent.read().await;
    agent
        .write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
    agent
        .write(&request(1, "tools/call", call(1, as_metadata())).to_string())
        .await;
    assert_eq!(told(&agent.response().await), (json!(PARENT), json!(STATE)));
    agent
        .write(&request(2, "tools/call", json!({ "name": "end", "arguments": {} })).to_string())
        .await;
    while agent.response().await["id"] != 2 {}
    let other = json!({ "traceparent": PARENT.replace("b7ad", "c8be") });
    agent
        .write(&request(3, "tools/call", call(3, other.clone())).to_string())
        .await;
    let answer = loop {
        let message = agent.response().await;
        if message["id"] == 3 {
            break message;
        }
    };
    assert_eq!(told(&answer), (other["traceparent"].clone(), Value::Null));
}
