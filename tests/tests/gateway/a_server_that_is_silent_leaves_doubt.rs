//! A bank's server takes a payment and then says nothing more. An agent that waits for ever is of no use, and one that takes
//! the silence for a failure pays again.

use crate::{
    scene::{Agent, Setup},
    server::{Fate, Scripted},
};
use serde_json::{Value, json};

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}}]}"#;
const SOON: &str = "[defaults]\nanswer_within = \"100ms\"\n";

fn cancelled(server: &Scripted) -> Vec<Value> {
    server.passed.lock().unwrap().iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_in_doubt_and_its_server_told() {
    let server = Scripted::new(TOOLS, [Fate::Silent]);
    let mut agent = Agent::of(Setup { file: SOON, ..Setup::default() }, server.clone()).await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        let (answer, text) = agent.answer().await;
        assert_eq!(answer, json!("held"));
        assert!(text.starts_with("Outcome unknown. `pay` was called and may have taken effect"), "{text}");
    }
    assert_eq!(server.count(), 1);
    let told = cancelled(&server);
    assert_eq!(told.len(), 1, "once, for the call that was sent");
    assert_eq!(told[0]["method"], "notifications/cancelled");
    assert_eq!(told[0]["params"]["requestId"], 1);
}

#[tokio::test]
async fn without_the_guard_the_agent_waits_and_pays_again() {
    let server = Scripted::new(TOOLS, [Fate::Silent]);
    let mut agent = Agent::of(Setup { file: SOON, is_off: true, ..Setup::default() }, server.clone()).await;
    agent.pay(1, 30).await;
    agent.pay(2, 30).await;
    while server.count() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cancelled_call_is_forwarded_where_its_operator_says_so() {
    for (file, told) in [("[defaults]\non_cancel = \"forward\"\n", 1), ("", 0)] {
        let server = Scripted::new(TOOLS, [Fate::Silent]);
        let mut agent = Agent::of(Setup { file, ..Setup::default() }, server.clone()).await;
        agent.pay(1, 30).await;
        while server.count() == 0 {
            tokio::task::yield_now().await;
        }
        agent.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
        // What is sent after it has passed it.
        agent.write(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).await;
        while server.passed.lock().unwrap().len() < told + 1 {
            tokio::task::yield_now().await;
        }
        let methods: Vec<_> = cancelled(&server).into_iter().map(|message| message["method"].clone()).collect();
        assert_eq!(methods.iter().filter(|method| **method == "notifications/cancelled").count(), told, "{methods:?}");
    }
}
