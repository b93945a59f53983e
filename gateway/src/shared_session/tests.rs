#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::layer::CallerIdentity;
use semel::model::Tenant;
use tokio::sync::mpsc;

/// A server whose messages the test writes itself.
#[derive(Debug)]
struct ManualServer {
    sent: mpsc::UnboundedSender<Message>,
}

#[async_trait]
impl Upstream for ManualServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        self.sent.send(message.clone()).unwrap();
        if message.asks("answered") {
            context
                .client
                .send(Message::response(message.id(), "result", "{}"))
                .await
                .unwrap();
        }
    }

    async fn request(&self, request: Message, _: &RequestContext) -> Result<Message, NoResponse> {
        Ok(Message::response(request.id(), "result", "{}"))
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct ManualConnector {
    sent: mpsc::UnboundedSender<Message>,
    client: mpsc::UnboundedSender<Arc<dyn Client>>,
}

#[async_trait]
impl Connector for ManualConnector {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        self.client.send(client).unwrap();
        Ok(Arc::new(ManualServer {
            sent: self.sent.clone(),
        }))
    }
}

#[derive(Debug)]
struct Reader(mpsc::UnboundedSender<Message>);

#[async_trait]
impl Client for Reader {
    async fn deliver(&self, message: Message, _: Confirmation) -> Result<(), Disconnected> {
        self.0.send(message).map_err(|_| Disconnected)
    }
}

struct Scene {
    shared: SharedSession,
    server: Arc<dyn Client>,
    sent: mpsc::UnboundedReceiver<Message>,
}

impl Scene {
    async fn new() -> Self {
        let ((sent, sent_read), (client, mut clients)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let shared = SharedSession::connect(&ManualConnector { sent, client })
            .await
            .unwrap();
        Self {
            shared,
            server: clients.recv().await.unwrap(),
            sent: sent_read,
        }
    }

    /// What the server got, and its number.
    async fn sent(&mut self) -> (Message, i64) {
        let message = self.sent.recv().await.unwrap();
        let Some(RequestId::Number(number)) = message.id().cloned() else {
            return (message, -1);
        };
        (message, number)
    }
}

fn client() -> (RequestContext, mpsc::UnboundedReceiver<Message>) {
    let (write, read) = mpsc::unbounded_channel();
    (
        RequestContext::new(
            Arc::new(Reader(write)),
            Arc::new(CallerIdentity::new(Tenant::default(), None)),
        ),
        read,
    )
}

fn asking(method: &str, token: &str) -> Message {
    Message::request(
        &RequestId::Number(1),
        method,
        &format!(r#"{{"a":1.0,"_meta":{{"progressToken":{token},"x":1}}}}"#),
    )
}

#[tokio::test]
async fn two_clients_with_equal_ids_and_tokens_get_their_own_messages() {
    let mut scene = Scene::new().await;
    let ((one, mut one_reads), (two, mut two_reads)) = (client(), client());
    scene.shared.forward(asking("slow", r#""t""#), &one).await;
    scene.shared.forward(asking("slow", r#""t""#), &two).await;
    let ((sent, first), (_, second)) = (scene.sent().await, scene.sent().await);
    assert_ne!(first, second);
    assert_eq!(
        sent.body().unwrap(),
        format!(r#"{{"a":1.0,"_meta":{{"progressToken":{first},"x":1}}}}"#)
    );
    for number in [second, first, 99] {
        let params = format!(r#"{{"progressToken":{number},"progress":{number}}}"#);
        let _ = scene
            .server
            .send(Message::notification(method::PROGRESS, &params))
            .await;
    }
    for (reads, number) in [(&mut one_reads, first), (&mut two_reads, second)] {
        let heard = reads.recv().await.unwrap();
        assert_eq!(
            heard.body().unwrap(),
            format!(r#"{{"progressToken":"t","progress":{number}}}"#)
        );
        assert!(reads.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_response_comes_back_under_the_id_of_its_client() {
    let scene = Scene::new().await;
    let (one, mut reads) = client();
    let request = Message::request(&RequestId::Text("a".into()), "answered", "{}");
    scene.shared.forward(request.clone(), &one).await;
    assert_eq!(reads.recv().await.unwrap().id(), request.id());
    assert_eq!(
        scene
            .shared
            .request(request.clone(), &one)
            .await
            .unwrap()
            .id(),
        request.id()
    );
    assert!(scene.shared.requests.lock().is_empty());
}

#[tokio::test]
async fn a_subscription_reaches_its_client_alone_under_the_client_s_id() {
    let mut scene = Scene::new().await;
    let ((one, mut reads), (two, mut others)) = (client(), client());
    scene
        .shared
        .forward(
            Message::request(&RequestId::Text("s".into()), method::LISTEN, "{}"),
            &one,
        )
        .await;
    scene
        .shared
        .forward(
            Message::request(&RequestId::Text("s".into()), method::LISTEN, "{}"),
            &two,
        )
        .await;
    let (_, number) = scene.sent().await;
    let params = format!(r#"{{"_meta":{{"{}":{number}}}}}"#, meta::SUBSCRIPTION);
    scene
        .server
        .send(Message::notification(method::TOOLS_CHANGED, &params))
        .await
        .unwrap();
    assert!(
        reads
            .recv()
            .await
            .unwrap()
            .body()
            .unwrap()
            .contains(r#""s""#)
    );
    assert!(others.try_recv().is_err());
    let unrelated = Message::notification(method::LOG, r#"{"data":"of one of both"}"#);
    assert_eq!(scene.server.send(unrelated).await, Err(Disconnected));
}

#[tokio::test]
async fn a_cancelled_or_abandoned_request_is_cancelled_at_the_server_by_its_number() {
    let mut scene = Scene::new().await;
    let ((one, _one), (two, _two)) = (client(), client());
    scene.shared.forward(asking("slow", "1"), &one).await;
    let (_, number) = scene.sent().await;
    let cancels = Message::notification(method::CANCELLED, r#"{"requestId":1}"#);
    scene.shared.forward(cancels.clone(), &two).await;
    scene.shared.forward(cancels, &one).await;
    assert_eq!(
        scene.sent().await.0.body().unwrap(),
        format!(r#"{{"requestId":{number}}}"#)
    );
    one.cancellation.cancel();
    assert_eq!(scene.sent().await.0.method(), Some(method::CANCELLED));
    assert!(
        scene.sent.try_recv().is_err(),
        "the other client's cancelled nothing"
    );
}
