//! A bank asks "are you sure?" before it pays, or says "I will see to it" and takes its time. A gateway that takes the
//! question for the payment's outcome replays the question for ever; one that takes the answer for a new call pays twice.

use crate::{
    scene::{Agent, Setup},
    server::{CallFate, ScriptedServer},
};
use semel::store::MemoryStore;
use serde_json::{Value, json};
use std::sync::Arc;

const TOOLS: &str = r#"{"tools":[{"name":"pay","inputSchema":{}}]}"#;
const ASKS: CallFate = CallFate::Answered(
    "result",
    r#"{"resultType":"input_required","inputRequests":{"sure":{"method":"elicitation/create","params":{}}},"requestState":"s1"}"#,
);
const DONE: CallFate = CallFate::Answered(
    "result",
    r#"{"resultType":"complete","content":[{"type":"text","text":"paid"}]}"#,
);
const TASK: CallFate = CallFate::Answered(
    "result",
    r#"{"resultType":"task","taskId":"t1","status":"working","ttlMs":60000}"#,
);

async fn answer_question(agent: &mut Agent, id: i64, amount: u32, state: &str) {
    let answers = json!({ "sure": { "action": "accept" } });
    let arguments = json!({ "amount": amount });
    let params = json!({ "name": "pay", "arguments": arguments, "inputResponses": answers, "requestState": state });
    agent
        .write(
            &json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
                .to_string(),
        )
        .await;
}

