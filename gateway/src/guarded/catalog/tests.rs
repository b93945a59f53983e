#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    link::{Caller, Lost, Nobody},
    wire::Id,
};
use async_trait::async_trait;
use semel::model::Tenant;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn claims_become_facts_and_what_is_no_claim_does_not() {
    let catalog = ToolCatalog::default();
    let page = r#"{"tools":[
        {"name":"a","annotations":{"readOnlyHint":true,"title":"A"},"outputSchema":{}},
        {"name":"b","annotations":{"readOnlyHint":"yes"}},
        {"name":"c"}],"nextCursor":"2"}"#;
    let next = catalog.add_page(&Message::response(Some(&Id::Number(1)), "result", page));
    assert_eq!(next, Some(NextPage::Cursor("2".to_owned())));
    let facts = |name: &str| -> Vec<_> {
        catalog
            .state()
            .tools
            .get(name)
            .map(|tool| tool.hints.facts().collect())
            .unwrap_or_default()
    };
    assert_eq!(facts("a"), [("hint.read-only", Value::from(true))]);
    assert!(facts("b").is_empty() && facts("c").is_empty());
}

#[test]
fn tools_to_look_with_only_read_and_the_likeliest_come_first() {
    let catalog = ToolCatalog::default();
    let page = r#"{"tools":[
        {"name":"list_users","annotations":{"readOnlyHint":true}},
        {"name":"get_refund","annotations":{"readOnlyHint":true}},
        {"name":"wipe","annotations":{"readOnlyHint":true,"destructiveHint":true}},
        {"name":"create_refund"}]}"#;
    catalog.add_page(&Message::response(Some(&Id::Number(1)), "result", page));
    assert_eq!(
        catalog.lookup_tools("create_refund"),
        ["get_refund", "list_users"]
    );
}

/// A server that lists its tools the n-th time that it is asked, or never.
#[derive(Debug)]
struct SlowServer {
    asked: AtomicUsize,
    answers_at: usize,
    messages: Mutex<Vec<String>>,
}

#[async_trait]
impl Upstream for SlowServer {
    async fn pass(&self, message: Message, _: &Exchange) {
        self.messages.lock().push(message.text().to_owned());
    }

    async fn ask(&self, request: Message, _: &Exchange) -> Result<Message, Lost> {
        if self.asked.fetch_add(1, Ordering::SeqCst) + 1 < self.answers_at {
            return std::future::pending().await;
        }
        Ok(Message::response(
            request.id(),
            "result",
            r#"{"tools":[{"name":"pay","outputSchema":{}}]}"#,
        ))
    }

    async fn close(&self) {}
}

fn slow(answers_at: usize) -> (Arc<SlowServer>, Arc<dyn Upstream>, Exchange) {
    let server = Arc::new(SlowServer {
        asked: AtomicUsize::new(0),
        answers_at,
        messages: Mutex::default(),
    });
    let exchange = Exchange::new(
        Arc::new(Nobody),
        Arc::new(Caller::new(Tenant::default(), None)),
    );
    (Arc::clone(&server), server, exchange)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_list_its_tools_holds_no_call_and_is_asked_again_later() {
    let (server, below, exchange) = slow(2);
    let (catalog, meta) = (ToolCatalog::default(), Members::default());
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(
            *catalog.find_tool("pay", &below, &exchange, &meta).await,
            ToolInfo::default()
        );
    }
    assert_eq!(began.elapsed(), LIST_TIMEOUT, "the first one alone waits");
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert!(
        server
            .messages
            .lock()
            .first()
            .is_some_and(|message| message.contains("notifications/cancelled"))
    );
    tokio::time::advance(RETRY_LIST_AFTER).await;
    assert!(
        catalog
            .find_tool("pay", &below, &exchange, &meta)
            .await
            .has_output_schema,
        "it is asked again, and tells"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_its_server_does_not_list_is_known_as_that_only_where_the_list_is_whole() {
    let (_, below, exchange) = slow(1);
    let (catalog, meta) = (ToolCatalog::default(), Members::default());
    let facts = |known: &ToolInfo| known.facts(&Map::new()).collect::<Vec<_>>();
    assert_eq!(
        facts(&*catalog.find_tool("py", &below, &exchange, &meta).await),
        [("server.lists-tool", Value::from(false))]
    );
    assert_eq!(
        facts(&*catalog.find_tool("pay", &below, &exchange, &meta).await),
        []
    );
    let (_, silent, exchange) = slow(usize::MAX);
    let catalog = ToolCatalog::default();
    assert_eq!(
        facts(&*catalog.find_tool("py", &silent, &exchange, &meta).await),
        []
    );
}
