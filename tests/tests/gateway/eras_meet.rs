//! A company has a server of last year and an agent of this year, or the other way round. One of them asks back in the middle of
//! a call, and means the other to answer in a way that it has never heard of.

use crate::{
    raw_server::{RawServer, RecordingClient, event, events_of, json_of, status},
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
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Servers of both eras, which do the same: `pay` counts, `greet` asks for a name, `change` says that the tools have changed.
const COMMON: &str = r#"
import sys, json, time
effects = 0
waiting = {}
def out(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()
def text(said, **more): return {"content": [{"type": "text", "text": said}], **more}
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ["pay", "greet", "change"]]
QUESTION = {"method": "elicitation/create", "params": {"message": "your name?", "requestedSchema": {"type": "object", "properties": {}}}}
"#;

const OLDER: &str = r#"
for line in sys.stdin:
    m = json.loads(line)
    id, method, p = m.get("id"), m.get("method"), m.get("params") or {}
    name, own = p.get("name"), p.get("_meta") or {}
    token = own.get("progressToken")
    if method == "initialize":
        asks = p["capabilities"]
        out(id=id, result={"protocolVersion": "2025-06-18", "serverInfo": {"name": "old", "version": "1"},
            "capabilities": {"tools": {"listChanged": True}, "logging": {}}})
    elif any(key.startswith("io.modelcontextprotocol/") for key in own):
        out(id=id, error={"code": -32600, "message": "what is this?"})
    elif method == "tools/list": out(id=id, result={"tools": TOOLS})
    elif method == "logging/setLevel": out(id=id, result={})
    elif name == "pay":
        effects += 1
        if token is not None:
            out(method="notifications/progress", params={"progressToken": token, "progress": effects})
        out(id=id, result=text(f"paid {effects}"))
    elif name == "greet":
        waiting[f"q{id}"] = id
        out(id=f"q{id}", **QUESTION)
    elif name == "sleep":
        time.sleep(0.3)
        out(id=id, result=text("slept"))
    elif name == "silent": pass
    elif name == "change":
        out(method="notifications/tools/list_changed")
        out(id=id, result=text("changed"))
    elif method is None and id in waiting:
        out(id=waiting.pop(id), result=text("hello " + m["result"]["content"]["name"]))
    elif method is not None and id is not None:
        out(id=id, error={"code": -32601, "message": "no such method"})
"#;

const NEWER: &str = r#"
PROTOCOL = "io.modelcontextprotocol/protocolVersion"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
listens = None
for line in sys.stdin:
    m = json.loads(line)
    id, method, p = m.get("id"), m.get("method"), m.get("params") or {}
    name, own = p.get("name"), p.get("_meta") or {}
    token = own.get("progressToken")
    if id is None: continue
    if own.get(PROTOCOL) != "2026-07-28":
        out(id=id, error={"code": -32022, "message": "?", "data": {"supported": ["2026-07-28"], "requested": ""}})
    elif method == "server/discover":
        out(id=id, result={"resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
            "capabilities": {"tools": {"listChanged": True}}})
    elif method == "tools/list":
        out(id=id, result={"resultType": "complete", "tools": TOOLS, "ttlMs": 0, "cacheScope": "private"})
    elif method == "subscriptions/listen":
        listens = id
        out(method="notifications/subscriptions/acknowledged", params={"notifications": {}, "_meta": {SUBSCRIPTION: id}})
    elif method == "tasks/get" and p["taskId"] == "built":
        state = {"resultType": "complete", "taskId": "built", "ttlMs": None, "pollIntervalMs": 20, "status": "working"}
        if waiting.pop("built", None) is None: state.update(status="completed", result=text(f"built {effects}"))
        out(id=id, result=state)
    elif name in ["built", "forgotten"]:
        effects += 1
        waiting[name] = id
        out(id=id, result={"resultType": "task", "taskId": name, "status": "working", "ttlMs": None, "pollIntervalMs": 20})
    elif name == "pay":
        effects += 1
        if token is not None:
            out(method="notifications/progress", params={"progressToken": token, "progress": effects})
        out(id=id, result=text(f"paid {effects}", resultType="complete"))
    elif name == "greet" and p.get("requestState") == "state":
        out(id=id, result=text("hello " + p["inputResponses"]["who"]["content"]["name"], resultType="complete"))
    elif name == "greet":
        out(id=id, result={"resultType": "input_required", "inputRequests": {"who": QUESTION}, "requestState": "state"})
    elif name == "change":
        if listens is not None:
            out(method="notifications/tools/list_changed", params={"_meta": {SUBSCRIPTION: listens}})
        out(id=id, result=text("changed", resultType="complete"))
    else:
        out(id=id, error={"code": -32601, "message": "no such method"})
"#;

async fn before(server: &str) -> Arc<dyn Connector> {
    let command = ["python3", "-c", &[COMMON, server].concat()]
        .map(Into::into)
        .to_vec();
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    Arc::new(DowngradeConnector::new(Arc::new(LayerStack::new(
        guard,
        ServerLocation::Command(command),
    ))))
}

fn call(name: &str, more: Value) -> Value {
    let mut params = json!({ "name": name, "arguments": {} });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

fn text(response: &Value) -> &str {
    response["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{response}"))
}

#[tokio::test]
async fn a_newer_client_reaches_a_server_of_either_era_in_the_same_words() {
    for server in [OLDER, NEWER] {
        let gateway = Gateway::connecting(before(server).await).await;
        let discovered = gateway
            .ask(1, "server/discover", json!({}))
            .await
            .json()
            .await;
        assert_eq!(
            discovered["result"]["supportedVersions"],
            json!(["2026-07-28"])
        );
        assert_eq!(
            discovered["result"]["capabilities"]["tools"]["listChanged"],
            true
        );
        let listed = gateway.ask(2, "tools/list", json!({})).await.json().await;
        assert_eq!(
            (
                &listed["result"]["resultType"],
                &listed["result"]["ttlMs"],
                &listed["result"]["cacheScope"]
            ),
            (&json!("complete"), &json!(0), &json!("private"))
        );
        let paid = gateway
            .ask(3, "tools/call", call("pay", json!({})))
            .await
            .json()
            .await;
        assert_eq!(
            (text(&paid), &paid["result"]["resultType"]),
            ("paid 1", &json!("complete")),
            "{paid}"
        );
        let unknown = gateway.ask(4, "ping", json!({})).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        assert_eq!(unknown.json().await["error"]["code"], -32_601);
    }
}

#[tokio::test]
async fn what_an_older_server_asks_is_answered_by_calling_again() {
    let gateway = Gateway::connecting(before(OLDER).await).await;
    let asked = gateway
        .ask_able(1, "tools/call", call("greet", json!({})))
        .await
        .json()
        .await;
    let (result, questions) = (&asked["result"], &asked["result"]["inputRequests"]);
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let (name, question) = questions.as_object().unwrap().iter().next().unwrap();
    assert_eq!(question["method"], "elicitation/create");
    let given = json!({ name: { "action": "accept", "content": { "name": "Ada" } } });
    let more = |state: &Value| json!({ "inputResponses": given, "requestState": state });
    let forged = gateway
        .ask_able(
            2,
            "tools/call",
            call("greet", more(&json!("0123456789abcdef"))),
        )
        .await
        .json()
        .await;
    assert_eq!(
        forged["error"]["code"], -32_602,
        "who does not know the place cannot answer: {forged}"
    );
    let answered = gateway
        .ask_able(
            2,
            "tools/call",
            call("greet", more(&result["requestState"])),
        )
        .await
        .json()
        .await;
    assert_eq!((text(&answered), &answered["id"]), ("hello Ada", &json!(2)));
    let again = gateway
        .ask_able(
            3,
            "tools/call",
            call("greet", more(&result["requestState"])),
        )
        .await
        .json()
        .await;
    assert_eq!(
        again["error"]["code"], -32_602,
        "each answer is given once: {again}"
    );
}

#[tokio::test]
async fn who_never_answers_and_who_goes_away_keep_nobody_waiting() {
    let gateway = Gateway::connecting(before(OLDER).await).await;
    for id in 1..=2 {
        let greet = json!({ "name": "greet", "arguments": { "at": id } });
        let asked = gateway.ask_able(id, "tools/call", greet).await.json().await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    }
    let sleep = json!({ "name": "sleep", "arguments": {} });
    let gone = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.ask_able(3, "tools/call", sleep).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    gone.abort();
    let paid = gateway
        .ask_able(4, "tools/call", call("pay", json!({})))
        .await
        .json()
        .await;
    assert_eq!(text(&paid), "paid 1");
}

/// After a cancellation, a server of the newer protocol sends no response.
#[tokio::test]
async fn a_newer_client_that_cancels_what_passes_goes_on() {
    let (mut agent, input, client) = Agent::apart();
    let upstream = before(OLDER)
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
    let able = |params: Value| {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "elicitation": {} });
        params
    };
    agent
        .write(&modern(1, "prompts/get", able(json!({ "name": "silent" }))).to_string())
        .await;
    agent
        .write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
        .await;
    agent
        .write(&modern(2, "tools/call", able(call("pay", json!({})))).to_string())
        .await;
    let paid = tokio::time::timeout(Duration::from_secs(5), agent.read())
        .await
        .expect("an answer in time");
    let paid: Value = serde_json::from_str(&paid).unwrap();
    assert_eq!((text(&paid), &paid["id"]), ("paid 1", &json!(2)));
}

