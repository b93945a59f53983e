//! One connection shared by several clients (multiplexing). Each request gets a unique id and progress token. Each response
//! goes to its client under the client's own id.
//!
//! This is for clients without sessions. A message that belongs to no open request is dropped: it could reveal one client
//! to another. Nothing here knows a transport or a protocol version.

use crate::{
    layer::{
        Client, Confirmation, ConnectError, Connector, Disconnected, NoResponse, RequestContext,
        Upstream,
    },
    wire::{JsonMembers, Message, MessageKind, RequestId, meta, method},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{json, value::RawValue};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// A connection that several clients share.
#[derive(Debug)]
pub struct SharedSession {
    below: Arc<dyn Upstream>,
    requests: Arc<OpenRequests>,
}

impl SharedSession {
    /// Connects on behalf of all clients.
    ///
    /// # Errors
    /// If no connection can be made.
    pub async fn connect(connect: &dyn Connector) -> Result<Self, ConnectError> {
        let requests = Arc::new(OpenRequests::default());
        let below = connect
            .connect(Arc::new(DispatchClient(Arc::clone(&requests))))
            .await?;
        Ok(Self { below, requests })
    }

    /// Cancels the request at the server once its client cancels it.
    fn watch_cancellation(&self, open: &Arc<OpenRequest>, context: &RequestContext) {
        let (below, requests, open) = (
            Arc::clone(&self.below),
            Arc::clone(&self.requests),
            Arc::clone(open),
        );
        let context = context.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = open.is_over.cancelled() => {}
                () = context.cancellation.cancelled() => {
                    requests.end(&open);
                    let params = json!({ "requestId": open.number }).to_string();
                    below.forward(Message::notification(method::CANCELLED, &params), &context).await;
                }
            }
        });
    }

    /// The cancellation under the id that the server knows; none: the request is not this client's, or over.
    fn cancellation(&self, message: &Message, context: &RequestContext) -> Option<Message> {
        let mut params = JsonMembers::read(message.body()?).ok()?;
        let id = RequestId::read(params.get("requestId")?)?;
        let requests = self.requests.all();
        let open = requests
            .values()
            .find(|open| open.caller == context.caller.number && open.id == id)?;
        params.set("requestId", &open.number).ok()?;
        Some(message.with_body(&serde_json::to_string(&params).ok()?))
    }
}

#[async_trait]
impl Upstream for SharedSession {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if message.kind() != MessageKind::Request {
            let message = match message.method() {
                Some(method::CANCELLED) => self.cancellation(&message, context),
                _ => Some(message),
            };
            if let Some(message) = message {
                self.below.forward(message, context).await;
            }
            return;
        }
        let Some(open) = self.requests.begin(&message, context) else {
            return;
        };
        self.watch_cancellation(&open, context);
        let back = OpenRequestClient {
            requests: Arc::clone(&self.requests),
            open: Arc::clone(&open),
        };
        let context = RequestContext {
            client: Arc::new(back),
            ..context.clone()
        };
        self.below
            .forward(open.for_server(&message), &context)
            .await;
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let Some(open) = self.requests.begin(&request, context) else {
            return Err(NoResponse {
                reason: "it is no request".to_owned(),
                sent: false,
            });
        };
        let back = OpenRequestClient {
            requests: Arc::clone(&self.requests),
            open: Arc::clone(&open),
        };
        let context = RequestContext {
            client: Arc::new(back),
            ..context.clone()
        };
        let answered = self
            .below
            .request(open.for_server(&request), &context)
            .await;
        self.requests.end(&open);
        answered.map(|response| open.for_client(&response))
    }

    async fn listen(&self, context: &RequestContext) {
        self.below.listen(context).await;
    }

    async fn close(&self) {
        self.below.close().await;
    }
}

/// The open requests of all clients.
#[derive(Debug, Default)]
struct OpenRequests {
    open: Mutex<HashMap<i64, Arc<OpenRequest>>>,
    next: AtomicI64,
}

/// An open request.
#[derive(Debug)]
struct OpenRequest {
    /// The request's id and progress token at the server.
    number: i64,
    /// The request's id at its client.
    id: RequestId,
    /// The client's own progress token, as it was written.
    token: Option<Box<RawValue>>,
    caller: u64,
    client: Arc<dyn Client>,
    /// True if the client subscribed to log messages.
    wants_log: bool,
    is_over: CancellationToken,
}

