//! A server on the network, over streamable HTTP.
//!
//! A message is sent once. What was handed to a connection may have arrived, whatever comes of the connection; that nothing
//! left is said only where no connection was made, or where the server no longer knows the session, so that it cannot have
//! looked into the message. The transport of 2024-11-05 (two addresses) is not spoken.

mod endpoint;
mod event_stream;
mod headers;
mod post;
mod server_stream;

pub use endpoint::{EndpointError, ServerEndpoint};

use super::pending_responses::answer_lost;
use crate::{
    layer::{Client, NoResponse, RequestContext, Upstream},
    wire::{JsonMembers, Message, MessageKind, RequestId, header, meta, method},
};
use async_trait::async_trait;
use hyper::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The time that a sender waits until the server has accepted a notification, so that messages keep their order.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(10);

/// The time that requests in progress may take once the connection closes.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A connection to a server on the network.
#[derive(Debug)]
pub struct HttpUpstream {
    shared: Arc<HttpConnection>,
    tasks: TaskTracker,
}

/// The state that all requests of a connection share.
#[derive(Debug)]
struct HttpConnection {
    endpoint: Arc<ServerEndpoint>,
    /// The client for messages that belong to no request.
    client: Arc<dyn Client>,
    session: Mutex<UpstreamSession>,
    /// Held while a session is opened anew.
    opening: tokio::sync::Mutex<()>,
    /// The requests of the newer era under way: closing their streams cancels them.
    passing: Mutex<HashMap<(u64, RequestId), CancellationToken>>,
    closing: CancellationToken,
}

/// The session of an older server.
#[derive(Debug, Clone, Default)]
struct UpstreamSession {
    id: Option<String>,
    /// The protocol version that was agreed.
    version: Option<String>,
    /// With what it was opened.
    initialize: Option<Message>,
    /// True once the server has forgotten the session.
    is_dead: bool,
    is_initialized: bool,
    /// True once the client listens for messages that belong to no request.
    is_wanted: bool,
    is_listening: bool,
}

impl HttpUpstream {
    /// A connection to the server. Nothing is sent yet. What the server says of its own accord goes to `client`.
    #[must_use]
    pub fn new(endpoint: Arc<ServerEndpoint>, client: Arc<dyn Client>) -> Self {
        let shared = HttpConnection {
            endpoint,
            client,
            session: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            passing: Mutex::default(),
            closing: CancellationToken::new(),
        };
        Self {
            shared: Arc::new(shared),
            tasks: TaskTracker::new(),
        }
    }

    fn pass_request(&self, id: RequestId, request: Message, context: &RequestContext) {
        let shared = Arc::clone(&self.shared);
        let context = context.clone();
        let cancelled = shared.begin(&id, &request, &context);
        let stands = request.asks(method::LISTEN);
        self.tasks.spawn(async move {
            let closing = async {
                match stands {
                    true => shared.closing.cancelled().await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                answered = post::ask(&shared, &request, &context) => match answered {
                    Ok(response) => context.client.send(response).await.unwrap_or_default(),
                    Err(lost) => answer_lost(&id, &context, &lost).await,
                },
                // Dropping a stream of the newer era cancels its request.
                () = cancelled.cancelled() => {}
                () = closing => {}
            }
            shared.end(&id, &context);
        });
    }

    /// Hands over what wants no response.
    async fn notify(&self, message: Message, context: &RequestContext) {
        let shared = Arc::clone(&self.shared);
        let context = context.clone();
        let is_initialized = message.method() == Some(method::INITIALIZED);
        let sent = self.tasks.spawn(async move {
            if let Err(lost) = post::send(&shared, &message, &context).await {
                tracing::warn!(%lost, "a message did not reach the server");
            }
        });
        if tokio::time::timeout(NOTIFIED_WITHIN, sent).await.is_err() {
            tracing::warn!("the server takes long to accept a message");
        }
        if is_initialized {
            self.shared.session().is_initialized = true;
            self.listen_if_wanted();
        }
    }

    /// Opens the server's own stream, if the client listens and there is a session.
    fn listen_if_wanted(&self) {
        let opens = {
            let mut session = self.shared.session();
            let opens = session.is_wanted && session.is_initialized && !session.is_listening;
            session.is_listening |= opens;
            opens
        };
        if opens {
            self.tasks
                .spawn(server_stream::follow(Arc::clone(&self.shared)));
        }
    }
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        match message
            .id()
            .filter(|_| message.kind() == MessageKind::Request)
            .cloned()
        {
            Some(id) => self.pass_request(id, message, context),
            None if self.shared.cancels(&message, context) => {}
            None => self.notify(message, context).await,
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let shared = Arc::clone(&self.shared);
        let context = context.clone();
        // In a task of its own, so that dropping this future does not cancel the request.
        let asked = self
            .tasks
            .spawn(async move { post::ask(&shared, &request, &context).await });
        asked.await.unwrap_or_else(|_| {
            Err(NoResponse {
                reason: "the request was given up".to_owned(),
                sent: true,
            })
        })
    }

    async fn listen(&self, _: &RequestContext) {
        self.shared.session().is_wanted = true;
        self.listen_if_wanted();
    }

    /// Each request has a stream of its own.
    fn relates_questions(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(END_WITHIN, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("requests that are not answered are given up");
        }
        post::end_session(&self.shared).await;
    }
}

impl HttpConnection {
    fn session(&self) -> MutexGuard<'_, UpstreamSession> {
        self.session.lock()
    }

