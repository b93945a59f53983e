//! One connection shared by several clients (multiplexing). Each request gets a unique id and
//! progress token. Each response goes to its client under the client's own id.
//!
//! This is for clients without sessions. A message that belongs to no open request is dropped,
//! because it could reveal one client to another. Nothing here knows a transport or a protocol
//! version.

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
    /// The connection failed.
    pub async fn connect(connector: &dyn Connector) -> Result<Self, ConnectError> {
        let requests = Arc::new(OpenRequests::default());
        let client = Arc::new(DispatchClient(Arc::clone(&requests)));
        let below = connector.connect(client).await?;
        Ok(Self { below, requests })
    }

    /// Cancels the request at the server once its client cancels it.
    fn watch_cancellation(&self, open: &Arc<OpenRequest>, context: &RequestContext) {
        let below = Arc::clone(&self.below);
        let requests = Arc::clone(&self.requests);
        let open = Arc::clone(open);
        let context = context.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = open.is_over.cancelled() => {}
                () = context.cancellation.cancelled() => {
                    requests.remove(&open);
                    let params = json!({ "requestId": open.number }).to_string();
                    let cancel = Message::notification(method::CANCELLED, &params);
                    below.forward(cancel, &context).await;
                }
            }
        });
    }

    /// Translates a cancellation for the server. `None` if the client has no such open request.
    fn translate_cancellation(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Option<Message> {
        let id = message.cancelled_id()?;
        let caller = context.caller.number;
        let requests = self.requests.lock();
        let open = requests
            .values()
            .find(|open| open.caller == caller && open.id == id)?;
        message.with_changed_members(|params| params.set("requestId", &open.number).ok())
    }

    /// Returns the context with a client that translates messages for this request's client.
    fn context_for(&self, open: &Arc<OpenRequest>, context: &RequestContext) -> RequestContext {
        let client = OpenRequestClient {
            requests: Arc::clone(&self.requests),
            open: Arc::clone(open),
        };
        RequestContext {
            client: Arc::new(client),
            ..context.clone()
        }
    }
}

#[async_trait]
impl Upstream for SharedSession {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if message.kind() != MessageKind::Request {
            let message = match message.method() {
                Some(method::CANCELLED) => self.translate_cancellation(&message, context),
                _ => Some(message),
            };
            if let Some(message) = message {
                self.below.forward(message, context).await;
            }
            return;
        }
        let Some(open) = self.requests.add_request(&message, context) else {
            return;
        };
        // Before the request is sent, so that an early cancellation is not missed.
        self.watch_cancellation(&open, context);
        let context = self.context_for(&open, context);
        let request = open.for_server(&message);
        self.below.forward(request, &context).await;
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let Some(open) = self.requests.add_request(&request, context) else {
            return Err(NoResponse {
                reason: "the message is not a request".to_owned(),
                sent: false,
            });
        };
        let context = self.context_for(&open, context);
        let request = open.for_server(&request);
        let response = self.below.request(request, &context).await;
        self.requests.remove(&open);
        response.map(|response| open.for_client(&response))
    }

    async fn listen(&self, context: &RequestContext) {
        self.below.listen(context).await;
    }

    async fn close(&self) {
        self.below.close().await;
    }
}

/// The open requests of all clients, by their numbers.
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
    progress_token: Option<Box<RawValue>>,
    /// The number of the client's connection.
    caller: u64,
    client: Arc<dyn Client>,
    /// True if the client subscribed to log messages.
    wants_log: bool,
    is_over: CancellationToken,
}

impl OpenRequests {
    fn add_request(&self, request: &Message, context: &RequestContext) -> Option<Arc<OpenRequest>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own_meta = request.members().object("_meta").unwrap_or_default();
        let progress_token = own_meta
            .get("progressToken")
            .and_then(|token| RawValue::from_string(token.to_owned()).ok());
        let open = Arc::new(OpenRequest {
            number,
            id: request.id()?.clone(),
            progress_token,
            caller: context.caller.number,
            client: Arc::clone(&context.client),
            wants_log: own_meta.get(meta::LOG_LEVEL).is_some(),
            is_over: CancellationToken::new(),
        });
        self.lock().insert(number, Arc::clone(&open));
        Some(open)
    }

    fn remove(&self, open: &OpenRequest) {
        self.lock().remove(&open.number);
        open.is_over.cancel();
    }

    /// Returns the open request that a message of the server belongs to.
    fn find_request(&self, message: &Message) -> Option<Arc<OpenRequest>> {
        let params = JsonMembers::read(message.body()?).ok()?;
        let own_meta = params.object("_meta").ok()?;
        let requests = self.lock();
        let number = match message.method()? {
            method::PROGRESS => params.get("progressToken")?,
            method::CANCELLED => params.get("requestId")?,
            method::LOG => {
                // Log messages name no request, so they are certain only if one client wants them.
                let mut subscribed = requests.values().filter(|open| open.wants_log);
                let first = subscribed.next()?;
                return subscribed.next().is_none().then(|| Arc::clone(first));
            }
            _ => own_meta.get(meta::SUBSCRIPTION)?,
        };
        requests.get(&number.parse().ok()?).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<OpenRequest>>> {
        self.open.lock()
    }
}

impl OpenRequest {
    /// Translates the request for the server: its id and progress token become the number.
    fn for_server(&self, request: &Message) -> Message {
        let request = request.with_id(&RequestId::Number(self.number));
        if self.progress_token.is_none() {
            return request;
        }
        let changed = request.with_changed_members(|params| {
            let mut own_meta = params.object("_meta").ok()?;
            own_meta.set("progressToken", &self.number).ok()?;
            params.set("_meta", &own_meta).ok()
        });
        changed.unwrap_or(request)
    }

    /// Translates a message of the server for the client: the number becomes its id or token.
    fn for_client(&self, message: &Message) -> Message {
        let message = if message.is_response() {
            message.with_id(&self.id)
        } else {
            message.clone()
        };
        self.with_client_ids(&message).unwrap_or(message)
    }

    /// Returns the message with the client's id and token in its body, or `None` if the body has
    /// neither.
    fn with_client_ids(&self, message: &Message) -> Option<Message> {
        let method = message.method();
        let has_number = matches!(method, Some(method::PROGRESS | method::CANCELLED));
        if !has_number && !message.body()?.contains(meta::SUBSCRIPTION) {
            return None;
        }
        let id = RawValue::from_string(self.id.to_json()).ok()?;
        message.with_changed_members(|params| {
            match method {
                Some(method::PROGRESS) => {
                    let token = self.progress_token.as_ref()?;
                    params.set("progressToken", token).ok()?;
                }
                Some(method::CANCELLED) => params.set("requestId", &id).ok()?,
                _ => {}
            }
            let mut own_meta = params.object("_meta").ok()?;
            if own_meta.get(meta::SUBSCRIPTION).is_some() {
                own_meta.set(meta::SUBSCRIPTION, &id).ok()?;
                params.set("_meta", &own_meta).ok()?;
            }
            Some(())
        })
    }
}

/// The client of one open request, for the layer below.
#[derive(Debug)]
struct OpenRequestClient {
    requests: Arc<OpenRequests>,
    open: Arc<OpenRequest>,
}

#[async_trait]
impl Client for OpenRequestClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if message.is_response() {
            self.requests.remove(&self.open);
        }
        let message = self.open.for_client(&message);
        self.open.client.deliver(message, confirmation).await
    }
}

/// The client of the connection. It dispatches each message to the client of its request.
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
