//! An agent's client gives up on a payment, and the agent makes the same call again. The first one was on its way all the
//! time: without the gateway the customer pays twice.

use crate::scene::{Agent, Server};
use serde_json::json;

#[tokio::test]
async fn a_call_that_was_cancelled_is_recorded_and_replayed() {
    let server = Server::new(false);
    let mut agent = Agent::before(&server).await;
    agent.pay(1, 30).await;
    while server.effects() == 0 {
        tokio::task::yield_now().await;
    }
    agent
        .write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
        .await;
    agent.pay(2, 30).await;
    server.answer(2);
    assert_eq!(
        agent.answer().await,
        (json!("replayed"), "paid 1".to_owned())
    );
    assert_eq!(server.effects(), 1);
    assert!(
        server.passed.lock().unwrap().is_empty(),
        "the server is not told to stop"
    );
}

#[tokio::test]
async fn once_its_answer_was_taken_the_same_call_is_meant_again() {
    let server = Server::new(false);
    let mut agent = Agent::before(&server).await;
    server.answer(2);
    agent.pay(1, 30).await;
    assert_eq!(
        agent.answer().await,
        (json!("executed"), "paid 1".to_owned())
    );
    agent.pay(2, 30).await;
    assert_eq!(
        agent.answer().await,
        (json!("executed"), "paid 2".to_owned()),
        "the control: nothing suppresses what is meant"
    );
}

#[tokio::test]
async fn two_equal_calls_at_once_run_once() {
    let server = Server::new(false);
    let mut agent = Agent::before(&server).await;
    server.answer(2);
    agent.pay(1, 30).await;
    agent.pay(2, 30).await;
    let answers = [agent.answer().await, agent.answer().await];
    assert_eq!(
        answers,
        [
            (json!("executed"), "paid 1".to_owned()),
            (json!("replayed"), "paid 1".to_owned())
        ]
    );
    assert_eq!(server.effects(), 1);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_not_sent_again() {
    let server = Server::new(true);
    let mut agent = Agent::before(&server).await;
    server.answer(2);
    for id in [1, 2] {
        agent.pay(id, 30).await;
        let (answer, text) = agent.answer().await;
        assert_eq!(answer, json!("held"));
        assert!(text.starts_with("Outcome unknown"), "{text}");
    }
    assert_eq!(server.effects(), 1);
}