/// The result and its answer's word.
async fn result(agent: &mut Agent) -> (Value, String) {
    let result = agent.response().await["result"].clone();
    let answer = result["_meta"]["dev.semel/answer"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (result, answer)
}

#[tokio::test]
async fn the_question_goes_to_the_client_and_its_answer_goes_on() {
    let server = ScriptedServer::new(TOOLS, [ASKS, ASKS, DONE]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    agent.pay(1, 30).await;
    let (question, answer) = result(&mut agent).await;
    assert_eq!(
        (question["requestState"].as_str(), answer.as_str()),
        (Some("s1"), "running")
    );
    answer_question(&mut agent, 2, 30, "s1").await;
    assert_eq!(
        result(&mut agent).await.0["resultType"],
        "input_required",
        "it asks once more"
    );
    answer_question(&mut agent, 3, 30, "s1").await;
    let (paid, answer) = result(&mut agent).await;
    assert_eq!(
        (paid["content"][0]["text"].as_str(), answer.as_str()),
        (Some("paid"), "executed")
    );
    let sent: Vec<_> = server
        .calls
        .lock()
        .unwrap()
        .iter()
        .map(|call| call["params"]["requestState"].clone())
        .collect();
    assert_eq!(sent, [json!(null), json!("s1"), json!("s1")]);
}

#[tokio::test]
async fn who_calls_anew_meanwhile_is_asked_the_same_and_nothing_is_sent() {
    let server = ScriptedServer::new(TOOLS, [ASKS, DONE]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        assert_eq!(result(&mut agent).await.0["requestState"], "s1");
    }
    assert_eq!(server.count(), 1);
    let mut unguarded = Agent::of(
        Setup {
            is_off: true,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    unguarded.pay(1, 30).await;
    unguarded.read().await;
    assert_eq!(server.count(), 2, "the control");
}

#[tokio::test]
async fn an_answer_of_another_call_or_to_nothing_is_not_sent() {
    let server = ScriptedServer::new(TOOLS, [ASKS, DONE]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    answer_question(&mut agent, 1, 30, "s1").await;
    assert_eq!(result(&mut agent).await.1, "refused", "nothing waits");
    agent.pay(2, 30).await;
    agent.read().await;
    for (amount, state) in [(30, "s2"), (31, "s1")] {
        answer_question(&mut agent, 3, amount, state).await;
        let (told, _) = result(&mut agent).await;
        assert_ne!(told["content"][0]["text"], "paid", "{told}");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_repeated_answer_is_replayed_the_outcome() {
    let server = ScriptedServer::new(TOOLS, [ASKS, DONE]);
    let policy = (
        "intent",
        json!({ "operation": "pay", "identity": ["/amount"] }),
    );
    let mut agent = Agent::of(
        Setup {
            policy,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    agent.pay(1, 30).await;
    agent.read().await;
    for (id, expected) in [(2, "executed"), (3, "replayed")] {
        answer_question(&mut agent, id, 30, "s1").await;
        let (paid, answer) = result(&mut agent).await;
        assert_eq!(
            (paid["content"][0]["text"].as_str(), answer.as_str()),
            (Some("paid"), expected)
        );
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_later_round_that_is_lost_leaves_the_whole_in_doubt() {
    let turned_away = CallFate::Answered(
        "error",
        r#"{"code":-32602,"message":"that state is too old"}"#,
    );
    for later in [CallFate::Lost, turned_away] {
        let server = ScriptedServer::new(TOOLS, [ASKS, later]);
        let mut agent = Agent::of(Setup::default(), server.clone()).await;
        agent.pay(1, 30).await;
        agent.read().await;
        answer_question(&mut agent, 2, 30, "s1").await;
        assert_eq!(result(&mut agent).await.1, "held");
        agent.pay(3, 30).await;
        assert_eq!(result(&mut agent).await.1, "held");
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn what_a_task_comes_to_is_the_outcome() {
    let server = ScriptedServer::new(TOOLS, [TASK]);
    let policy = (
        "intent",
        json!({ "operation": "pay", "identity": ["/amount"] }),
    );
    let mut agent = Agent::of(
        Setup {
            policy,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    for id in [1, 2] {
        agent.pay(id, 30).await;
        let (task, answer) = result(&mut agent).await;
        assert_eq!(
            (task["taskId"].as_str(), answer.as_str()),
            (Some("t1"), "running")
        );
    }
    assert_eq!(server.count(), 1);
    server.says(r#"{"taskId":"t1","status":"completed","result":{"content":[{"type":"text","text":"paid"}]}}"#);
    agent
        .write(r#"{"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"t1"}}"#)
        .await;
    assert_eq!(agent.response().await["result"]["status"], "completed");
    agent.pay(4, 30).await;
    let (paid, answer) = result(&mut agent).await;
    assert_eq!(
        (paid["content"][0]["text"].as_str(), answer.as_str()),
        (Some("paid"), "replayed")
    );
    assert_eq!(server.count(), 1);
}

const OLDER_TASK: CallFate = CallFate::Answered(
    "result",
    r#"{"task":{"taskId":"t1","status":"working","ttl":60000}}"#,
);
const PAID: &str = r#"{"content":[{"type":"text","text":"paid"}]}"#;

async fn ask_for_result(agent: &mut Agent, id: i64) -> Value {
    let params = json!({ "taskId": "t1" });
    agent
        .write(
            &json!({ "jsonrpc": "2.0", "id": id, "method": "tasks/result", "params": params })
                .to_string(),
        )
        .await;
    agent.response().await["result"].clone()
}

#[tokio::test]
async fn who_has_the_outcome_of_a_task_and_calls_again_means_it() {
    let server = ScriptedServer::new(TOOLS, [OLDER_TASK, DONE]);
    let mut agent = Agent::of(Setup::default(), server.clone()).await;
    agent.pay(1, 30).await;
    agent.read().await;
    server.says(PAID);
    assert_eq!(
        ask_for_result(&mut agent, 2).await["content"][0]["text"],
        "paid"
    );
    agent.pay(3, 30).await;
    assert_eq!(result(&mut agent).await.1, "executed");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_outcome_of_a_task_that_nobody_read_is_replayed() {
    let server = ScriptedServer::new(TOOLS, [OLDER_TASK, DONE]);
    // Nothing is believed to be received.
    let file = "[defaults]\ntaken_within = \"0s\"\n";
    let mut agent = Agent::of(
        Setup {
            file,
            ..Setup::default()
        },
        server.clone(),
    )
    .await;
    agent.pay(1, 30).await;
    agent.read().await;
    server.says(PAID);
    for id in [2, 3] {
        assert_eq!(
            ask_for_result(&mut agent, id).await["content"][0]["text"],
            "paid"
        );
    }
    agent.pay(4, 30).await;
    assert_eq!(result(&mut agent).await.1, "replayed");
    assert_eq!(server.count(), 1);
}

/// A gateway of its own over this ledger, as one is that was started again.
async fn again(
    store: &Arc<MemoryStore>,
    policy: (&'static str, Value),
    server: &Arc<ScriptedServer>,
) -> Agent {
    let setup = Setup {
        store: Arc::<MemoryStore>::clone(store),
        policy,
        ..Setup::default()
    };
    Agent::of(setup, Arc::<ScriptedServer>::clone(server)).await
}

fn paying() -> (&'static str, Value) {
    (
        "intent",
        json!({ "operation": "pay", "identity": ["/amount"] }),
    )
}

#[tokio::test]
async fn a_gateway_started_again_goes_on_with_what_its_server_asked() {
    let (server, store) = (
        ScriptedServer::new(TOOLS, [ASKS, DONE]),
        Arc::new(MemoryStore::new()),
    );
    let mut before = again(&store, paying(), &server).await;
    before.pay(1, 30).await;
    before.read().await;
    let mut after = again(&store, paying(), &server).await;
    after.pay(2, 30).await;
    let (told, answer) = result(&mut after).await;
    assert_eq!(
        (answer.as_str(), server.count()),
        ("running", 1),
        "the question itself is not known any more: {told}"
    );
    answer_question(&mut after, 3, 30, "s1").await;
    assert_eq!(result(&mut after).await.1, "executed");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_gateway_started_again_settles_a_task_once_its_call_was_made_again() {
    let (server, store) = (
        ScriptedServer::new(TOOLS, [TASK]),
        Arc::new(MemoryStore::new()),
    );
    let mut before = again(&store, paying(), &server).await;
    before.pay(1, 30).await;
    before.read().await;
    server.says(r#"{"taskId":"t1","status":"completed","result":{"content":[{"type":"text","text":"paid"}]}}"#);
    let mut after = again(&store, paying(), &server).await;
    after.pay(2, 30).await;
    assert_eq!(result(&mut after).await.1, "running");
    after
        .write(r#"{"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"t1"}}"#)
        .await;
    assert_eq!(after.response().await["result"]["status"], "completed");
    after.pay(4, 30).await;
    assert_eq!(result(&mut after).await.1, "replayed");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn what_a_gateway_left_waiting_is_held_once_its_time_is_over_and_never_sent_again() {
    let short = CallFate::Answered(
        "result",
        r#"{"resultType":"task","taskId":"t1","status":"working","ttlMs":1000}"#,
    );
    let (server, store) = (
        ScriptedServer::new(TOOLS, [short, DONE]),
        Arc::new(MemoryStore::new()),
    );
    let mut before = again(&store, paying(), &server).await;
    before.pay(1, 30).await;
    before.read().await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let mut after = again(&store, paying(), &server).await;
    after.pay(2, 30).await;
    assert_eq!(result(&mut after).await.1, "held");
    assert_eq!(server.count(), 1);
}
