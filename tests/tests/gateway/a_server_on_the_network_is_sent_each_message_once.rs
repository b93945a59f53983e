//! The network between the gateway and a server breaks in the middle of a payment. A gateway that
//! repeats the request pays twice, and one that reports "not sent" may be wrong. The request is
//! sent once, and its effect is reported as unknown.

use crate::raw_server::{
    RawServer, ReceivedRequest, RecordingClient, ask, context, event, events_of, json_of, result,
    status,
};
use semel_mcp::{
    layer::Upstream,
    upstream::{HttpUpstream, ServerEndpoint},
    wire::Message,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const WORDS: usize = 4;

fn is_call(came: &ReceivedRequest) -> bool {
    came.method() == "tools/call"
}

/// A server whose streams break off after so many events; a client that reconnects gets the rest.
async fn breaking_off(after: usize, has_ids: bool) -> RawServer {
    RawServer::answering(move |came| {
        let id = if came.is_get() { json!(1) } else { came.body["id"].clone() };
        let place = came.header("last-event-id").map_or(0, |place| place.parse::<usize>().unwrap());
        let word =
            |number| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": number } });
        let data = |number| if number <= WORDS { word(number) } else { result(&id) };
        let ends = if came.is_get() { WORDS + 1 } else { after };
        let events = (place + 1..=ends).map(|number| event(&number.to_string(), &data(number)));
        let events: String = events.collect();
        let retry = "retry: 1\n\n";
        let text = if has_ids {
            events
        } else {
            events.lines().filter(|line| !line.starts_with("id")).map(|line| format!("{line}\n")).collect()
        };
        events_of(&format!("{retry}{text}"))
    })
    .await
}

#[tokio::test]
async fn a_stream_that_breaks_at_any_event_is_read_on_and_nothing_is_sent_again() {
    for cut in 1..=WORDS + 1 {
        let far = breaking_off(cut, true).await;
        let client = Arc::new(RecordingClient::default());
        let connection = far.connection(Arc::<RecordingClient>::clone(&client));
        let response = connection
            .request(ask(1, "tools/call"), &context(&client))
            .await
            .unwrap();
        assert_eq!(response.body(), Some("{}"));
        let words: Vec<_> = client
            .all()
            .iter()
            .map(|word| word["params"]["data"].as_u64().unwrap())
            .collect();
        assert_eq!(words, [1, 2, 3, 4], "cut after {cut}");
        assert_eq!(far.came(is_call).len(), 1);
    }
}

#[tokio::test]
async fn where_it_cannot_be_read_on_it_is_open_what_became_of_the_request() {
    for cut in 0..=WORDS {
        let far = breaking_off(cut, false).await;
        let client = Arc::new(RecordingClient::default());
        let lost = far
            .connection(Arc::<RecordingClient>::clone(&client))
            .request(ask(1, "tools/call"), &context(&client))
            .await;
        assert!(lost.unwrap_err().sent, "cut after {cut}");
        assert_eq!(far.came(is_call).len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_byte_of_the_response_leaves_it_open() {
    let whole = json_of(200, "", &result(&json!(1)));
    for cut in 0..=whole.len() {
        let text = whole[..cut].to_owned();
        let far = RawServer::answering(move |_| text.clone()).await;
        let client = Arc::new(RecordingClient::default());
        let answered = far
            .connection(Arc::<RecordingClient>::clone(&client))
            .request(ask(1, "tools/call"), &context(&client))
            .await;
        match answered {
            Ok(response) => assert_eq!((response.body(), cut), (Some("{}"), whole.len())),
            Err(lost) => assert!(lost.sent && cut < whole.len(), "cut after {cut}: {lost}"),
        }
        assert_eq!(far.came(is_call).len(), 1, "cut after {cut}");
    }
}

#[tokio::test]
async fn only_what_cannot_have_arrived_was_not_sent() {
    let client = Arc::new(RecordingClient::default());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = ServerEndpoint::new(&format!("http://{nobody}/mcp"), &[]).unwrap();
    let connection = HttpUpstream::new(
        Arc::new(endpoint),
        Arc::<RecordingClient>::clone(&client) as _,
    );
    let lost = connection
        .request(ask(1, "tools/call"), &context(&client))
        .await
        .unwrap_err();
    assert!(!lost.sent, "{lost}");
    for (method, code) in [
        ("tools/call", 202),
        ("tools/call", 204),
        ("tools/list", 404),
        ("tools/list", 503),
    ] {
        let far = RawServer::answering(move |_| status(code)).await;
        let lost = far
            .connection(Arc::<RecordingClient>::clone(&client))
            .request(ask(1, method), &context(&client))
            .await;
        assert!(lost.unwrap_err().sent, "the control: {method} {code}");
    }
}

/// A server with sessions, of which it forgets the first.
async fn forgetful() -> RawServer {
    let sessions = AtomicUsize::new(0);
    RawServer::answering(move |came| match came.method() {
        "initialize" => {
            let session = sessions.fetch_add(1, Ordering::SeqCst) + 1;
            let answer =
                json!({ "jsonrpc": "2.0", "id": came.body["id"], "result": { "protocolVersion": "2025-06-18" } });
            json_of(200, &format!("mcp-session-id: s{session}\r\n"), &answer)
        }
        "notifications/initialized" => status(202),
        _ if came.header("mcp-session-id") == Some("s1") => status(404),
        _ => json_of(200, "", &result(&came.body["id"])),
    })
    .await
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again_for_the_next_request() {
    let far = forgetful().await;
    let client = Arc::new(RecordingClient::default());
    let connection = far.connection(Arc::<RecordingClient>::clone(&client));
    connection
        .request(ask(0, "initialize"), &context(&client))
        .await
        .unwrap();
    connection
        .forward(
            Message::notification("notifications/initialized", "{}"),
            &context(&client),
        )
        .await;
    let lost = connection
        .request(ask(1, "tools/call"), &context(&client))
        .await
        .unwrap_err();
    assert!(
        !lost.sent,
        "a session that is not there has run nothing: {lost}"
    );
    connection
        .request(ask(2, "tools/call"), &context(&client))
        .await
        .unwrap();
    let calls: Vec<_> = far
        .came(is_call)
        .iter()
        .map(|call| call.header("mcp-session-id").unwrap().to_owned())
        .collect();
    assert_eq!(calls, ["s1", "s2"]);
    assert_eq!(
        far.came(is_call)[0].header("mcp-protocol-version"),
        Some("2025-06-18")
    );
    connection.close().await;
    assert_eq!(
        far.came(|came| came.head.starts_with("delete ")).len(),
        1,
        "the session is ended"
    );
}

#[tokio::test]
async fn the_servers_own_stream_is_read_only_once_the_clients_is() {
    let said = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let far = RawServer::answering(move |came| match came.method() {
        _ if came.is_get() => events_of(&event("1", &said)),
        "initialize" => json_of(200, "mcp-session-id: s1\r\n", &result(&came.body["id"])),
        _ => status(202),
    })
    .await;
    let client = Arc::new(RecordingClient::default());
    let connection = far.connection(Arc::<RecordingClient>::clone(&client));
    connection
        .request(ask(0, "initialize"), &context(&client))
        .await
        .unwrap();
    connection
        .forward(
            Message::notification("notifications/initialized", "{}"),
            &context(&client),
        )
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(far.came(ReceivedRequest::is_get).is_empty());
    connection.listen(&context(&client)).await;
    client
        .wait(|message| message["method"] == "notifications/tools/list_changed")
        .await;
    connection.close().await;
}

#[tokio::test]
async fn what_a_server_says_out_of_turn_is_not_taken_for_the_answer() {
    let far = RawServer::answering(|came| {
        let id = &came.body["id"];
        let asks = json!({ "jsonrpc": "2.0", "id": 1, "method": "roots/list" });
        let events = [
            "data: {\n\n".to_owned(),
            "data: 7\n\n".to_owned(),
            event("1", &result(&json!(99))),
            event("2", &result(&json!("1"))),
            event("3", &json!({ "jsonrpc": "2.0", "id": null, "error": { "code": 1, "message": "?" } })),
            event("4", &asks),
            event("5", &json!([result(&json!(98)), { "jsonrpc": "2.0", "id": id, "result": { "right": true } }])),
            event("6", &json!({ "jsonrpc": "2.0", "id": id, "result": { "right": false } })),
        ];
        events_of(&events.concat())
    })
    .await;
    let client = Arc::new(RecordingClient::default());
    let response = far
        .connection(Arc::<RecordingClient>::clone(&client))
        .request(ask(1, "tools/call"), &context(&client))
        .await;
    assert_eq!(response.unwrap().body(), Some(r#"{"right":true}"#));
    let heard: Vec<_> = client
        .all()
        .iter()
        .map(|message| message["method"].clone())
        .collect();
    assert_eq!(
        heard,
        ["roots/list"],
        "its request reaches the client, though its id is that of the client's own"
    );
}

#[tokio::test]
async fn an_event_without_end_does_not_fill_the_memory() {
    let giant = "x".repeat(65 << 20);
    let far = RawServer::answering(move |_| events_of(&format!("data: {giant}"))).await;
    let client = Arc::new(RecordingClient::default());
    let lost = far
        .connection(Arc::<RecordingClient>::clone(&client))
        .request(ask(1, "tools/call"), &context(&client))
        .await;
    assert!(lost.unwrap_err().sent);
}
