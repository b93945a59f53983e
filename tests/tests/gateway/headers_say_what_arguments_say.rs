//! A router on the way sends the call to the region that the header names, and the server acts in the region that the argument
//! names. Where a tool's schema has an argument repeated in a header, no call gets through in which the two differ; and clients
//! that know no such headers get through all the same.

use crate::{
    eras_meet::legacy,
    raw_server::{RawServer, json_of, status},
    scene::{Agent, Setup, config, semel},
    web::{Gateway, modern},
};
use hyper::StatusCode;
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

/// A server of the newer protocol on the network whose tool needs its region and its reference in
/// headers, too.
async fn regional() -> RawServer {
    RawServer::answering(|came| {
        let (id, params) = (&came.body["id"], &came.body["params"]);
        let said = |result: Value| json_of(200, "", &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        let refused = |code: i64| {
            json_of(400, "", &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "?" } }))
        };
        let repeated = |name: &str| json!({ "type": "string", "x-mcp-header": name });
        match came.method() {
            "initialize" => refused(-32_022),
            "server/discover" => said(json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": { "tools": {} }, "ttlMs": 0, "cacheScope": "private" })),
            "tools/list" => {
                let properties = json!({ "region": repeated("Region"), "reference": repeated("Reference") });
                let tools = json!([{ "name": "pay", "inputSchema": { "type": "object", "properties": properties } }]);
                said(json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" }))
            }
            "tools/call" => {
                let agrees = ["region", "reference"].iter().all(|name| {
                    let argument = params["arguments"][name].as_str().map(str::to_ascii_lowercase);
                    came.header(&format!("mcp-param-{name}")) == argument.as_deref()
                });
                let paid = json!({ "resultType": "complete", "content": [{ "type": "text", "text": "paid" }] });
                if agrees { said(paid) } else { refused(-32_020) }
            }
            _ => status(202),
        }
    })
    .await
}

async fn before(far: &RawServer, setup: Setup) -> Arc<dyn Connector> {
    let endpoint = ServerEndpoint::new(&format!("http://{}/mcp", far.address), &[]).unwrap();
    let guard = ToolGuard::new(semel(setup).await, Arc::new(config()), "bank", "");
    Arc::new(DowngradeConnector::new(Arc::new(LayerStack::new(
        guard,
        ServerLocation::Endpoint(Arc::new(endpoint)),
    ))))
}

/// The policy puts its key into an argument that is repeated in a header.
fn keyed() -> Setup {
    let target = json!({ "argument": "/reference", "repeats": "replayed", "remembers": "24h" });
    let settings = json!({ "operation": "pay", "identity": ["/amount"], "target": target });
    Setup {
        policy: ("intent", settings),
        ..Setup::default()
    }
}

fn pay() -> Value {
    json!({ "name": "pay", "arguments": { "amount": 30, "region": "eu" } })
}

#[tokio::test]
async fn a_newer_client_whose_header_says_something_else_is_refused() {
    let far = regional().await;
    let gateway = Gateway::connecting(before(&far, Setup::default()).await).await;
    let call = async |region: &[&str]| {
        let mut headers = vec![
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "pay"),
        ];
        headers.extend(region.iter().map(|region| ("mcp-param-region", *region)));
        let answer = gateway
            .post(&headers, &modern(1, "tools/call", pay()))
            .await;
        (answer.status(), answer.json().await)
    };
    for (wrong, what) in [
        (&[][..], "is missing"),
        (&["us"], "differs from the argument"),
        (&["eu", "us"], "differs from the argument"),
    ] {
        let (status, said) = call(wrong).await;
        assert_eq!(
            (status, &said["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(-32_020)),
            "{said}"
        );
        assert!(
            said["error"]["message"].as_str().unwrap().contains(what),
            "{said}"
        );
    }
    assert!(
        far.came(|came| came.method() == "tools/call").is_empty(),
        "nothing was sent"
    );
    let (status, said) = call(&["eu"]).await;
    assert_eq!(
        (status, &said["result"]["content"][0]["text"]),
        (StatusCode::OK, &json!("paid")),
        "{said}"
    );
    assert_eq!(
        far.came(|came| came.method() == "tools/list").len(),
        1,
        "what the schema says is asked for once"
    );
}

#[tokio::test]
async fn clients_that_know_no_headers_reach_a_server_that_wants_them() {
    for setup in [Setup::default(), keyed()] {
        let far = regional().await;
        let mut older = legacy(before(&far, setup.clone()).await, json!({})).await;
        older.call(1, "pay", &pay()["arguments"]).await;
        assert_eq!(older.answer().await, (json!("executed"), "paid".to_owned()));

        let far = regional().await;
        let (mut newer, input, client) = Agent::apart();
        let upstream = before(&far, setup.clone())
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
        let mut other = pay();
        other["arguments"]["amount"] = json!(31);
        newer
            .write(&modern(1, "tools/call", other).to_string())
            .await;
        let answered = newer.answer().await;
        let calls = far.came(|came| came.method() == "tools/call");
        assert_eq!(
            (answered, calls.len()),
            ((json!("executed"), "paid".to_owned()), 1),
            "{calls:?}"
        );
        assert_eq!(calls[0].header("mcp-param-region"), Some("eu"));
        assert_eq!(
            calls[0].header("mcp-param-reference").is_some(),
            setup.policy.0 == "intent"
        );
    }
}