#[tokio::test]
async fn an_older_client_answers_a_newer_server_as_it_answers_an_older_one() {
    for server in [NEWER, OLDER] {
        let mut agent = legacy(before(server).await, json!({ "elicitation": {} })).await;
        agent.write(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{}}}"#).await;
        let asked: Value = serde_json::from_str(&agent.read().await).unwrap();
        assert_eq!(
            (&asked["method"], &asked["params"]["message"]),
            (&json!("elicitation/create"), &json!("your name?"))
        );
        let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept", "content": { "name": "Ada" } } });
        agent.write(&answer.to_string()).await;
        let answered: Value = serde_json::from_str(&agent.read().await).unwrap();
        assert_eq!((text(&answered), &answered["id"]), ("hello Ada", &json!(1)));
    }
}

#[tokio::test]
async fn a_newer_server_that_asks_a_client_that_cannot_answer_is_told_in_a_result() {
    let mut agent = legacy(before(NEWER).await, json!({})).await;
    agent.write(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{}}}"#).await;
    let answered: Value = serde_json::from_str(&agent.read().await).unwrap();
    assert_eq!(answered["result"]["isError"], true, "{answered}");
    agent
        .write(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(&agent.read().await).unwrap(),
        json!({ "jsonrpc": "2.0", "id": 2, "result": {} })
    );
}

