//! One connection for several clients: each request gets an id and a progress token that no other has, and whatever comes
//! back goes to the client that it is for, under its own.
//!
//! This is for clients without sessions. What belongs to none of their requests is for nobody: it might tell one client
//! about another. Nothing here knows a transport or an era.

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
    /// Connects on behalf of all.
    ///
    /// # Errors
    /// If there is no server to be had.
    pub async fn connect(connect: &dyn Connector) -> Result<Self, ConnectError> {
        let requests = Arc::new(OpenRequests::default());
        let below = connect
            .connect(Arc::new(DispatchClient(Arc::clone(&requests))))
            .await?;
        Ok(Self { below, requests })
    }

    /// Has the server learn that nobody waits for the response to a request any longer.
    fn watch(&self, open: &Arc<OpenRequest>, context: &RequestContext) {
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
        self.watch(&open, context);
        let back = OpenRequestClient {
            requests: Arc::clone(&self.requests),
            open: Arc::clone(&open),
        };
        let context = RequestContext {
            client: Arc::new(back),
            ..context.clone()
        };
        self.below.forward(open.outward(&message), &context).await;
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
        let answered = self.below.request(open.outward(&request), &context).await;
        self.requests.end(&open);
        answered.map(|response| open.inward(&response))
    }

    async fn listen(&self, context: &RequestContext) {
        self.below.listen(context).await;
    }

    async fn close(&self) {
        self.below.close().await;
    }
}

/// The requests under way.
#[derive(Debug, Default)]
struct OpenRequests {
    open: Mutex<HashMap<i64, Arc<OpenRequest>>>,
    next: AtomicI64,
}

/// A request under way.
#[derive(Debug)]
struct OpenRequest {
    /// Its id towards the server, and its progress token.
    number: i64,
    /// Its id towards its client.
    id: RequestId,
    /// Its progress token towards its client, as it was written.
    token: Option<Box<RawValue>>,
    caller: u64,
    client: Arc<dyn Client>,
    /// Whether its client wants to read what the server logs meanwhile.
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

    /// Which request a message is about that came without one.
    fn about(&self, message: &Message) -> Option<Arc<OpenRequest>> {
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
    /// The request as the server is to see it.
    fn outward(&self, request: &Message) -> Message {
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

    /// A message of the server as its client is to see it.
    fn inward(&self, message: &Message) -> Message {
        let message = if message.is_response() {
            message.with_id(&self.id)
        } else {
            message.clone()
        };
        self.renamed(&message).unwrap_or(message)
    }

    /// The same with the client's own names for the request in its body; none: it names none.
    fn renamed(&self, message: &Message) -> Option<Message> {
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

/// The way back to the client of one request.
#[derive(Debug)]
struct OpenRequestClient {
    requests: Arc<OpenRequests>,
    open: Arc<OpenRequest>,
}

impl OpenRequestClient {
    fn take_in(&self, message: &Message) -> Message {
        if message.is_response() {
            self.requests.end(&self.open);
        }
        self.open.inward(message)
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
            .deliver(self.take_in(&message), confirmation)
            .await
    }
}

/// All clients as the connection sees them.
#[derive(Debug)]
struct DispatchClient(Arc<OpenRequests>);

#[async_trait]
impl Client for DispatchClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        let Some(open) = self.0.about(&message) else {
            tracing::debug!(
                method = message.method(),
                "dropped a message of the server that belongs to no open request"
            );
            return Err(Disconnected);
        };
        let message = open.inward(&message);
        open.client.deliver(message, confirmation).await
    }
}

#[cfg(test)]
mod tests;
