//! A model writes `amout` for `amount`, and the server says so. Nothing happened, and the model knows what to do; yet most servers
//! say it in a text without a code. A gateway that takes every text for a failure half-way calls the operator for each slip.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use serde_json::json;

const TOOLS: &str = r#"{"tools":[
    {"name":"pay","inputSchema":{"type":"object","properties":{"amount":{"type":"integer"}},"required":["amount"]}}]}"#;

/// The answer's word to a call of this tool that fails with this text, and to the same call made once more.
async fn answers(tool: &str, amount: &str, fails_with: &'static str) -> [serde_json::Value; 2] {
    let server = ScriptedServer::new(TOOLS, [CallFate::Answered("result", fails_with)]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    let mut words = [json!(null), json!(null)];
    for (id, word) in (1..).zip(&mut words) {
        agent.call(id, tool, &json!({ amount: 30 })).await;
        *word = agent.answer().await.0;
    }
    words
}

#[tokio::test]
async fn what_the_server_turned_away_is_told_and_may_be_made_again() {
    for (tool, said) in [
        (
            "pay",
            r#"{"content":[{"type":"text","text":"Input validation error: Invalid arguments for tool pay: amount"}],"isError":true}"#,
        ),
        (
            "pay",
            r#"{"content":[{"type":"text","text":"1 validation error for call[pay]\namount\n  Missing required argument"}],"isError":true}"#,
        ),
        (
            "pay",
            r#"{"content":[{"type":"text","text":"Invalid arguments: amount is required"}],"isError":true}"#,
        ),
        (
            "py",
            r#"{"content":[{"type":"text","text":"Unknown tool: 'py'"}],"isError":true}"#,
        ),
        (
            "py",
            r#"{"content":[{"type":"text","text":"I have no such tool"}],"isError":true}"#,
        ),
    ] {
        assert_eq!(
            answers(tool, "amout", said).await,
            ["executed", "executed"],
            "{said}"
        );
    }
}

#[tokio::test]
async fn what_the_server_may_have_begun_is_held() {
    for (tool, amount, said) in [
        (
            "pay",
            "amout",
            r#"{"content":[{"type":"text","text":"amount is not defined"}],"isError":true}"#,
        ),
        (
            "pay",
            "amount",
            r#"{"content":[{"type":"text","text":"Invalid arguments: amount is required"}],"isError":true}"#,
        ),
        (
            "py",
            "amount",
            r#"{"content":[{"type":"text","text":"the bank is closed"}],"isError":true}"#,
        ),
    ] {
        assert_eq!(
            answers(tool, amount, said).await,
            ["held", "held"],
            "{said}"
        );
    }
}