#[tokio::test]
async fn an_older_client_reads_what_the_task_of_a_newer_server_comes_to() {
    let mut agent = legacy(before(NEWER).await, json!({})).await;
    agent.call(1, "built", &json!({})).await;
    let built = agent.response().await;
    assert_eq!((text(&built), &built["id"]), ("built 1", &json!(1)));
    agent.pay(2, 30).await;
    assert_eq!(agent.answer().await.1, "paid 2", "the task was made once");
}

#[tokio::test]
async fn a_task_of_which_nothing_is_heard_is_in_doubt_and_not_made_again() {
    let mut agent = legacy(before(NEWER).await, json!({})).await;
    for id in 1..=2 {
        agent.call(id, "forgotten", &json!({})).await;
        let (answer, text) = agent.answer().await;
        assert!(answer == "held" || answer == "in-doubt", "{answer}: {text}");
        assert!(
            text.contains("may have taken effect") && text.contains("Do not call it again"),
            "{text}"
        );
    }
    agent.pay(3, 30).await;
    assert_eq!(agent.answer().await.1, "paid 2", "the task was made once");
}

#[tokio::test]
async fn what_changes_is_heard_in_every_pair() {
    for server in [NEWER, OLDER] {
        let gateway = Gateway::connecting(before(server).await).await;
        let wanted = json!({ "notifications": { "toolsListChanged": true } });
        let mut heard = gateway.ask(7, "subscriptions/listen", wanted).await;
        let id = |event: &Value| {
            event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()
        };
        let (_, first) = heard.event().await.unwrap();
        assert_eq!(
            (&first["method"], id(&first)),
            (&json!("notifications/subscriptions/acknowledged"), json!(7))
        );
        gateway
            .ask(8, "tools/call", call("change", json!({})))
            .await
            .json()
            .await;
        let (_, changed) = heard.event().await.unwrap();
        assert_eq!(
            (&changed["method"], id(&changed)),
            (&json!("notifications/tools/list_changed"), json!(7))
        );

        let mut agent = legacy(before(server).await, json!({})).await;
        agent
            .write(r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"change","arguments":{}}}"#)
            .await;
        while !agent
            .read()
            .await
            .contains("notifications/tools/list_changed")
        {}
    }
}

