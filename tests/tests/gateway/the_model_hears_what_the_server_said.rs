//! An agent misspells an argument, corrects it, and goes on. A gateway that takes every error for a doubtful effect would
//! have it wait for a person; one that takes none for one would pay twice. And where the effect is in doubt, the agent must
//! still hear what the server said, or it cannot look into it.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use serde_json::json;

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}},
    {"name":"get_pay","inputSchema":{},"annotations":{"readOnlyHint":true}}]}"#;

const DONE: CallFate =
    CallFate::Answered("result", r#"{"content":[{"type":"text","text":"paid"}]}"#);
const TURNED_AWAY: CallFate = CallFate::Answered(
    "error",
    r#"{"code":-32602,"message":"amount: a number was expected"}"#,
);
const TURNED_AWAY_IN_TEXT: CallFate = CallFate::Answered(
    "result",
    r#"{"content":[{"type":"text","text":"MCP error -32602: Tool pay not found"}],"isError":true}"#,
);
const FAILED: CallFate = CallFate::Answered(
    "result",
    r#"{"content":[{"type":"text","text":"the disk is full"}],"isError":true}"#,
);

#[tokio::test]
async fn a_call_that_was_turned_away_may_be_made_again_at_once() {
    for turned_away in [TURNED_AWAY, TURNED_AWAY_IN_TEXT] {
        let server = ScriptedServer::new(TOOLS, [turned_away, DONE]);
        let mut agent = Agent::of(Setup::default(), server.clone()).await;
        agent.pay(1, 30).await;
        assert!(agent.read().await.contains("-32602"));
        agent.pay(2, 30).await;
        assert_eq!(agent.answer().await, (json!("executed"), "paid".to_owned()));
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn a_failure_in_doubt_is_told_in_the_server_s_words_each_time_and_sent_once() {
    let server = ScriptedServer::new(TOOLS, [FAILED, DONE]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        let response = agent.response().await;
        let result = &response["result"];
        assert_eq!(result["_meta"]["dev.semel/answer"], "held");
        assert_eq!(result["content"][1]["text"], "the disk is full");
        assert_eq!(
            result["structuredContent"]["semel"]["serverSaid"]["content"][0]["text"],
            "the disk is full"
        );
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("`get_pay`"),
            "{result}"
        );
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn without_the_guard_the_same_failure_is_sent_twice() {
    let server = ScriptedServer::new(TOOLS, [FAILED, DONE]);
    let mut agent = Agent::of(
        Setup {
            is_off: true,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        agent.read().await;
    }
    assert_eq!(server.count(), 2, "the control");
}

#[tokio::test]
async fn what_only_reads_passes_where_the_server_is_trusted_and_only_there() {
    for (is_trusted, answers) in [(true, ["null", "null"]), (false, ["executed", "executed"])] {
        let server = ScriptedServer::new(TOOLS, [DONE]);
        let mut agent = Agent::of(
            Setup {
                is_trusted,
                ..Setup::default()
            },
            server.clone(),
        )
        .await;
        for (id, expected) in [1, 2].into_iter().zip(answers) {
            agent.call(id, "get_pay", &json!({})).await;
            let response = agent.response().await;
            let answer = &response["result"]["_meta"]["dev.semel/answer"];
            assert_eq!(answer.as_str().unwrap_or("null"), expected);
        }
        agent.pay(3, 30).await;
        assert_eq!(
            agent.answer().await.0,
            json!("executed"),
            "what claims nothing is guarded"
        );
    }
}
