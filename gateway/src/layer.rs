//! What the layers of the gateway hand to each other: messages of a client downwards, messages of a server upwards.
//!
//! INVARIANT: each layer is an [`Upstream`] over another one. It acts on the messages it is for, and hands everything
//! else on unchanged and in order. What it must see of a server's messages it sees by a [`Client`] of its own, put
//! in place of the one above.

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
    /// None: the message is queued, and written in its turn.
    None,
    /// The message was written to an open connection.
    Written,
}

/// The way towards a client. A layer that watches or changes a server's messages implements it around the one above.
#[async_trait]
pub trait Client: fmt::Debug + Send + Sync + 'static {
    /// Delivers a message, and returns once it is confirmed as far as asked.
    ///
    /// # Errors
    /// If the connection is closed, or the confirmation cannot be had: the message may have been written all the same.
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
    /// Passes on a message of any kind. Returns once it is on its way, so that what is passed one after the other arrives
    /// so. What comes of it goes to the exchange's client; a request that is lost is answered there by an error.
    async fn forward(&self, message: Message, context: &RequestContext);

    /// Sends a request and waits for its response, however long that takes. Messages that belong to it go to the
    /// exchange's client. Whoever drops the future does not cancel the request.
    ///
    /// # Errors
    /// If no response will come.
    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse>;

    /// Somebody reads what comes without a request from now on. A connection that has a stream of its own for that opens it
    /// only now; all others need not know.
    async fn listen(&self, _: &RequestContext) {}

    /// Whether what the server asks during a request comes on the way of that request: to the client of its exchange.
    fn relates_questions(&self) -> bool {
        false
    }

    /// Lets what is under way come to its end, and ends the connection.
    async fn close(&self);
}

/// Makes connections: where a server keeps something for each of its clients, each client has one of its own.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Connects. What the server says of its own accord goes to `client`.
    ///
    /// # Errors
    /// If no connection can be made. No tool call was sent then.
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError>;
}

/// A connection to a server that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// As many children run as the configuration allows.
    #[error(
        "as many clients as `children_max` allows have a server of their own: come again later"
    )]
    ChildLimit,
    /// As many sessions are open as one server may have.
    #[error("too many clients of different capabilities are connected")]
    SessionLimit,
    /// The server's process cannot be started.
    #[error(transparent)]
    Start(Box<dyn std::error::Error + Send + Sync>),
    /// The server did not open a session in time.
    #[error("the server does not open a session in time")]
    Timeout,
    /// The server refused to open a session, with this response.
    #[error("the server opens no session: {0}")]
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

/// On whose behalf, and from which connection a message comes. Nothing in it is a secret of the client.
#[derive(Debug)]
pub struct CallerIdentity {
    /// Which connection or session, so that equal ids of two clients are told apart.
    pub number: u64,
    /// The tenant, by configuration or a header that is trusted; never by the model.
    pub tenant: Tenant,
    /// The run of the agent, likewise.
    pub run: Option<Run>,
}

impl CallerIdentity {
    /// A caller on behalf of `tenant`, told apart from all others of this process.
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

/// What goes with a message on its way down. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Where what comes of it goes.
    pub client: Arc<dyn Client>,
    /// Who sent it.
    pub caller: Arc<CallerIdentity>,
    /// When it was read.
    pub began: Instant,
    /// Cancelled once nobody waits for its response. An effect that is on its way goes on.
    pub cancellation: CancellationToken,
    /// Headers to send with it where the way down has headers; they are not the client's.
    pub headers: Arc<[(String, String)]>,
    /// Whether its client repeats arguments in these headers, as clients over HTTP do since 2026-07-28.
    pub repeats_arguments: bool,
}

impl RequestContext {
    /// An exchange that begins now.
    #[must_use]
    pub fn new(client: Arc<dyn Client>, caller: Arc<CallerIdentity>) -> Self {
        let (cancellation, headers) = (CancellationToken::new(), Arc::from([]));
        Self {
            client,
            caller,
            began: Instant::now(),
            cancellation,
            headers,
            repeats_arguments: false,
        }
    }

    /// An exchange of the gateway's own: whatever comes besides its response is for nobody.
    #[must_use]
    pub fn without_client(&self) -> Self {
        Self {
            client: Arc::new(NullClient),
            ..Self::new(Arc::new(NullClient), Arc::clone(&self.caller))
        }
    }
}

/// Nobody is there to read a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone")]
pub struct Disconnected;

/// No response will come to a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoResponse {
    /// Such as `the server ended`.
    pub reason: String,
    /// Whether any of the request may have left. False only where that is proven.
    pub sent: bool,
}

/// A client that reads nothing.
#[derive(Debug)]
pub(crate) struct NullClient;

#[async_trait]
impl Client for NullClient {
    async fn deliver(&self, _: Message, _: Confirmation) -> Result<(), Disconnected> {
        Err(Disconnected)
    }
}