#[tokio::test]
async fn two_clients_of_equal_ids_and_tokens_share_a_child() {
    for server in [OLDER, NEWER] {
        let gateway = Gateway::connecting(before(server).await).await;
        let pay = |amount: u32| {
            let params = json!({ "name": "pay", "arguments": { "amount": amount }, "_meta": { "progressToken": 1 } });
            let gateway = gateway.clone();
            async move { gateway.ask_able(1, "tools/call", params).await }
        };
        let answers = tokio::join!(pay(1), pay(2), pay(3));
        let mut paid = Vec::new();
        for mut answer in <[_; 3]>::from(answers) {
            let (_, progress) = answer.event().await.unwrap();
            assert_eq!(progress["params"]["progressToken"], 1);
            let (_, response) = answer.event().await.unwrap();
            assert_eq!(
                text(&response),
                format!("paid {}", progress["params"]["progress"])
            );
            paid.push(text(&response).to_owned());
            assert!(answer.event().await.is_none());
        }
        paid.sort();
        assert_eq!(paid, ["paid 1", "paid 2", "paid 3"]);
    }
}

/// A client of the older era over the standard streams.
pub async fn legacy(connect: Arc<dyn Connector>, capabilities: Value) -> Agent {
    let (mut agent, input, client) = Agent::apart();
    let upstream = connect.connect(Arc::clone(&client)).await.unwrap();
    tokio::spawn(stdio::serve_client(
        input,
        client,
        CallerIdentity::new(Tenant::default(), None),
        upstream,
    ));
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": { "name": "c", "version": "1" } });
    agent
        .write(
            &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
                .to_string(),
        )
        .await;
    let opened: Value = serde_json::from_str(&agent.read().await).unwrap();
    assert_eq!(
        opened["result"]["protocolVersion"], "2025-06-18",
        "{opened}"
    );
    agent
        .write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    agent
}

#[tokio::test]
async fn a_server_that_is_long_in_starting_is_not_taken_for_an_older_one() {
    let slow = ["import time\ntime.sleep(2.5)\n", NEWER].concat();
    let gateway = Gateway::connecting(before(&slow).await).await;
    let paid = gateway
        .ask(3, "tools/call", call("pay", json!({})))
        .await
        .json()
        .await;
    assert_eq!(text(&paid), "paid 1", "{paid}");
}

#[tokio::test]
async fn a_silent_server_is_taken_for_an_older_one() {
    let client = Arc::new(RecordingClient::default());
    let silent = "import sys, json\nfor line in sys.stdin:\n    m = json.loads(line)\n    if m.get('method') == 'initialize': print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': {'protocolVersion': '2024-11-05', 'capabilities': {}, 'serverInfo': {'name': 's', 'version': '1'}}}), flush=True)\n";
    let command = ["python3", "-c", silent].map(Into::into).to_vec();
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    let connect = DowngradeConnector::new(Arc::new(LayerStack::new(
        guard,
        ServerLocation::Command(command),
    )));
    let upstream = connect
        .connect(Arc::<RecordingClient>::clone(&client))
        .await
        .unwrap();
    let context = crate::raw_server::context(&client);
    let request = modern(1, "server/discover", json!({})).to_string();
    upstream
        .forward(semel_mcp::wire::Message::read(request).unwrap(), &context)
        .await;
    let discovered = client.wait(|message| message["id"] == 1).await;
    assert_eq!(
        discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "s"
    );
    upstream.close().await;
}

/// The shortest time that `slow` takes: after a second the gateway answers with a stream of events.
const SLOW_MIN: Duration = Duration::from_secs(2);
/// The longest.
const SLOW_MAX: Duration = Duration::from_secs(20);

