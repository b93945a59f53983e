//! A bank that recognises repeats does so by a key. It must come where the bank looks for it, and the same again with each
//! repeat; where it cannot come there, a call is not sent without it.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use serde_json::{Value, json};

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}}]}"#;
const DONE: CallFate =
    CallFate::Answered("result", r#"{"content":[{"type":"text","text":"paid"}]}"#);

fn keyed_by(place: &str, name: &str) -> Setup {
    let target = json!({ place: name, "repeats": "replayed", "remembers": "24h" });
    let settings = json!({ "operation": "pay", "identity": ["/amount"], "target": target });
    Setup {
        policy: ("intent", settings),
        ..Setup::default()
    }
}

async fn sent(setup: Setup, fates: impl IntoIterator<Item = CallFate>) -> Vec<Value> {
    let server = ScriptedServer::new(TOOLS, fates);
    let mut agent = Agent::of(setup, server.clone()).await;
    agent.pay(1, 30).await;
    assert_eq!(agent.answer().await, (json!("executed"), "paid".to_owned()));
    let calls = server.calls.lock().unwrap();
    calls.clone()
}

#[tokio::test]
async fn a_repeat_has_the_same_key_and_another_id() {
    for (place, name, pointer) in [
        ("argument", "/reference", "/params/arguments/reference"),
        ("metadata", "bank/key", "/params/_meta/bank~1key"),
    ] {
        let calls = sent(keyed_by(place, name), [CallFate::Lost, DONE]).await;
        assert_eq!(calls.len(), 2);
        assert!(
            calls[0].pointer(pointer).is_some_and(Value::is_string),
            "{}",
            calls[0]
        );
        assert_eq!(calls[0].pointer(pointer), calls[1].pointer(pointer));
        assert_eq!(calls[0]["id"], 1);
        assert_ne!(
            calls[1]["id"], 1,
            "a late response to the first is not one to the second"
        );
    }
}

#[tokio::test]
async fn a_key_that_has_no_place_is_told_and_nothing_is_sent() {
    let server = ScriptedServer::new(TOOLS, [DONE]);
    let mut agent = Agent::of(keyed_by("header", "Idempotency-Key"), server.clone()).await;
    agent.pay(1, 30).await;
    let (answer, text) = agent.answer().await;
    assert_eq!(answer, json!("refused"));
    assert!(
        text.contains("`Idempotency-Key`") && text.contains("`bank`"),
        "{text}"
    );
    assert_eq!(server.count(), 0);
}
