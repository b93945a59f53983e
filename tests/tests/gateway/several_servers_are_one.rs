//! Two servers behind one gateway both number their questions from one, and the client's answers must not end up with the wrong
//! one.

use async_trait::async_trait;
use semel::model::Tenant;
use semel_mcp::{
    aggregate::AggregateConnector,
    layer::{
        CallerIdentity, Client, Confirmation, ConnectError, Connector, Disconnected, NoResponse,
        RequestContext, Upstream,
    },
    wire::{Message, MessageKind, RequestId},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A server that asks its client something whenever it is called, always under the id 1.
#[derive(Debug, Default)]
struct AskingServer {
    client: Mutex<Option<Arc<dyn Client>>>,
    /// The messages that it received.
    heard: Mutex<Vec<String>>,
}

#[async_trait]
impl Upstream for AskingServer {
    async fn forward(&self, message: Message, _: &RequestContext) {
        self.heard.lock().unwrap().push(message.text().to_owned());
        if message.kind() == MessageKind::Request {
            let client = self.client.lock().unwrap().clone().unwrap();
            client
                .send(Message::request(&RequestId::Number(1), "roots/list", "{}"))
                .await
                .unwrap();
        }
    }

    async fn request(&self, request: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        let error = json!({ "code": -32_601, "message": "unknown" }).to_string();
        match request.method() {
            Some("resources/read") if request.text().contains("mine") => Ok(Message::response(
                request.id(),
                "result",
                r#"{"contents":[]}"#,
            )),
            _ => Ok(Message::response(request.id(), "error", &error)),
        }
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct FixedConnector(Arc<AskingServer>);

#[async_trait]
impl Connector for FixedConnector {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        *self.0.client.lock().unwrap() = Some(client);
        Ok(Arc::<AskingServer>::clone(&self.0))
    }
}

/// A client that keeps what it reads.
#[derive(Debug, Default)]
struct ReadingClient(Mutex<Vec<Value>>);

#[async_trait]
impl Client for ReadingClient {
    async fn deliver(&self, message: Message, _: Confirmation) -> Result<(), Disconnected> {
        self.0
            .lock()
            .unwrap()
            .push(serde_json::from_str(message.text()).unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn answers_reach_the_server_that_asked_and_names_are_its_own() {
    let servers = [
        Arc::<AskingServer>::default(),
        Arc::<AskingServer>::default(),
    ];
    let place = |(name, server): (&str, &Arc<AskingServer>)| {
        let connect: Arc<dyn Connector> = Arc::new(FixedConnector(Arc::clone(server)));
        (name.to_owned(), format!("{name}_"), connect)
    };
    let fan = AggregateConnector::new(["a", "b"].into_iter().zip(&servers).map(place));
    let client = Arc::<ReadingClient>::default();
    let upstream = fan
        .connect(Arc::<ReadingClient>::clone(&client))
        .await
        .unwrap();
    let context = RequestContext::new(
        Arc::<ReadingClient>::clone(&client),
        Arc::new(CallerIdentity::new(Tenant::default(), None)),
    );
    for name in ["a_x", "b_x"] {
        let call = Message::request(
            &RequestId::Number(7),
            "tools/call",
            &json!({ "name": name }).to_string(),
        );
        upstream.forward(call, &context).await;
    }
    let asked: Vec<_> = client
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|question| question["id"].clone())
        .collect();
    assert_ne!(asked[0], asked[1], "the client can tell them apart");
    // The second is answered first.
    for (id, answer) in [(&asked[1], "for b"), (&asked[0], "for a")] {
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": { "who": answer } });
        upstream
            .forward(Message::read(answer.to_string()).unwrap(), &context)
            .await;
    }
    for (server, answer) in servers.iter().zip(["for a", "for b"]) {
        let heard = server.heard.lock().unwrap().clone();
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].contains(r#""name":"x""#), "{heard:?}");
        let heard: Value = serde_json::from_str(&heard[1]).unwrap();
        assert_eq!(
            (&heard["id"], &heard["result"]["who"]),
            (&json!(1), &json!(answer))
        );
    }
}

#[tokio::test]
async fn a_resource_that_nobody_listed_is_looked_for_and_a_tool_is_not() {
    let servers = [
        Arc::<AskingServer>::default(),
        Arc::<AskingServer>::default(),
    ];
    let place = |server: &Arc<AskingServer>| {
        let connect: Arc<dyn Connector> = Arc::new(FixedConnector(Arc::clone(server)));
        ("s".to_owned(), "s_".to_owned(), connect)
    };
    let fan = AggregateConnector::new(servers.iter().map(place));
    let client = Arc::<ReadingClient>::default();
    let upstream = fan
        .connect(Arc::<ReadingClient>::clone(&client))
        .await
        .unwrap();
    let context = RequestContext::new(
        Arc::<ReadingClient>::clone(&client),
        Arc::new(CallerIdentity::new(Tenant::default(), None)),
    );
    let ask = |id, method, params: Value| {
        Message::request(&RequestId::Number(id), method, &params.to_string())
    };
    let read = upstream
        .request(ask(1, "resources/read", json!({ "uri": "mine" })), &context)
        .await
        .unwrap();
    assert_eq!(read.kind(), MessageKind::Result);
    let unknown = upstream
        .request(ask(2, "x/unheard-of", json!({})), &context)
        .await
        .unwrap();
    assert!(unknown.text().contains("-32601"));
    let stray = upstream
        .request(ask(3, "tools/call", json!({ "name": "pay" })), &context)
        .await
        .unwrap();
    assert!(stray.text().contains("-32602"), "{}", stray.text());
    assert!(
        servers
            .iter()
            .all(|server| server.heard.lock().unwrap().is_empty()),
        "no call was tried"
    );
}

/// The messages of this method that a server heard.
fn heard(server: &AskingServer, method: &str) -> Vec<Value> {
    let heard = server.heard.lock().unwrap();
    let messages = heard
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    messages
        .filter(|message| message["method"] == method)
        .collect()
}

#[tokio::test]
async fn only_the_server_that_has_a_request_hears_that_it_is_cancelled() {
    let (servers, upstream, _, context) = two().await;
    let note = |method: &str, params: Value| Message::notification(method, &params.to_string());
    let call = Message::request(
        &RequestId::Number(7),
        "tools/call",
        &json!({ "name": "b_x" }).to_string(),
    );
    upstream.forward(call, &context).await;
    let cancelled = note("notifications/cancelled", json!({ "requestId": 7 }));
    upstream.forward(cancelled.clone(), &context).await;
    // The server is informed once, and no unknown request is cancelled.
    upstream.forward(cancelled, &context).await;
    upstream
        .forward(
            note("notifications/cancelled", json!({ "requestId": 8 })),
            &context,
        )
        .await;
    upstream
        .forward(
            note("notifications/roots/list_changed", json!({})),
            &context,
        )
        .await;
    let counts = servers
        .each_ref()
        .map(|server| heard(server, "notifications/cancelled").len());
    assert_eq!(counts, [0, 1]);
    let counts = servers
        .each_ref()
        .map(|server| heard(server, "notifications/roots/list_changed").len());
    assert_eq!(
        counts,
        [1, 1],
        "the control: what is about no request is for all"
    );
}

#[tokio::test]
async fn progress_with_a_question_is_told_to_the_server_that_asked() {
    let (servers, upstream, client, context) = two().await;
    for server in &servers {
        let to = server.client.lock().unwrap().clone().unwrap();
        let params = json!({ "_meta": { "progressToken": 1 } }).to_string();
        to.send(Message::request(
            &RequestId::Number(1),
            "sampling/createMessage",
            &params,
        ))
        .await
        .unwrap();
    }
    let tokens: Vec<_> = client
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|asked| asked["params"]["_meta"]["progressToken"].clone())
        .collect();
    assert_ne!(tokens[0], tokens[1], "the client can tell them apart");
    let told = json!({ "progressToken": tokens[1], "progress": 0.5 }).to_string();
    upstream
        .forward(
            Message::notification("notifications/progress", &told),
            &context,
        )
        .await;
    assert!(heard(&servers[0], "notifications/progress").is_empty());
    let told = heard(&servers[1], "notifications/progress");
    assert_eq!(
        told[0]["params"],
        json!({ "progressToken": 1, "progress": 0.5 })
    );
}

/// The messages of the subscription 9.
fn told(client: &ReadingClient) -> Vec<Value> {
    let told = client.0.lock().unwrap().clone();
    let is_about = |message: &Value| {
        let own = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        *own == 9 || message["id"] == 9 || message["params"]["requestId"] == 9
    };
    told.into_iter().filter(is_about).collect()
}

fn of_subscription(method: &str, mut params: Value) -> Message {
    params["_meta"] = json!({ "io.modelcontextprotocol/subscriptionId": 9 });
    Message::notification(method, &params.to_string())
}

fn acknowledged(kinds: Value) -> Message {
    of_subscription(
        "notifications/subscriptions/acknowledged",
        json!({ "notifications": kinds }),
    )
}

async fn listen(upstream: &Arc<dyn Upstream>, context: &RequestContext) {
    let kinds = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["x", "y"] });
    let params = json!({ "notifications": kinds }).to_string();
    upstream
        .forward(
            Message::request(&RequestId::Number(9), "subscriptions/listen", &params),
            context,
        )
        .await;
}

#[tokio::test]
async fn what_all_servers_honour_is_one_subscription() {
    let (servers, upstream, client, context) = two().await;
    listen(&upstream, &context).await;
    let [a, b] = servers
        .each_ref()
        .map(|server| server.client.lock().unwrap().clone().unwrap());
    a.send(acknowledged(
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["x"] }),
    ))
    .await
    .unwrap();
    a.send(of_subscription(
        "notifications/tools/list_changed",
        json!({}),
    ))
    .await
    .unwrap();
    assert!(
        told(&client).is_empty(),
        "the acknowledgement comes first, and speaks for both"
    );
    let of_b = json!({ "toolsListChanged": false, "promptsListChanged": true, "resourceSubscriptions": ["x", "y"] });
    b.send(acknowledged(of_b)).await.unwrap();
    b.send(of_subscription(
        "notifications/prompts/list_changed",
        json!({}),
    ))
    .await
    .unwrap();
    let read = told(&client);
    let all = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["x", "y"] });
    assert_eq!(read[0]["params"]["notifications"], all);
    let methods: Vec<_> = read[1..]
        .iter()
        .map(|message| message["method"].as_str().unwrap())
        .collect();
    assert_eq!(
        methods,
        [
            "notifications/tools/list_changed",
            "notifications/prompts/list_changed"
        ]
    );
    b.send(Message::response(
        Some(&RequestId::Number(9)),
        "result",
        "{}",
    ))
    .await
    .unwrap();
    assert_eq!(told(&client).len(), 3, "the other one serves on");
    a.send(Message::notification(
        "notifications/cancelled",
        r#"{"requestId":9}"#,
    ))
    .await
    .unwrap();
    assert_eq!(told(&client).len(), 4, "it is over once");
}