/// A server of the older era on the network: `slow` waits until it may end, `greet` asks for a name on the stream of the
/// call.
async fn on_the_network(slow_may_end: Arc<AtomicBool>) -> RawServer {
    RawServer::answering(move |came| {
        let (id, params) = (&came.body["id"], &came.body["params"]);
        let said = |result: Value| json_of(200, "", &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        let tool = |name: &str| json!({ "name": name, "inputSchema": {} });
        match (came.method(), params["name"].as_str()) {
            ("initialize", _) => said(json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} } })),
            ("tools/list", _) => said(json!({ "tools": (["slow", "quick", "greet"].map(tool)) })),
            ("server/discover", _) => {
                json_of(400, "", &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_601 } }))
            }
            (_, Some("greet")) => {
                let who = &params["arguments"]["who"];
                let asks = json!({ "message": who, "requestedSchema": { "type": "object", "properties": {} } });
                let asks = json!({ "jsonrpc": "2.0", "id": who, "method": "elicitation/create", "params": asks });
                events_of(&event("1", &asks))
            }
            (_, Some(name)) => {
                let began = Instant::now();
                let must_wait = || match began.elapsed() {
                    elapsed if elapsed < SLOW_MIN => true,
                    elapsed => elapsed < SLOW_MAX && !slow_may_end.load(Ordering::Relaxed),
                };
                while name == "slow" && must_wait() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                said(json!({ "content": [{ "type": "text", "text": name }] }))
            }
            _ => status(202),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_a_question_says_its_call_by_its_way_no_call_waits_for_another() {
    let slow_may_end = Arc::new(AtomicBool::new(false));
    let far = on_the_network(Arc::clone(&slow_may_end)).await;
    let endpoint = ServerEndpoint::new(&format!("http://{}/mcp", far.address), &[]).unwrap();
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    let tower = LayerStack::new(guard, ServerLocation::Endpoint(Arc::new(endpoint)));
    let gateway = Gateway::connecting(Arc::new(DowngradeConnector::new(Arc::new(tower)))).await;
    let slow = tokio::spawn({
        let gateway = gateway.clone();
        async move {
            gateway
                .ask_able(1, "tools/call", call("slow", json!({})))
                .await
                .event()
                .await
                .unwrap()
                .1
        }
    });
    while far
        .came(|came| came.body["params"]["name"] == "slow")
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let quick = gateway
        .ask_able(2, "tools/call", call("quick", json!({})))
        .await
        .json()
        .await;
    assert!(
        text(&quick) == "quick" && !slow.is_finished(),
        "the quick one does not wait: {quick}"
    );
    slow_may_end.store(true, Ordering::Relaxed);
    let greet = |who: &str| {
        let (gateway, params) = (
            gateway.clone(),
            json!({ "name": "greet", "arguments": { "who": who } }),
        );
        async move { gateway.ask_able(3, "tools/call", params).await.json().await }
    };
    let asked = tokio::join!(greet("ada"), greet("bob"));
    for (asked, who) in [(asked.0, "ada"), (asked.1, "bob")] {
        let questions = asked["result"]["inputRequests"]
            .as_object()
            .unwrap_or_else(|| panic!("{asked}"));
        let messages: Vec<_> = questions
            .values()
            .map(|question| &question["params"]["message"])
            .collect();
        assert_eq!(
            messages,
            [who],
            "each client is asked what its own call needs"
        );
    }
    assert_eq!(text(&slow.await.unwrap()), "slow");
}

#[tokio::test]
async fn clients_of_many_capabilities_take_turns_in_the_room_that_there_is() {
    let far = on_the_network(Arc::new(AtomicBool::new(true))).await;
    let endpoint = ServerEndpoint::new(&format!("http://{}/mcp", far.address), &[]).unwrap();
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    let connect = DowngradeConnector::new(Arc::new(LayerStack::new(
        guard,
        ServerLocation::Endpoint(Arc::new(endpoint)),
    )));
    let client = Arc::new(RecordingClient::default());
    let upstream = connect
        .connect(Arc::<RecordingClient>::clone(&client) as _)
        .await
        .unwrap();
    let ask = async |number: i64| {
        let own = json!({ "io.modelcontextprotocol/clientCapabilities": { "x": number } });
        let request = modern(number, "server/discover", json!({ "_meta": own })).to_string();
        upstream
            .forward(
                semel_mcp::wire::Message::read(request).unwrap(),
                &crate::raw_server::context(&client),
            )
            .await;
        client.wait(|message| message["id"] == number).await
    };
    for number in 0..16 {
        assert!(ask(number).await["error"].is_null(), "there is room for 16");
    }
    assert!(
        ask(16).await["error"]["message"]
            .as_str()
            .unwrap()
            .contains("too many clients"),
        "all were just used"
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert!(
        ask(17).await["error"].is_null(),
        "the one that was not used for longest makes room"
    );
    assert!(ask(0).await["error"].is_null(), "the first one stays");
    upstream.close().await;
}
