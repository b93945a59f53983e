//! A client is broken, or a server is: a message is malformed, far too long, repeated or out of
//! turn. The other side gets an error of its protocol, nothing runs twice, and the next payment is
//! served as usual.

use crate::{
    raw_server::{RawServer, RecordingClient, ask, context, json_of},
    scene::{Agent, Server as Bank, Setup, config, semel},
    server::{CallFate, ScriptedServer},
    web::{Gateway, pay, request},
};
use hyper::Method;
use semel::model::Tenant;
use semel_mcp::{
    front::stdio,
    guarded::ToolGuard,
    layer::{CallerIdentity, Connector, Upstream},
    protocol_version::DowngradeConnector,
    stack::{LayerStack, ServerLocation},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// So deep that a reader which calls itself for each level would overflow its stack.
const DEPTH: usize = 10_000;

fn deep() -> String {
    "[".repeat(DEPTH) + &"]".repeat(DEPTH)
}

const PAY: &str = r#"{"tools":[{"name":"pay","inputSchema":{"type":"object"}}]}"#;

const PAID: CallFate =
    CallFate::Answered("result", r#"{"content":[{"type":"text","text":"paid"}]}"#);

/// A text that lives as long as the test.
fn lasting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A call of `pay` with these arguments, as they are written.
fn call(id: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"pay","arguments":{arguments}}}}}"#
    )
}