#[tokio::test]
async fn who_knows_no_subscriptions_does_not_keep_those_of_others_away() {
    let (servers, upstream, client, context) = two().await;
    listen(&upstream, &context).await;
    let [a, b] = servers
        .each_ref()
        .map(|server| server.client.lock().unwrap().clone().unwrap());
    let refusal = Message::response(
        Some(&RequestId::Number(9)),
        "error",
        r#"{"code":-32601,"message":"no"}"#,
    );
    a.send(refusal.clone()).await.unwrap();
    b.send(acknowledged(json!({ "promptsListChanged": true })))
        .await
        .unwrap();
    assert_eq!(
        told(&client)[0]["params"]["notifications"],
        json!({ "promptsListChanged": true })
    );
    let cancels = Message::notification("notifications/cancelled", r#"{"requestId":9}"#);
    upstream.forward(cancels, &context).await;
    let counts = servers
        .each_ref()
        .map(|server| heard(server, "notifications/cancelled").len());
    assert_eq!(counts, [1, 1], "the client ends it at both");

    let (servers, upstream, client, context) = two().await;
    listen(&upstream, &context).await;
    for server in &servers {
        let to = server.client.lock().unwrap().clone().unwrap();
        to.send(refusal.clone()).await.unwrap();
    }
    assert_eq!(
        told(&client).len(),
        1,
        "where nobody knows them, that is said once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_acknowledge_is_not_waited_for_without_end() {
    let (servers, upstream, client, context) = two().await;
    listen(&upstream, &context).await;
    let a = servers[0].client.lock().unwrap().clone().unwrap();
    a.send(acknowledged(json!({ "toolsListChanged": true })))
        .await
        .unwrap();
    assert!(told(&client).is_empty());
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(
        told(&client)[0]["params"]["notifications"],
        json!({ "toolsListChanged": true })
    );
}

/// Two servers, as one, and a client.
async fn two() -> (
    [Arc<AskingServer>; 2],
    Arc<dyn Upstream>,
    Arc<ReadingClient>,
    RequestContext,
) {
    let servers = [
        Arc::<AskingServer>::default(),
        Arc::<AskingServer>::default(),
    ];
    let place = |(name, server): (&str, &Arc<AskingServer>)| {
        let connect: Arc<dyn Connector> = Arc::new(FixedConnector(Arc::clone(server)));
        (name.to_owned(), format!("{name}_"), connect)
    };
    let fan = AggregateConnector::new(["a", "b"].into_iter().zip(&servers).map(place));
    let client = Arc::<ReadingClient>::default();
    let upstream = fan
        .connect(Arc::<ReadingClient>::clone(&client))
        .await
        .unwrap();
    let context = RequestContext::new(
        Arc::<ReadingClient>::clone(&client),
        Arc::new(CallerIdentity::new(Tenant::default(), None)),
    );
    (servers, upstream, client, context)
}
