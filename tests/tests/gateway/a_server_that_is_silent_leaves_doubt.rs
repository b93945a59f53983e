//! A bank's server takes a payment and then says nothing more. An agent that waits for ever is of no use, and one that takes
//! the silence for a failure pays again.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use serde_json::{Value, json};
use std::time::Duration;

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}}]}"#;
const SOON: &str = "[defaults]\nanswer_within = \"100ms\"\n";

fn cancelled(server: &ScriptedServer) -> Vec<Value> {
    server
        .passed
        .lock()
        .unwrap()
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_in_doubt_and_its_server_told_where_its_operator_says_so()
 {
    let server = ScriptedServer::new(TOOLS, [CallFate::Silent]);
    let file = "[defaults]\nanswer_within = \"100ms\"\non_cancel = \"forward\"\n";
    let mut agent = Agent::of(
        Setup {
            file,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        let (answer, text) = agent.answer().await;
        assert_eq!(answer, json!("held"));
        assert!(
            text.starts_with("Outcome unknown. `pay` was called and may have taken effect"),
            "{text}"
        );
    }
    assert_eq!(server.count(), 1);
    let told = cancelled(&server);
    assert_eq!(told.len(), 1, "once, for the call that was sent");
    assert_eq!(told[0]["method"], "notifications/cancelled");
    assert_eq!(told[0]["params"]["requestId"], 1);
}

#[tokio::test]
async fn without_the_guard_the_agent_waits_and_pays_again() {
    let server = ScriptedServer::new(TOOLS, [CallFate::Silent]);
    let mut agent = Agent::of(
        Setup {
            file: SOON,
            is_off: true,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    agent.pay(1, 30).await;
    agent.pay(2, 30).await;
    while server.count() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cancelled_call_is_forwarded_where_its_operator_says_so() {
    for (file, told) in [("[defaults]\non_cancel = \"forward\"\n", 1), ("", 0)] {
        let server = ScriptedServer::new(TOOLS, [CallFate::Silent]);
        let mut agent = Agent::of(
            Setup {
                file,
                ..Setup::default()
            },
            server.clone(),
        )
        .await;
        agent.pay(1, 30).await;
        while server.count() == 0 {
            tokio::task::yield_now().await;
        }
        agent
            .write(
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            )
            .await;
        // What is sent after it has passed it.
        agent
            .write(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#)
            .await;
        while server.passed.lock().unwrap().len() < told + 1 {
            tokio::task::yield_now().await;
        }
        let methods: Vec<_> = cancelled(&server)
            .into_iter()
            .map(|message| message["method"].clone())
            .collect();
        assert_eq!(
            methods
                .iter()
                .filter(|method| **method == "notifications/cancelled")
                .count(),
            told,
            "{methods:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_lists_its_tools_is_guarded_as_one_that_says_nothing_of_them() {
    let paid = CallFate::Answered("result", r#"{"content":[{"type":"text","text":"paid"}]}"#);
    let server = ScriptedServer::new(ScriptedServer::SILENT, [paid]);
    let mut agent = Agent::of(
        Setup {
            is_trusted: true,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    tokio::time::pause();
    let hour = Duration::from_hours(1);
    agent.write(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{}}}"#).await;
    let answer = tokio::time::timeout(hour, agent.answer()).await;
    assert_eq!(answer.unwrap(), (json!("executed"), "paid".to_owned()));
    agent
        .write(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#)
        .await;
    assert!(
        tokio::time::timeout(hour, agent.read()).await.is_err(),
        "the control: whoever asks it waits for ever"
    );
}

const PAID: &str = r#"{"content":[{"type":"text","text":"paid"}]}"#;
const DECLINED: (&str, &str) = ("error", r#"{"code":-32602,"message":"no such account"}"#);
const LATE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_answer_that_comes_late_is_what_a_repeat_gets() {
    let server = ScriptedServer::new(TOOLS, [CallFate::Late(LATE, "result", PAID)]);
    let mut agent = Agent::of(
        Setup {
            file: SOON,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    agent.pay(1, 30).await;
    assert_eq!(agent.answer().await.0, json!("held"));
    assert!(
        cancelled(&server).is_empty(),
        "a server that is told need not say what it did"
    );
    tokio::time::sleep(2 * LATE).await;
    agent.pay(2, 30).await;
    assert_eq!(agent.answer().await, (json!("replayed"), "paid".to_owned()));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_late_word_that_nothing_happened_lets_the_call_be_made_again() {
    let late = CallFate::Late(LATE, DECLINED.0, DECLINED.1);
    let server = ScriptedServer::new(TOOLS, [late, CallFate::Answered("result", PAID)]);
    let mut agent = Agent::of(
        Setup {
            file: SOON,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    agent.pay(1, 30).await;
    assert_eq!(agent.answer().await.0, json!("held"));
    tokio::time::sleep(2 * LATE).await;
    agent.pay(2, 30).await;
    assert_eq!(agent.answer().await, (json!("executed"), "paid".to_owned()));
    assert_eq!(server.count(), 2);
}
