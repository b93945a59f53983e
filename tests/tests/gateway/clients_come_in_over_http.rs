//! An agent behind a proxy loses its connection in the middle of a payment. The payment goes on; what the agent did not
//! receive it gets when it asks again, and two agents that number their requests alike do not get each other's answers.

use crate::{
    scene::Server,
    web::{Gateway, modern, pay, request},
};
use async_trait::async_trait;
use hyper::{Method, StatusCode};
use semel_mcp::{
    layer::{Client, ConnectError, Connector, NoResponse, RequestContext, Upstream},
    wire::{Message, MessageKind},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Headers, a body, and the status that they get.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, u16);

fn text(answer: &Value) -> (&str, &str) {
    let result = &answer["result"];
    (
        result["_meta"]["dev.semel/answer"].as_str().unwrap(),
        result["content"][0]["text"].as_str().unwrap(),
    )
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to hold");
}

#[tokio::test]
async fn equal_ids_of_two_clients_are_two_requests() {
    let server = Server::new(false);
    let gateway = Gateway::before(&server).await;
    let (one, two) = (
        gateway.ask(1, "tools/call", pay(10)),
        gateway.ask(1, "tools/call", pay(20)),
    );
    server.answer(2);
    let (one, two) = tokio::join!(one, two);
    let (one, two) = (one.json().await, two.json().await);
    assert_eq!((text(&one).0, text(&two).0), ("executed", "executed"));
    assert_ne!(text(&one), text(&two));
    assert_eq!(server.effects(), 2);
}

#[tokio::test]
async fn who_breaks_off_a_call_gets_what_it_came_to_when_it_calls_again() {
    for is_modern in [true, false] {
        let server = Server::new(false);
        let gateway = Gateway::before(&server).await;
        let session = gateway.open().await;
        let call = |id| {
            let (gateway, session) = (gateway.clone(), session.clone());
            tokio::spawn(async move {
                match is_modern {
                    true => gateway.ask(id, "tools/call", pay(30)).await,
                    false => {
                        gateway
                            .post(
                                &[("mcp-session-id", &session)],
                                &request(id, "tools/call", pay(30)),
                            )
                            .await
                    }
                }
            })
        };
        let broken_off = call(1);
        until(|| server.effects() == 1).await;
        broken_off.abort();
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.answer(2);
        let answer = call(2).await.unwrap().json().await;
        assert_eq!(text(&answer), ("replayed", "paid 1"), "modern: {is_modern}");
        let meant = call(3).await.unwrap().json().await;
        assert_eq!(
            text(&meant),
            ("executed", "paid 2"),
            "the control: what was received is not replayed"
        );
    }
}

