//! A client and a server agree on something that the gateway has never heard of. It must not stand in their way, nor tidy up.

use crate::scene::{Agent, Server};

#[tokio::test]
async fn unknown_methods_and_fields_pass_byte_for_byte() {
    let server = Server::new(false);
    let mut agent = Agent::before(&server).await;
    let lines = [
        r#"{"x-new":{"b":1,"a":1.10},"method":"x/unheard-of","jsonrpc":"2.0","id":"a","params":[123456789012345678901234567890]}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"\u0061":null}}"#,
        r#"{"jsonrpc":"2.0","id":"from-the-server","result":{"role":"assistant"}}"#,
    ];
    for line in lines {
        agent.write(line).await;
    }
    assert_eq!(
        agent.read().await,
        r#"{"jsonrpc":"2.0","id":"a","result":{"unknown":[1.50]}}"#
    );
    while server.passed.lock().unwrap().len() < lines.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*server.passed.lock().unwrap(), lines);
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_next_one_is_served() {
    let server = Server::new(false);
    let mut agent = Agent::before(&server).await;
    for (line, code) in [
        ("{", -32_700),
        ("[]", -32_600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32_600),
    ] {
        agent.write(line).await;
        let response: serde_json::Value = serde_json::from_str(&agent.read().await).unwrap();
        assert_eq!(response["error"]["code"], code, "{line}");
    }
    agent
        .write(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
        .await;
    assert!(agent.read().await.contains(r#""id":1"#));
}
