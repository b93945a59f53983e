//! An HTTP status says what the body alone does not: a proxy that gives up answers in the server's name, after the server
//! may have paid. The status reaches the policy, and bounds its verdict.

use crate::{
    raw_server::{RawServer, RecordingClient, json_of, result, status},
    scene::{Agent, Setup},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A call and its repeat.
struct RepeatedCall {
    sent: usize,
    responses: [Value; 2],
}

/// Calls a server twice that answers with this status, and with a protocol error of this code if there is one.
async fn call_twice(policy: (&'static str, Value), code: u16, error: Option<i64>) -> RepeatedCall {
    let response = match error {
        Some(error) => {
            let error = json!({ "code": error, "message": "upstream request timeout" });
            json_of(
                code,
                "",
                &json!({ "jsonrpc": "2.0", "id": null, "error": error }),
            )
        }
        None => status(code),
    };
    call_twice_for(policy, response).await
}

/// Calls a server twice that answers with this response.
async fn call_twice_for(policy: (&'static str, Value), response: String) -> RepeatedCall {
    let far = RawServer::answering(move |came| match came.method() {
        "tools/call" => response.clone(),
        _ => json_of(200, "", &result(&came.body["id"])),
    })
    .await;
    let upstream = far.connection(Arc::new(RecordingClient::default()));
    let setup = Setup {
        policy,
        ..Setup::default()
    };
    let mut agent = Agent::of(setup, Arc::new(upstream)).await;
    agent.pay(1, 10).await;
    let first = agent.response().await;
    agent.pay(2, 10).await;
    let responses = [first, agent.response().await];
    let sent = far.came(|came| came.method() == "tools/call").len();
    RepeatedCall { sent, responses }
}

fn hints() -> (&'static str, Value) {
    ("hints", json!({}))
}

#[tokio::test]
async fn a_status_of_a_server_error_leaves_doubt_whatever_the_body_says() {
    for (code, error) in [
        (504, Some(-32600)),
        (408, Some(-32602)),
        (500, Some(-32601)),
        (503, None),
    ] {
        let absent = ("hints", json!({ "failures": "absent" }));
        for policy in [hints(), absent] {
            let call = call_twice(policy, code, error).await;
            assert_eq!(call.sent, 1, "{code} {error:?}");
            let repeat = call.responses[1].to_string();
            assert!(repeat.contains("held"), "{code} {error:?}: {repeat}");
        }
    }
}

#[tokio::test]
async fn a_status_that_turns_a_call_away_leaves_none() {
    for (code, error, sent) in [
        (400, Some(-32602), 2),
        (425, None, 2),
        (429, None, 2),
        (401, None, 1),
        (404, None, 1),
        (422, None, 1),
    ] {
        let call = call_twice(hints(), code, error).await;
        assert_eq!(call.sent, sent, "{code} {error:?}");
        for response in &call.responses {
            let text = response.to_string();
            assert!(
                !text.contains("in doubt") && !text.contains("held"),
                "{code}: {text}"
            );
        }
    }
    let unsure = call_twice(hints(), 402, None).await;
    assert_eq!(unsure.sent, 1);
    assert!(unsure.responses[1].to_string().contains("held"));
}

#[tokio::test]
async fn a_call_that_came_too_often_is_sent_again_when_the_server_wants_it() {
    let by_date =
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n";
    let rule = json!([{ "when": { "status": 429 }, "effect": "absent" }]);
    let ruled = ("intent", json!({ "identity": ["amount"], "verdict": rule }));
    for (policy, headers, sent) in [
        (hints(), "Retry-After: 30\r\n", 1),
        (hints(), by_date, 1),
        (hints(), "Retry-After: soon\r\n", 2),
        (ruled, "Retry-After: 30\r\n", 1),
    ] {
        let limited = json_of(429, headers, &json!({}));
        let call = call_twice_for(policy, limited).await;
        assert_eq!(call.sent, sent, "{headers}");
    }
}

#[tokio::test]
async fn a_rule_of_the_operator_sees_the_status() {
    let rules = json!([
        { "when": { "status": "5xx" }, "effect": "unknown" },
        { "when": { "outcome": "failed" }, "effect": "absent" },
    ]);
    let settings = json!({ "identity": ["amount"], "verdict": rules });
    let gone = call_twice(("intent", settings.clone()), 504, Some(-32603)).await;
    assert_eq!(gone.sent, 1);
    let busy = call_twice(("intent", settings), 409, None).await;
    assert_eq!(busy.sent, 2);
}

#[tokio::test]
async fn a_protocol_error_stays_one() {
    let call = call_twice(hints(), 400, Some(-32602)).await;
    for response in &call.responses {
        assert_eq!(response["error"]["code"], -32602, "{response}");
    }
}
