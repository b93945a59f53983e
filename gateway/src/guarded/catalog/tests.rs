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
    let catalog = Catalog::default();
    let page = r#"{"tools":[
        {"name":"a","annotations":{"readOnlyHint":true,"title":"A"},"outputSchema":{}},
        {"name":"b","annotations":{"readOnlyHint":"yes"}},
        {"name":"c"}],"nextCursor":"2"}"#;
    let next = catalog.learn(&Message::response(Some(&Id::Number(1)), "result", page));
    assert_eq!(next, Some(Next::Page("2".to_owned())));
    let facts = |name: &str| -> Vec<_> {
        catalog
            .tools()
            .known
            .get(name)
            .map(|tool| tool.hints.facts().collect())
            .unwrap_or_default()
    };
    assert_eq!(facts("a"), [("hint.read-only", Value::from(true))]);
    assert!(facts("b").is_empty() && facts("c").is_empty());
}

#[test]
fn tools_to_look_with_only_read_and_the_likeliest_come_first() {
    let catalog = Catalog::default();
    let page = r#"{"tools":[
        {"name":"list_users","annotations":{"readOnlyHint":true}},
        {"name":"get_refund","annotations":{"readOnlyHint":true}},
        {"name":"wipe","annotations":{"readOnlyHint":true,"destructiveHint":true}},
        {"name":"create_refund"}]}"#;
    catalog.learn(&Message::response(Some(&Id::Number(1)), "result", page));
    assert_eq!(
        catalog.look_with("create_refund"),
        ["get_refund", "list_users"]
    );
}

/// A server that lists its tools the so-manieth time that it is asked, or never.
#[derive(Debug)]
struct Slow {
    asked: AtomicUsize,
    answers_at: usize,
    told: Mutex<Vec<String>>,
}

#[async_trait]
impl Upstream for Slow {
    async fn pass(&self, message: Message, _: &Exchange) {
        self.told.lock().unwrap().push(message.text().to_owned());
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

fn slow(answers_at: usize) -> (Arc<Slow>, Arc<dyn Upstream>, Exchange) {
    let server = Arc::new(Slow {
        asked: AtomicUsize::new(0),
        answers_at,
        told: Mutex::default(),
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
    let (catalog, meta) = (Catalog::default(), Members::default());
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(
            *catalog.tool("pay", &below, &exchange, &meta).await,
            Known::default()
        );
    }
    assert_eq!(began.elapsed(), LISTED_WITHIN, "the first one alone waits");
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert!(
        server
            .told
            .lock()
            .unwrap()
            .first()
            .is_some_and(|told| told.contains("notifications/cancelled"))
    );
    tokio::time::advance(SILENT_FOR).await;
    assert!(
        catalog
            .tool("pay", &below, &exchange, &meta)
            .await
            .has_output_schema,
        "it is asked again, and tells"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_its_server_does_not_list_is_known_as_that_only_where_the_list_is_whole() {
    let (_, below, exchange) = slow(1);
    let (catalog, meta) = (Catalog::default(), Members::default());
    let facts = |known: &Known| known.facts(&Map::new()).collect::<Vec<_>>();
    assert_eq!(
        facts(&*catalog.tool("py", &below, &exchange, &meta).await),
        [("server.lists-tool", Value::from(false))]
    );
    assert_eq!(
        facts(&*catalog.tool("pay", &below, &exchange, &meta).await),
        []
    );
    let (_, silent, exchange) = slow(usize::MAX);
    let catalog = Catalog::default();
    assert_eq!(
        facts(&*catalog.tool("py", &silent, &exchange, &meta).await),
        []
    );
}
