//! The interface between the layers of the gateway: a client's messages travel down, a server's
//! messages travel up.
//!
//! INVARIANT: each layer is an [`Upstream`] over another one, as middleware is. It acts on the
//! messages it is for, and forwards all others unchanged and in order. A layer that must see a
//! server's messages passes a [`Client`] of its own down in place of the one above.
//!
//! A layer of an embedder's own goes above or below the gateway's layers. The crate's page has an
//! example.

use crate::wire::Message;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use semel::model::{Run, Tenant};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The confirmation that a sender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// No confirmation: the message is queued, and written in its turn.
    None,
    /// The message was written to an open connection.
    Written,
}

/// The way towards a client. A layer that watches or changes a server's messages implements it
/// around the one above.
#[async_trait]
pub trait Client: fmt::Debug + Send + Sync + 'static {
    /// Delivers a message, and returns once it is confirmed as far as asked.
    ///
    /// # Errors
    /// The connection is closed, or the confirmation failed. The message may have been written all
    /// the same.
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected>;

    /// Queues a message without waiting until it is written.
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), Disconnected>> {
        self.deliver(message, Confirmation::None)
    }

    /// Sends a message, and returns once it was written to an open connection.
    fn send_and_confirm(&self, message: Message) -> BoxFuture<'_, Result<(), Disconnected>> {
        self.deliver(message, Confirmation::Written)
    }
}

/// A server as the layer above sees it.
#[async_trait]
pub trait Upstream: fmt::Debug + Send + Sync + 'static {
    /// Forwards a message of any kind. Returns once it is on its way, so that messages keep their
    /// order. A response goes to the context's client; a request without a response is answered
    /// there by an error.
    async fn forward(&self, message: Message, context: &RequestContext);

    /// Sends a request and waits for its response without a timeout. Messages that belong to it go
    /// to the context's client. Dropping the future does not cancel the request.
    ///
    /// # Errors
    /// No response will come.
    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse>;

    /// Starts to listen for messages that belong to no request. A connection with a stream of its
    /// own for those opens it only then.
    async fn listen(&self, _: &RequestContext) {}

    /// Returns true if a server's question arrives at the client of the request that it belongs to.
    fn relates_questions(&self) -> bool {
        false
    }

    /// Lets requests in progress end, and closes the connection.
    async fn close(&self);
}

/// A factory of connections. A server that keeps a session for each client gets a connection for
/// each.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Connects to the server. Messages that belong to no request go to `client`.
    ///
    /// # Errors
    /// The connection failed. No tool call was sent.
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError>;
}

/// A connection to a server that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// As many children run as the configuration allows.
    #[error(
        "the limit `children_max` on child processes is reached: connect again later, or raise it"
    )]
    ChildLimit,
    /// As many sessions are open as one server may have.
    #[error("too many clients with different capabilities are connected: connect again later")]
    SessionLimit,
    /// The server's process cannot be started.
    #[error(transparent)]
    Start(Box<dyn std::error::Error + Send + Sync>),
    /// The server did not open a session in time.
    #[error("the server did not open a session in time")]
    Timeout,
    /// The server refused to open a session, with this response.
    #[error("the server refused to open a session: {0}")]
    Refused(String),
    /// The request that opens a session has no response.
    #[error(transparent)]
    NoResponse(#[from] NoResponse),
    /// The operating system returned no random numbers for the id of a session.
    #[error("the operating system returns no random numbers")]
    Randomness,
    /// One of several servers cannot be reached.
    #[error("`{server}`: {source}")]
    Server {
        /// The server's name.
        server: String,
        /// The reason.
        source: Box<ConnectError>,
    },
}

/// The identity of a message's sender. It holds no secret of the client.
#[derive(Debug)]
pub struct CallerIdentity {
    /// The number of the connection or session. It distinguishes equal request ids of two clients.
    pub number: u64,
    /// The tenant, from the configuration or a trusted header, never from the model.
    pub tenant: Tenant,
    /// The run of the agent, likewise.
    pub run: Option<Run>,
}

impl CallerIdentity {
    /// Creates the identity of a caller with a number that is unique in this process.
    #[must_use]
    pub fn new(tenant: Tenant, run: Option<Run>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            tenant,
            run,
        }
    }
}

/// The context of a message on its way down. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client that gets the response and all messages that belong to it.
    pub client: Arc<dyn Client>,
    /// The sender.
    pub caller: Arc<CallerIdentity>,
    /// The time at which it was read.
    pub began: Instant,
    /// Cancelled once its response is no longer awaited. A tool call that was sent continues.
    pub cancellation: CancellationToken,
    /// Headers of the gateway's own, to send with it if the transport has headers.
    pub headers: Arc<[(String, String)]>,
    /// True if its client repeats arguments in these headers, as clients over HTTP do since
    /// 2026-07-28.
    pub repeats_arguments: bool,
}

impl RequestContext {
    /// Creates a context that begins now.
    #[must_use]
    pub fn new(client: Arc<dyn Client>, caller: Arc<CallerIdentity>) -> Self {
        Self {
            client,
            caller,
            began: Instant::now(),
            cancellation: CancellationToken::new(),
            headers: Arc::from([]),
            repeats_arguments: false,
        }
    }

    /// Creates a context for a request of the gateway's own: messages besides its response are
    /// dropped.
    pub(crate) fn without_client(&self) -> Self {
        Self::new(Arc::new(NullClient), Arc::clone(&self.caller))
    }
}

/// The client has disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has disconnected")]
pub struct Disconnected;

/// A request will get no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoResponse {
    /// The reason, such as `the server ended`.
    pub reason: String,
    /// False only if it is proven that the server did not take the request: no byte of it was sent, or the server answered that
    /// it no longer knows the session.
    pub sent: bool,
}

impl NoResponse {
    /// The reason, and the effect that the request may have had.
    pub(crate) fn reason_with_effect(&self) -> String {
        let effect = if self.sent {
            "the request may have had an effect"
        } else {
            "the request was not sent"
        };
        format!("{self}: {effect}")
    }
}

/// A client that drops all messages.
#[derive(Debug)]
pub(crate) struct NullClient;

#[async_trait]
impl Client for NullClient {
    async fn deliver(&self, _: Message, _: Confirmation) -> Result<(), Disconnected> {
        Err(Disconnected)
    }
}
