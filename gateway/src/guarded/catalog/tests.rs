use super::*;
use crate::{
    layer::{CallerIdentity, NoResponse, NullClient},
    wire::RequestId,
};
use async_trait::async_trait;
use semel::json::JsonMap;
use semel::model::Tenant;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn claims_become_facts_and_what_is_no_claim_does_not() {
    let catalog = ToolCatalog::default();
    let page = r#"{"tools":[
        {"name":"a","annotations":{"readOnlyHint":true,"title":"A"},"outputSchema":{}},
        {"name":"b","annotations":{"readOnlyHint":"yes"}},
        {"name":"c"}],"nextCursor":"2"}"#;
    let next = catalog.add_page(&Message::response(
        Some(&RequestId::Number(1)),
        "result",
        page,
    ));
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
    catalog.add_page(&Message::response(
        Some(&RequestId::Number(1)),
        "result",
        page,
    ));
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
    async fn forward(&self, message: Message, _: &RequestContext) {
        self.messages.lock().push(message.text().to_owned());
    }

    async fn request(&self, request: Message, _: &RequestContext) -> Result<Message, NoResponse> {
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

fn slow(answers_at: usize) -> (Arc<SlowServer>, Arc<dyn Upstream>, RequestContext) {
    let server = Arc::new(SlowServer {
        asked: AtomicUsize::new(0),
        answers_at,
        messages: Mutex::default(),
    });
    let context = RequestContext::new(
        Arc::new(NullClient),
        Arc::new(CallerIdentity::new(Tenant::default(), None)),
    );
    (Arc::clone(&server), server, context)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_list_its_tools_holds_no_call_and_is_asked_again_later() {
    let (server, below, context) = slow(2);
    let (catalog, meta) = (ToolCatalog::default(), JsonMembers::default());
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(
            *catalog.find_tool("pay", &below, &context, &meta).await,
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
            .find_tool("pay", &below, &context, &meta)
            .await
            .has_output_schema,
        "it is asked again, and answers"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_its_server_does_not_list_is_known_as_that_only_where_the_list_is_whole() {
    let (_, below, context) = slow(1);
    let (catalog, meta) = (ToolCatalog::default(), JsonMembers::default());
    let facts = |known: &ToolInfo| known.facts(&JsonMap::new()).collect::<Vec<_>>();
    assert_eq!(
        facts(&*catalog.find_tool("py", &below, &context, &meta).await),
        [("server.lists-tool", Value::from(false))]
    );
    assert_eq!(
        facts(&*catalog.find_tool("pay", &below, &context, &meta).await),
        []
    );
    let (_, silent, context) = slow(usize::MAX);
    let catalog = ToolCatalog::default();
    assert_eq!(
        facts(&*catalog.find_tool("py", &silent, &context, &meta).await),
        []
    );
}
