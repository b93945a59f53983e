//! The answer to a payment is lost, and the bank does not recognise repeats. But it has a tool that lists payments, and
//! looking is safe where sending is not, if the tool does only look.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use semel_mcp::guarded::ToolProber;
use serde_json::json;
use std::sync::Arc;

const LISTED: CallFate = CallFate::Answered(
    "result",
    r#"{"content":[],"structuredContent":{"payments":[{"amount":30}]}}"#,
);

fn looking(probes: ToolProber) -> Setup {
    let settings = json!({
        "operation": "pay",
        "identity": ["/amount"],
        "probe": {
            "tool": "list_payments",
            "landed": { "at": "/structuredContent/payments/0/amount", "is": 30 },
            "result": "/structuredContent/payments/0",
        },
    });
    Setup {
        policy: ("intent", settings),
        probes: Some(Arc::new(probes)),
        ..Setup::default()
    }
}

const HONEST: &str = r#"{"tools":[{"name":"pay","inputSchema":{}},
    {"name":"list_payments","inputSchema":{},"annotations":{"readOnlyHint":true}}]}"#;
const SILENT: &str =
    r#"{"tools":[{"name":"pay","inputSchema":{}},{"name":"list_payments","inputSchema":{}}]}"#;

#[tokio::test]
async fn a_tool_that_only_reads_finds_the_payment() {
    for (tools, probes) in [
        (HONEST, ToolProber::default()),
        (
            SILENT,
            ToolProber::default().with_allowed_tools(["list_payments".to_owned()]),
        ),
    ] {
        let server = ScriptedServer::new(tools, [CallFate::Lost, LISTED]);
        let mut agent = Agent::of(looking(probes), server.clone()).await;
        agent.pay(1, 30).await;
        assert_eq!(
            agent.answer().await,
            (json!("replayed"), r#"{"amount":30}"#.to_owned())
        );
        let tools: Vec<_> = server
            .calls
            .lock()
            .unwrap()
            .iter()
            .map(|call| call["params"]["name"].clone())
            .collect();
        assert_eq!(tools, ["pay", "list_payments"]);
    }
}

#[tokio::test]
async fn a_tool_that_may_do_something_is_not_used_to_look() {
    let server = ScriptedServer::new(SILENT, [CallFate::Lost, LISTED]);
    let mut agent = Agent::of(looking(ToolProber::default()), server.clone()).await;
    agent.pay(1, 30).await;
    let (answer, _) = agent.answer().await;
    assert!(
        answer == json!("in doubt") || answer == json!("held"),
        "{answer}"
    );
    assert_eq!(server.count(), 1);
}
