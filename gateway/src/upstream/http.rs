//! A server on the network, over streamable HTTP.
//!
//! Each message is sent once. A message that was given to a connection may have arrived, whatever
//! happens to the connection. It was not sent only if no connection was made, or if the server no
//! longer knows the session, and so did not process the message. The transport of 2024-11-05, with
//! two endpoints, is not supported.

mod endpoint;
mod event_stream;
mod headers;
mod post;
mod retry_after;
mod server_stream;

pub use endpoint::{EndpointError, ServerEndpoint};

use super::pending_responses::respond_no_response;
use crate::{
    layer::{Client, NoResponse, RequestContext, Upstream},
    wire::{JsonMembers, Message, RequestId, header, meta, method},
};
use async_trait::async_trait;
use hyper::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The time that a sender waits until the server has accepted a notification, so that messages keep
/// their order.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that requests in progress may take once the connection closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// Held while a lost session is opened again.
    reopening: tokio::sync::Mutex<()>,
    /// The requests in progress that closing their stream cancels: those since 2026-07-28.
    cancellable: Mutex<HashMap<(u64, RequestId), CancellationToken>>,
    closing: CancellationToken,
}

/// The session of an older server.
#[derive(Debug, Clone, Default)]
struct UpstreamSession {
    id: Option<String>,
    /// The negotiated protocol version.
    version: Option<String>,
    /// The request that opened it.
    initialize: Option<Message>,
    /// True once the server no longer knows the session.
    is_lost: bool,
    is_initialized: bool,
    /// True once the client listens for messages that belong to no request.
    is_listen_wanted: bool,
    is_listening: bool,
}

impl HttpUpstream {
    /// Creates a connection, which sends nothing yet. Messages that belong to no request go to
    /// `client`.
    #[must_use]
    pub fn new(endpoint: Arc<ServerEndpoint>, client: Arc<dyn Client>) -> Self {
        let shared = HttpConnection {
            endpoint,
            client,
            session: Mutex::default(),
            reopening: tokio::sync::Mutex::default(),
            cancellable: Mutex::default(),
            closing: CancellationToken::new(),
        };
        Self {
            shared: Arc::new(shared),
            tasks: TaskTracker::new(),
        }
    }

    fn spawn_request(&self, id: RequestId, request: Message, context: &RequestContext) {
        let shared = Arc::clone(&self.shared);
        let context = context.clone();
        let cancelled = shared.add_cancellable(&id, &request, &context);
        let is_subscription = request.asks(method::LISTEN);
        self.tasks.spawn(async move {
            let closing = async {
                // A subscription has no end of its own. All other requests may finish.
                if is_subscription {
                    shared.closing.cancelled().await;
                } else {
                    std::future::pending().await
                }
            };
            tokio::select! {
                response = post::send_request(&shared, &request, &context) => match response {
                    Ok(response) => {
                        // A disconnected client reads nothing.
                        let _ = context.client.send(response).await;
                    }
                    Err(no_response) => respond_no_response(&id, &context, &no_response).await,
                },
                // Dropping the stream of a request cancels it, since 2026-07-28.
                () = cancelled.cancelled() => {}
                () = closing => {}
            }
            shared.remove_cancellable(&id, &context);
        });
    }

    /// Sends a notification or a response.
    async fn notify(&self, message: Message, context: &RequestContext) {
        let shared = Arc::clone(&self.shared);
        let context = context.clone();
        let is_initialized = message.method() == Some(method::INITIALIZED);
        let sent = self.tasks.spawn(async move {
            if let Err(no_response) = post::send(&shared, &message, &context).await {
                tracing::warn!(%no_response, "a message did not reach the server");
            }
        });
        if tokio::time::timeout(NOTIFY_TIMEOUT, sent).await.is_err() {
            tracing::warn!("the server is slow to accept a message");
        }
        if is_initialized {
            // Only now may the server send messages of its own.
            self.shared.session().is_initialized = true;
            self.open_server_stream();
        }
    }