#[tokio::test]
async fn a_session_is_known_until_it_is_deleted() {
    let server = Server::new(false);
    let gateway = Gateway::before(&server).await;
    let session = gateway.open().await;
    let headers = [
        ("mcp-session-id", session.as_str()),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    assert_eq!(session.len(), 32);
    assert_eq!(
        gateway
            .post(&headers, &request(1, "ping", json!({})))
            .await
            .json()
            .await["id"],
        1
    );
    let notified = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(
        gateway.post(&headers, &notified).await.status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(
        gateway.send(Method::DELETE, &headers, "").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        gateway
            .post(&headers, &request(2, "ping", json!({})))
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_next_one_is_served() {
    let server = Server::new(false);
    let gateway = Gateway::before(&server).await;
    let session = gateway.open().await;
    let mine = ("mcp-session-id", session.as_str());
    let ping = request(1, "ping", json!({})).to_string();
    let giant = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
        "x".repeat(5 << 20)
    );
    let cases: [Case<'_>; 9] = [
        (&[mine], "{", 400),
        (&[mine], "[]", 400),
        (&[mine], "\u{0}", 400),
        (&[mine], &giant, 413),
        (&[], &ping, 400),
        (&[("mcp-session-id", "of somebody else")], &ping, 404),
        (&[mine, ("mcp-protocol-version", "1999-01-01")], &ping, 400),
        (
            &[mine, ("mcp-protocol-version", "2025-06-18")],
            &format!("[{ping}]"),
            400,
        ),
        (
            &[
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/list"),
            ],
            &modern(1, "ping", json!({})).to_string(),
            400,
        ),
    ];
    for (headers, body, status) in cases {
        let answer = gateway.send(Method::POST, headers, body.to_owned()).await;
        assert_eq!(answer.status(), status, "{:.60}", body);
        assert!(
            answer.json().await["error"]["code"].is_i64(),
            "{:.60}",
            body
        );
    }
    assert_eq!(gateway.send(Method::PUT, &[mine], "").await.status(), 405);
    assert_eq!(
        gateway
            .post(&[mine], &request(1, "ping", json!({})))
            .await
            .json()
            .await["id"],
        1
    );
    assert_eq!(server.effects(), 0);
}

#[tokio::test]
async fn a_list_is_answered_on_one_stream() {
    let server = Server::new(false);
    let gateway = Gateway::before(&server).await;
    let session = gateway.open().await;
    let list = json!([request(1, "a", json!({})), 7, request(2, "b", json!({}))]);
    let mut answer = gateway.post(&[("mcp-session-id", &session)], &list).await;
    let mut ids = Vec::new();
    while let Some((_, event)) = answer.event().await {
        ids.push(event["id"].clone());
    }
    ids.sort_by_key(Value::to_string);
    assert_eq!(ids, [json!(1), json!(2), Value::Null]);
}

/// A server that says a few words before each answer.
#[derive(Debug)]
struct TalkativeServer;

const WORDS: u64 = 4;

#[async_trait]
impl Upstream for TalkativeServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if message.kind() != MessageKind::Request {
            return;
        }
        if message.method() != Some("initialize") {
            for word in 1..=WORDS {
                let said = Message::notification(
                    "notifications/message",
                    &json!({ "data": word }).to_string(),
                );
                context.client.send(said).await.unwrap();
            }
        }
        context
            .client
            .send(Message::response(message.id(), "result", "{}"))
            .await
            .unwrap();
    }

    async fn request(&self, _: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        unreachable!("nothing is guarded here")
    }

    async fn close(&self) {}
}

#[async_trait]
impl Connector for TalkativeServer {
    async fn connect(&self, _: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        Ok(Arc::new(Self))
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_event_is_read_on_from_there() {
    let gateway = Gateway::connecting(Arc::new(TalkativeServer)).await;
    let session = gateway.open().await;
    let mine = ("mcp-session-id", session.as_str());
    for cut in 1..=WORDS {
        let mut stream = gateway.post(&[mine], &request(1, "x", json!({}))).await;
        let mut seen = Vec::new();
        let mut last = String::new();
        for _ in 0..cut {
            let (id, event) = stream.event().await.unwrap();
            seen.push(event);
            last = id;
        }
        drop(stream);
        let mut rest = gateway
            .send(Method::GET, &[mine, ("last-event-id", &last)], "")
            .await;
        while let Some((_, event)) = rest.event().await {
            seen.push(event);
        }
        let words: Vec<_> = seen
            .iter()
            .filter_map(|event| event["params"]["data"].as_u64())
            .collect();
        assert_eq!(words, (1..=WORDS).collect::<Vec<_>>(), "cut after {cut}");
        assert_eq!(seen.last().unwrap()["id"], 1);
    }
    let lost = gateway
        .send(Method::GET, &[mine, ("last-event-id", "99-1")], "")
        .await;
    assert_eq!(lost.status(), 400);
}

/// A server that sends a message of its own whenever it receives one.
#[derive(Debug, Default)]
struct StartledServer(Option<Arc<dyn Client>>);

#[async_trait]
impl Upstream for StartledServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if message.kind() == MessageKind::Request {
            context
                .client
                .send(Message::response(message.id(), "result", "{}"))
                .await
                .unwrap();
        } else {
            self.0
                .as_ref()
                .unwrap()
                .send(Message::notification("startled", "{}"))
                .await
                .unwrap();
        }
    }

    async fn request(&self, _: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        unreachable!("nothing is guarded here")
    }

    async fn close(&self) {}
}

#[async_trait]
impl Connector for StartledServer {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        Ok(Arc::new(Self(Some(client))))
    }
}

#[tokio::test]
async fn what_a_server_says_while_it_is_told_something_is_heard() {
    let gateway = Gateway::connecting(Arc::new(StartledServer::default())).await;
    let session = gateway.open().await;
    let mine = ("mcp-session-id", session.as_str());
    let mut own = gateway.send(Method::GET, &[mine], "").await;
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(
        gateway.post(&[mine], &told).await.status(),
        StatusCode::ACCEPTED
    );
    let heard = tokio::time::timeout(Duration::from_secs(5), own.event())
        .await
        .expect("a word in time");
    assert_eq!(heard.unwrap().1["method"], "startled");
}