impl OpenRequests {
    fn begin(&self, request: &Message, context: &RequestContext) -> Option<Arc<OpenRequest>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own = request
            .body()
            .and_then(|params| JsonMembers::read(params).ok()?.object("_meta").ok())
            .unwrap_or_default();
        let token = own
            .get("progressToken")
            .and_then(|token| RawValue::from_string(token.to_owned()).ok());
        let open = Arc::new(OpenRequest {
            number,
            id: request.id()?.clone(),
            token,
            caller: context.caller.number,
            client: Arc::clone(&context.client),
            wants_log: own.get(meta::LOG_LEVEL).is_some(),
            is_over: CancellationToken::new(),
        });
        self.all().insert(number, Arc::clone(&open));
        Some(open)
    }

    fn end(&self, open: &OpenRequest) {
        self.all().remove(&open.number);
        open.is_over.cancel();
    }

    /// Returns the open request that a message of the server belongs to.
    fn find_request(&self, message: &Message) -> Option<Arc<OpenRequest>> {
        let params = JsonMembers::read(message.body()?).ok()?;
        let all = self.all();
        let named = |number: &str| all.get(&number.parse().ok()?).cloned();
        let own = params.object("_meta").ok()?;
        match message.method()? {
            method::PROGRESS => named(params.get("progressToken")?),
            method::CANCELLED => named(params.get("requestId")?),
            method::LOG => {
                let mut wanting = all.values().filter(|open| open.wants_log);
                wanting.next().filter(|_| wanting.next().is_none()).cloned()
            }
            _ => named(own.get(meta::SUBSCRIPTION)?),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<i64, Arc<OpenRequest>>> {
        self.open.lock()
    }
}

impl OpenRequest {
    /// Returns the request with the server's id and token.
    fn for_server(&self, request: &Message) -> Message {
        let request = request.with_id(&RequestId::Number(self.number));
        if self.token.is_none() {
            return request;
        }
        let changed = || -> Option<Message> {
            let mut params = JsonMembers::read(request.body()?).ok()?;
            let mut own = params.object("_meta").ok()?;
            own.set("progressToken", &self.number).ok()?;
            params.set("_meta", &own).ok()?;
            Some(request.with_body(&serde_json::to_string(&params).ok()?))
        };
        changed().unwrap_or_else(|| request.clone())
    }

    /// Returns a message of the server with the client's id and token.
    fn for_client(&self, message: &Message) -> Message {
        let message = if message.is_response() {
            message.with_id(&self.id)
        } else {
            message.clone()
        };
        self.with_client_ids(&message).unwrap_or(message)
    }

    /// Returns the message with the client's id and token in its body, or `None` if the body has neither.
    fn with_client_ids(&self, message: &Message) -> Option<Message> {
        let body = message.body().filter(|body| {
            body.contains(meta::SUBSCRIPTION)
                || matches!(message.method(), Some(method::PROGRESS | method::CANCELLED))
        })?;
        let mut params = JsonMembers::read(body).ok()?;
        let id = RawValue::from_string(self.id.to_json()).ok()?;
        match message.method() {
            Some(method::PROGRESS) => params.set("progressToken", self.token.as_ref()?).ok()?,
            Some(method::CANCELLED) => params.set("requestId", &id).ok()?,
            _ => {}
        }
        let mut own = params.object("_meta").ok()?;
        if own.get(meta::SUBSCRIPTION).is_some() {
            own.set(meta::SUBSCRIPTION, &id).ok()?;
            params.set("_meta", &own).ok()?;
        }
        Some(message.with_body(&serde_json::to_string(&params).ok()?))
    }
}

/// The client of one open request, as the server sees it.
#[derive(Debug)]
struct OpenRequestClient {
    requests: Arc<OpenRequests>,
    open: Arc<OpenRequest>,
}

impl OpenRequestClient {
    fn receive(&self, message: &Message) -> Message {
        if message.is_response() {
            self.requests.end(&self.open);
        }
        self.open.for_client(message)
    }
}

#[async_trait]
impl Client for OpenRequestClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        self.open
            .client
            .deliver(self.receive(&message), confirmation)
            .await
    }
}

/// All clients, as the connection sees them. It dispatches messages to their clients.
#[derive(Debug)]
struct DispatchClient(Arc<OpenRequests>);

#[async_trait]
impl Client for DispatchClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        let Some(open) = self.0.find_request(&message) else {
            tracing::debug!(
                method = message.method(),
                "dropped a message of the server that belongs to no open request"
            );
            return Err(Disconnected);
        };
        let message = open.for_client(&message);
        open.client.deliver(message, confirmation).await
    }
}

#[cfg(test)]
mod tests;
