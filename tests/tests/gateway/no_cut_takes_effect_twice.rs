//! A payment goes out over the network, and the connection breaks somewhere in its response: in the head, in the middle of an
//! event, between two. The agent calls again, three times in all. The server counts payments: there is one, and the agent hears
//! of it or that it is in doubt. With the guards off there are two, wherever the cut is.

use crate::{
    raw_server::{RawServer, ReceivedRequest, event, events_of, json_of, status},
    scene::{Setup, config, semel},
    web::{Answer, Gateway, pay, request},
};
use futures_util::{StreamExt, stream};
use semel_mcp::{
    guarded::ToolGuard,
    protocol_version::DowngradeConnector,
    stack::{LayerStack, ServerLocation},
    upstream::ServerEndpoint,
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// At how many places a response is cut, besides after each of its events.
const CUTS: usize = 50;

/// Has it be cut at more of them.
const CUTS_WISH: &str = "SEMEL_MCP_CUTS";

/// The number of concurrent cuts.
const AT_ONCE: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VersionGroup {
    Older,
    Newer,
}

/// The response to the call that is the so manieth effect.
fn response(id: &Value, effect: usize) -> String {
    let told = |count: u32| {
        let params = json!({ "level": "info", "data": format!("step {count}") });
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params })
    };
    let content = json!([{ "type": "text", "text": format!("effect {effect}") }]);
    let result = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": content, "resultType": "complete" } });
    events_of(
        &[
            event("e-1", &told(1)),
            event("e-2", &told(2)),
            event("e-3", &result),
        ]
        .concat(),
    )
}

/// A server that counts, and whose response to its first call is cut after so many bytes.
async fn server(era: VersionGroup, cut: usize, effects: Arc<AtomicUsize>) -> RawServer {
    RawServer::answering(move |came: &ReceivedRequest| {
        let id = &came.body["id"];
        let answer =
            |more: &str, result: Value| json_of(200, more, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        let named = json!({ "name": "counting", "version": "1" });
        match came.method() {
            "tools/call" => {
                let effect = effects.fetch_add(1, Ordering::SeqCst) + 1;
                let whole = response(id, effect);
                if effect == 1 { whole[..cut.min(whole.len())].to_owned() } else { whole }
            }
            "tools/list" => answer(
                "",
                json!({
                    "tools": [{ "name": "pay", "inputSchema": { "type": "object" } }],
                    "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                }),
            ),
            "initialize" if era == VersionGroup::Older => answer(
                "mcp-session-id: s\r\n",
                json!({
                    "protocolVersion": "2025-06-18", "capabilities": { "tools": {} }, "serverInfo": named,
                }),
            ),
            "server/discover" if era == VersionGroup::Newer => answer(
                "",
                json!({
                    "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
                    "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                }),
            ),
            // Nothing can be read on here.
            _ if came.is_get() => status(405),
            _ if id.is_null() => status(202),
            _ => json_of(
                400,
                "",
                &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_601, "message": "unknown" } }),
            ),
        }
    })
    .await
}

/// The gateway before this server.
async fn gateway(far: &RawServer, is_off: bool) -> Gateway {
    let setup = Setup {
        is_off,
        ..Setup::default()
    };
    let guard = ToolGuard::new(semel(setup).await, Arc::new(config()), "bank", "");
    let endpoint =
        Arc::new(ServerEndpoint::new(&format!("http://{}/mcp", far.address), &[]).unwrap());
    Gateway::connecting(Arc::new(DowngradeConnector::new(Arc::new(
        LayerStack::new(guard, ServerLocation::Endpoint(endpoint)),
    ))))
    .await
}

/// The response of the gateway to a call, whatever it is framed as.
async fn told(mut answer: Answer) -> Value {
    if !answer
        .header("content-type")
        .starts_with("text/event-stream")
    {
        return answer.json().await;
    }
    while let Some((_, message)) = answer.event().await {
        if message.get("id").is_some() {
            return message;
        }
    }
    Value::Null
}

/// Calls until there is a result that is no error, at most three times. The last word is returned.
async fn insists(gateway: &Gateway, era: VersionGroup) -> Value {
    let session = if era == VersionGroup::Older {
        gateway.open().await
    } else {
        String::new()
    };
    let mut last = Value::Null;
    for id in 1..=3 {
        let answer = match era {
            VersionGroup::Older => {
                gateway
                    .post(
                        &[("mcp-session-id", &session)],
                        &request(id, "tools/call", pay(7)),
                    )
                    .await
            }
            VersionGroup::Newer => gateway.ask(id, "tools/call", pay(7)).await,
        };
        last = told(answer).await;
        if last["result"].is_object() && last["result"]["isError"] != true {
            break;
        }
    }
    last
}

/// Returns the number of effects, and the last answer.
async fn cut_at(era: VersionGroup, cut: usize, is_off: bool) -> (usize, Value) {
    let effects = Arc::<AtomicUsize>::default();
    let far = server(era, cut, Arc::clone(&effects)).await;
    let last = insists(&gateway(&far, is_off).await, era).await;
    (effects.load(Ordering::SeqCst), last)
}

/// The places at which the response is cut: after each event but the last, and evenly spread.
fn places() -> Vec<usize> {
    let whole = response(&json!(1), 1);
    let count = std::env::var(CUTS_WISH).map_or(CUTS, |wish| wish.parse().unwrap());
    let ends = whole
        .match_indices("\n\n")
        .map(|(at, _)| at + 2)
        .filter(|at| *at < whole.len());
    // The last byte ends the line that ends the last event: without it there is no response yet.
    ends.chain((0..count).map(|place| place * (whole.len() - 1) / count))
        .collect()
}

async fn is_survived(era: VersionGroup, cut: usize) {
    let (effects, last) = cut_at(era, cut, true).await;
    assert!(effects > 1, "the control: {era:?}, cut at {cut}: {last}");
    let (effects, last) = cut_at(era, cut, false).await;
    assert_eq!(effects, 1, "{era:?}, cut at {cut}: {last}");
    let is_told = ["\"effect 1\"", "\"in-doubt\"", "\"held\""]
        .iter()
        .any(|word| last.to_string().contains(word));
    assert!(is_told, "{era:?}, cut at {cut}: {last}");
}

#[tokio::test]
async fn of_the_response_over_the_network() {
    for era in [VersionGroup::Older, VersionGroup::Newer] {
        // They wait for most of the time, before they try to read on.
        stream::iter(places())
            .for_each_concurrent(AT_ONCE, |cut| is_survived(era, cut))
            .await;
    }
}

#[tokio::test]
async fn a_response_that_is_whole_is_heard() {
    for era in [VersionGroup::Older, VersionGroup::Newer] {
        let (effects, last) = cut_at(era, usize::MAX, false).await;
        assert_eq!(effects, 1);
        assert!(
            last.to_string().contains("effect 1") && last["result"]["isError"] != true,
            "{era:?}: {last}"
        );
    }
}