    fn passing(&self) -> MutexGuard<'_, HashMap<(u64, RequestId), CancellationToken>> {
        self.passing.lock()
    }

    /// Has a request of the newer era be cancelled by its client, or by its going away. Others are not cancelled so.
    fn begin(
        &self,
        id: &RequestId,
        request: &Message,
        context: &RequestContext,
    ) -> CancellationToken {
        if request.own_version().is_none() {
            return CancellationToken::new();
        }
        let cancelled = context.cancellation.child_token();
        self.passing()
            .insert((context.caller.number, id.clone()), cancelled.clone());
        cancelled
    }

    fn end(&self, id: &RequestId, context: &RequestContext) {
        self.passing().remove(&(context.caller.number, id.clone()));
    }

    /// Returns whether the message cancels a request of the newer versions. Closing its stream does that.
    fn cancels(&self, message: &Message, context: &RequestContext) -> bool {
        if message.method() != Some(method::CANCELLED) {
            return false;
        }
        let id = message
            .body()
            .and_then(|params| RequestId::read(JsonMembers::read(params).ok()?.get("requestId")?));
        let Some(id) = id else { return false };
        let cancelled = self.passing().remove(&(context.caller.number, id));
        cancelled.inspect(CancellationToken::cancel).is_some()
    }

    /// Learns from the answer to `initialize` what has to be said from now on.
    fn opened(&self, request: &Message, response: &Message, headers: &HeaderMap) {
        if !request.asks(method::INITIALIZE) || response.kind() != MessageKind::Result {
            return;
        }
        let result = response
            .body()
            .and_then(|result| JsonMembers::read(result).ok())
            .unwrap_or_default();
        let id = headers
            .get(header::SESSION)
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        let mut session = self.session();
        session.id = id;
        session.version = result.text("protocolVersion");
        session.initialize = Some(request.clone());
        session.is_dead = false;
    }

    /// Takes in what came on the stream of a request besides its response, or without a request.
    async fn take_in(&self, message: Message, context: Option<&RequestContext>) {
        if message.is_response() {
            tracing::warn!("the server answered a request that nobody made here, or twice");
            return;
        }
        let is_for_all = message
            .method()
            .is_some_and(|method| method.ends_with("/list_changed"))
            && !message
                .body()
                .is_some_and(|params| params.contains(meta::SUBSCRIPTION));
        if let Some(context) = context.filter(|_| !is_for_all)
            && context.client.send(message.clone()).await.is_ok()
        {
            return;
        }
        // A client that has gone reads nothing.
        let _ = self.client.send(message).await;
    }
}