#[tokio::test]
async fn what_a_client_writes_that_is_no_message_is_answered_so() {
    let server = ScriptedServer::new(PAY, [PAID]);
    let mut agent = Agent::of(Setup::default(), Arc::<ScriptedServer>::clone(&server) as _).await;
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    for (line, code) in [
        ("{", -32_700),
        ("\u{0}", -32_700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}}", -32_700),
        ("7", -32_600),
        ("[]", -32_600),
        ("[7]", -32_600),
        (r#""\ud800""#, -32_700),
        (&ping("null"), -32_600),
        (&ping("{}"), -32_600),
        (&ping("[1]"), -32_600),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#,
            -32_600,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32_600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
            -32_600,
        ),
        (&deep(), -32_600),
    ] {
        agent.write(line).await;
        assert_eq!(agent.response().await["error"]["code"], code, "{line:.60}");
    }
    // The longest line is skipped as it comes, and what follows it is served.
    agent
        .write(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
            "x".repeat(64 << 20)
        ))
        .await;
    assert_eq!(agent.response().await["error"]["code"], -32_600);
    agent.call(2, "pay", &json!({ "order": 1 })).await;
    assert_eq!(agent.answer().await.0, "executed");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn arguments_that_cannot_be_told_apart_for_certain_run_nothing() {
    let server = ScriptedServer::new(PAY, [PAID]);
    let mut agent = Agent::of(Setup::default(), Arc::<ScriptedServer>::clone(&server) as _).await;
    for arguments in [
        &deep(),
        "[]",
        "7",
        "null",
        r#""order""#,
        r#"{"order":"\ud800"}"#,
        r#"{"order":1,"order":2}"#,
        r#"{"order":1e1000001}"#,
    ] {
        agent.write(&call("1", arguments)).await;
        let answer = agent.response().await;
        let is_refused = answer["error"]["code"] == -32_602 || answer["result"]["isError"] == true;
        assert!(is_refused, "{arguments:.60}: {answer}");
        assert_eq!(server.count(), 0, "{arguments:.60}: {answer}");
    }
    for params in [r"[]", r#"{"name":7}"#, r"{}", r#"{"name":""}"#] {
        agent
            .write(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#
            ))
            .await;
        assert_eq!(agent.response().await["error"]["code"], -32_602, "{params}");
    }
    // A control character is as good a letter as any.
    agent.write(&call("1", r#"{"order":"a\u0000b"}"#)).await;
    assert_eq!(agent.answer().await.0, "executed");
    assert_eq!(
        server.calls.lock().unwrap()[0]["params"]["arguments"]["order"],
        "a\0b"
    );
}

#[tokio::test]
async fn ids_of_every_spelling_come_back_as_they_were() {
    let server = ScriptedServer::new(PAY, [PAID]);
    let mut agent = Agent::of(Setup::default(), Arc::<ScriptedServer>::clone(&server) as _).await;
    let ids = [
        "0",
        "-1",
        "9007199254740993",
        "123456789012345678901234567890",
        "1.5",
        r#""a\u0000\"b""#,
        r#""""#,
    ];
    for (order, id) in ids.into_iter().enumerate() {
        agent
            .write(&call(id, &format!(r#"{{"order":{order}}}"#)))
            .await;
        let line = agent.read().await;
        assert!(line.contains(&format!(r#""id":{id}"#)), "{id}: {line}");
    }
    assert_eq!(server.count(), ids.len());
}

#[tokio::test]
async fn two_calls_under_one_id_are_two_calls_and_one_call_sent_twice_is_one() {
    let bank = Bank::new(false);
    let mut agent = Agent::before(&bank).await;
    for amount in [1, 1, 2] {
        agent.pay(7, amount).await;
    }
    bank.answer(3);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(agent.answer().await.0.as_str().unwrap().to_owned());
    }
    answers.sort();
    assert_eq!(answers, ["executed", "executed", "replayed"]);
    assert_eq!(bank.effects(), 2);
}

#[tokio::test]
async fn what_is_passed_is_not_looked_into_however_strange_it_is() {
    let bank = Bank::new(false);
    let mut agent = Agent::before(&bank).await;
    for params in [
        &deep(),
        r#"{"a":"\ud800\u0000","n":123456789012345678901234567890}"#,
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x/y","params":{params}}}"#);
        agent.write(&line).await;
        assert_eq!(agent.response().await["id"], 1);
        assert_eq!(bank.passed.lock().unwrap().last(), Some(&line));
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_read_is_handed_on_and_kept_as_it_came() {
    let result = |is_error: bool, odd: &str| {
        let text = format!(
            r#"{{"content":[{{"type":"text","text":"no"}}],"isError":{is_error},"structuredContent":{odd}}}"#
        );
        CallFate::Answered("result", lasting(text))
    };
    for odd in [
        deep(),
        r#"{"a":"\ud800"}"#.to_owned(),
        r#"{"n":1e999}"#.to_owned(),
    ] {
        let server = ScriptedServer::new(PAY, [result(false, &odd), result(true, &odd), PAID]);
        let mut agent =
            Agent::of(Setup::default(), Arc::<ScriptedServer>::clone(&server) as _).await;
        agent.write(&call("1", r#"{"order":1}"#)).await;
        let line = agent.read().await;
        assert!(
            line.contains(&odd) && line.contains(r#""isError":false"#),
            "{line:.300}"
        );
        agent.write(&call("2", r#"{"order":2}"#)).await;
        let line = agent.read().await;
        assert!(
            line.contains("in-doubt") || line.contains("held"),
            "a failure of unknown effect: {line:.300}"
        );
        agent.write(&call("3", r#"{"order":2}"#)).await;
        let line = agent.read().await;
        assert!(line.contains("held"), "{line:.300}");
        assert_eq!(server.count(), 2, "nothing of unknown effect is sent again");
    }
}

#[tokio::test]
async fn two_tools_of_one_name_are_guarded_as_the_more_dangerous_one() {
    let tool =
        |hints: &str| format!(r#"{{"name":"pay","inputSchema":{{}},"annotations":{hints}}}"#);
    const FAILED: CallFate = CallFate::Answered("result", r#"{"content":[],"isError":true}"#);
    let (reads, pays) = (
        tool(r#"{"readOnlyHint":true}"#),
        tool(r#"{"readOnlyHint":false}"#),
    );
    for tools in [
        format!("{reads},{pays}"),
        format!("{pays},{reads}"),
        format!("{reads},{}", tool("{}")),
    ] {
        let server = ScriptedServer::new(lasting(format!(r#"{{"tools":[{tools}]}}"#)), [FAILED]);
        let setup = Setup {
            is_trusted: true,
            ..Setup::default()
        };
        let mut agent = Agent::of(setup, Arc::<ScriptedServer>::clone(&server) as _).await;
        for id in [1, 2] {
            agent.call(id, "pay", &json!({ "order": 1 })).await;
            agent.response().await;
        }
        assert_eq!(server.count(), 1, "{tools}");
    }
    let server = ScriptedServer::new(lasting(format!(r#"{{"tools":[{reads}]}}"#)), [FAILED]);
    let mut agent = Agent::of(
        Setup {
            is_trusted: true,
            ..Setup::default()
        },
        Arc::<ScriptedServer>::clone(&server) as _,
    )
    .await;
    for id in [1, 2] {
        agent.call(id, "pay", &json!({ "order": 1 })).await;
        agent.response().await;
    }
    assert_eq!(server.count(), 2, "the control: alone it is believed");
}

#[tokio::test]
async fn a_tool_that_vanished_and_arguments_that_break_its_schema_ran_nothing() {
    for refusal in [
        r#"{"code":-32602,"message":"no such tool"}"#,
        r#"{"code":-32601,"message":"no such method"}"#,
        r#"{"code":-32602,"message":"`order` must be a number"}"#,
    ] {
        let server = ScriptedServer::new(PAY, [CallFate::Answered("error", refusal), PAID]);
        let mut agent =
            Agent::of(Setup::default(), Arc::<ScriptedServer>::clone(&server) as _).await;
        agent.call(1, "pay", &json!({ "order": "seven" })).await;
        let line = agent.read().await;
        let own: Value = serde_json::from_str(refusal).unwrap();
        assert!(
            line.contains(own["message"].as_str().unwrap()),
            "it reads why: {line}"
        );
        agent.call(2, "pay", &json!({ "order": "seven" })).await;
        assert_eq!(agent.answer().await.0, "executed", "and may call again");
        assert_eq!(server.count(), 2);
    }
}

/// A server that does with each call what its tool is called.
const ODD: &str = r#"
import sys, json
effects = 0
def raw(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
def out(**message): raw(json.dumps({"jsonrpc": "2.0", **message}))
raw("Welcome to the server!")
out(method="notifications/message", params={"level": "info", "data": "early"})
out(id="early", result={})
out(id=1, method="roots/list")
for line in sys.stdin:
    m = json.loads(line)
    id, method, p = m.get("id"), m.get("method"), m.get("params") or {}
    name = p.get("name")
    def paid():
        out(id=id, result={"content": [{"type": "text", "text": f"paid {effects}"}]})
    if method == "initialize":
        out(id=id, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}})
    elif method == "tools/list":
        names = ["pay", "twice", "strays", "asks", "giant"]
        out(id=id, result={"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in names]})
    elif method == "ping": out(id=id, result={})
    elif method == "tools/call":
        effects += 1
        if name == "twice": paid()
        if name == "strays":
            for text in ["{", "7", "[]", "\x00", '"x"', '{"jsonrpc":"2.0"}', '[{"jsonrpc":"2.0","id":99,"result":{}},7]',
                    '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"?"}}', '{"jsonrpc":"2.0","id":"1","result":{}}',
                    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody\'s"}}',
                    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody\'s","progress":1}}',
                    "[" * 10000 + "]" * 10000, '{"jsonrpc":"2.0","method":"x","params":{"a":"\\ud800"}}']: raw(text)
        if name == "giant": raw('{"jsonrpc":"2.0","id":1,"result":"' + "x" * (65 << 20) + '"}')
        if name == "asks":
            out(id=id, method="roots/list")
            json.loads(sys.stdin.readline())["result"]
        paid()
"#;

async fn odd() -> Arc<dyn Connector> {
    let guard = ToolGuard::new(
        semel(Setup::default()).await,
        Arc::new(config()),
        "bank",
        "",
    );
    let command = ["python3", "-c", ODD].map(Into::into).to_vec();
    Arc::new(DowngradeConnector::new(Arc::new(LayerStack::new(
        guard,
        ServerLocation::Command(command),
    ))))
}

#[tokio::test]
async fn a_server_that_speaks_out_of_turn_is_not_taken_at_its_word() {
    let (mut agent, input, client) = Agent::apart();
    let upstream = odd().await.connect(Arc::clone(&client)).await.unwrap();
    tokio::spawn(stdio::serve_client(
        input,
        client,
        CallerIdentity::new(Tenant::default(), None),
        upstream,
    ));
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": { "roots": {} }, "clientInfo": { "name": "c", "version": "1" } });
    agent
        .write(&request(0, "initialize", hello).to_string())
        .await;
    let mut opened = agent.response().await;
    while opened["result"].is_null() {
        opened = agent.response().await;
    }
    assert_eq!(
        opened["result"]["protocolVersion"], "2025-06-18",
        "what came before was no answer: {opened}"
    );
    agent
        .write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
    for (id, tool) in (1_i64..).zip(["twice", "strays", "asks", "giant", "pay"]) {
        agent
            .write(&request(id, "tools/call", json!({ "name": tool, "arguments": {} })).to_string())
            .await;
        loop {
            let line = tokio::time::timeout(Duration::from_secs(20), agent.read()).await;
            let line = line.unwrap_or_else(|_| panic!("no answer to `{tool}`"));
            // Invalid UTF-8 passes, because the gateway does not decode this part.
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if message["method"] == "roots/list" {
                assert_eq!(message["id"], id, "the server uses the id of the call");
                agent
                    .write(
                        &json!({ "jsonrpc": "2.0", "id": id, "result": { "roots": [] } })
                            .to_string(),
                    )
                    .await;
            } else if message["id"] == id {
                assert_eq!(
                    message["result"]["content"][0]["text"],
                    format!("paid {id}"),
                    "{tool}: {message}"
                );
                break;
            } else {
                assert!(
                    message["id"].is_null() || !message["method"].is_null(),
                    "a stray answer came through: {message}"
                );
            }
        }
    }
    agent
        .write(&request(9, "ping", json!({})).to_string())
        .await;
    while agent.response().await["id"] != 9 {}
}

#[tokio::test]
async fn over_http_the_next_request_is_served_too() {
    let bank = Bank::new(false);
    let gateway = Gateway::before(&bank).await;
    let session = gateway.open().await;
    let mine = ("mcp-session-id", session.as_str());
    let long = "x".repeat(1 << 20);
    let mut refused = Vec::new();
    for headers in [
        vec![mine, ("x-long", long.as_str())],
        vec![("mcp-session-id", long.as_str())],
    ] {
        let sent = tokio::time::timeout(
            Duration::from_secs(5),
            gateway.try_send(Method::POST, &headers, "{}"),
        )
        .await;
        refused.push(sent.unwrap().map(|answer| answer.status().as_u16()));
    }
    assert!(
        refused
            .iter()
            .all(|status| matches!(status, None | Some(431))),
        "{refused:?}"
    );
    for (body, code) in [
        (deep(), -32_600),
        (call("1", &deep()), -32_602),
        (call("1", r#"{"order":"\ud800"}"#), -32_602),
        (call("null", "{}"), -32_600),
    ] {
        let answer = gateway
            .send(Method::POST, &[mine], body.clone())
            .await
            .json()
            .await;
        assert_eq!(answer["error"]["code"], code, "{body:.60}: {answer}");
    }
    assert_eq!(bank.effects(), 0);
    // One list with the same call twice, and with two calls under one id.
    bank.answer(2);
    let list = json!([
        request(1, "tools/call", pay(1)),
        request(1, "tools/call", pay(1)),
        request(1, "tools/call", pay(2))
    ]);
    let mut answer = gateway.post(&[mine], &list).await;
    let mut count = 0;
    while answer.event().await.is_some() {
        count += 1;
    }
    assert_eq!((count, bank.effects()), (3, 2));
}

#[tokio::test]
async fn an_answer_with_too_long_a_head_leaves_open_what_became_of_the_call() {
    let far = RawServer::answering(|came| {
        let answer = json!({ "jsonrpc": "2.0", "id": came.body["id"], "result": {} });
        json_of(
            200,
            &format!("x-long: {}\r\n", "x".repeat(1 << 20)),
            &answer,
        )
    })
    .await;
    let client = Arc::new(RecordingClient::default());
    let connection = far.connection(Arc::<RecordingClient>::clone(&client) as _);
    assert!(
        connection
            .request(ask(1, "tools/call"), &context(&client))
            .await
            .unwrap_err()
            .sent
    );
    assert_eq!(far.came(|_| true).len(), 1);
}