    /// Opens the server's own stream, if the client listens and there is a session.
    fn open_server_stream(&self) {
        {
            let mut session = self.shared.session();
            if !session.is_listen_wanted || !session.is_initialized || session.is_listening {
                return;
            }
            // Under the lock, so that two callers do not open two streams.
            session.is_listening = true;
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(server_stream::follow_stream(shared));
    }
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if let Some(id) = message.request_id().cloned() {
            self.spawn_request(id, message, context);
        } else if !self.shared.intercept_cancel(&message, context) {
            self.notify(message, context).await;
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
        let response = self
            .tasks
            .spawn(async move { post::send_request(&shared, &request, &context).await });
        response.await.unwrap_or_else(|_| {
            Err(NoResponse {
                reason: "the request was given up".to_owned(),
                sent: true,
            })
        })
    }

    async fn listen(&self, _: &RequestContext) {
        self.shared.session().is_listen_wanted = true;
        self.open_server_stream();
    }

    /// Returns true: each request has a stream of its own.
    fn relates_questions(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(CLOSE_TIMEOUT, self.tasks.wait()).await;
        if finished.is_err() {
            tracing::warn!("requests without a response are given up");
        }
        post::end_session(&self.shared).await;
    }
}

impl HttpConnection {
    fn session(&self) -> MutexGuard<'_, UpstreamSession> {
        self.session.lock()
    }

    /// Returns a token that is cancelled once a newer request is. Closing its stream cancels it
    /// then. An older request is cancelled by a notification alone.
    fn add_cancellable(
        &self,
        id: &RequestId,
        request: &Message,
        context: &RequestContext,
    ) -> CancellationToken {
        if request.own_version().is_none() {
            return CancellationToken::new();
        }
        let cancelled = context.cancellation.child_token();
        let key = (context.caller.number, id.clone());
        self.cancellable.lock().insert(key, cancelled.clone());
        cancelled
    }

    fn remove_cancellable(&self, id: &RequestId, context: &RequestContext) {
        let key = (context.caller.number, id.clone());
        self.cancellable.lock().remove(&key);
    }

    /// Cancels a newer request. Returns false if the message does not cancel one.
    fn intercept_cancel(&self, message: &Message, context: &RequestContext) -> bool {
        if message.method() != Some(method::CANCELLED) {
            return false;
        }
        let id = message
            .body()
            .and_then(|params| JsonMembers::read(params).ok())
            .and_then(|params| RequestId::read(params.get("requestId")?));
        let Some(id) = id else { return false };
        let key = (context.caller.number, id);
        let Some(cancelled) = self.cancellable.lock().remove(&key) else {
            return false;
        };
        cancelled.cancel();
        true
    }

    /// Keeps the session that a response to `initialize` opens.
    fn record_session(&self, request: &Message, response: &Message, headers: &HeaderMap) {
        let Some(result) = response.result() else {
            return;
        };
        if !request.asks(method::INITIALIZE) {
            return;
        }
        let result = JsonMembers::read(result).unwrap_or_default();
        let id = headers
            .get(header::SESSION)
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        let mut session = self.session();
        session.id = id;
        session.version = result.text("protocolVersion");
        session.initialize = Some(request.clone());
        session.is_lost = false;
    }

    /// Delivers a message that is not the response to a request. `context` is that of the request
    /// on whose stream it came.
    async fn deliver_other(&self, message: Message, context: Option<&RequestContext>) {
        if message.is_response() {
            tracing::warn!("skipped a response of the server to an unknown request");
            return;
        }
        if let Some(context) = context
            && !is_for_all_clients(&message)
            && context.client.send(message.clone()).await.is_ok()
        {
            return;
        }
        // A disconnected client reads nothing.
        let _ = self.client.send(message).await;
    }
}

/// Returns true for a change of a list, unless it belongs to a subscription.
fn is_for_all_clients(message: &Message) -> bool {
    let is_list_change = message
        .method()
        .is_some_and(|method| method.ends_with("/list_changed"));
    let is_subscribed = message
        .body()
        .is_some_and(|params| params.contains(meta::SUBSCRIPTION));
    is_list_change && !is_subscribed
}
