//! The messages of several servers to one client. Their requests get ids of the gateway's own, so
//! that each response goes to the server that asked.

use super::subscriptions::SubscriptionRegistry;
use crate::{
    layer::{Client, Confirmation, Disconnected},
    wire::{Message, RequestId, method},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The unanswered requests of servers to the client, by the ids that the client knows.
#[derive(Debug, Default)]
pub(super) struct ServerRequests {
    open: Mutex<HashMap<RequestId, ServerRequest>>,
    count: AtomicU64,
}

/// A request of a server.
#[derive(Debug)]
struct ServerRequest {
    server: usize,
    /// Its id at the server.
    server_id: RequestId,
    /// Its progress token at the server, as it was written.
    progress_token: Option<Box<RawValue>>,
}

/// Replaces the progress token of a request by an id of the gateway's own, because two servers may
/// use the same token. Returns the server's token, too, or `None` if there is none.
fn replace_progress_token(request: &Message, id: &RequestId) -> Option<(Message, Box<RawValue>)> {
    let mut server_token = None;
    let replaced = request.with_changed_members(|params| {
        let mut own_meta = params.object("_meta").ok()?;
        let token = own_meta.get("progressToken")?.to_owned();
        server_token = RawValue::from_string(token).ok();
        let id = RawValue::from_string(id.to_json()).ok()?;
        own_meta.set("progressToken", &id).ok()?;
        params.set("_meta", &own_meta).ok()
    });
    replaced.zip(server_token)
}

impl ServerRequests {
    /// Translates a server's request for the client.
    fn translate_request(
        &self,
        server: usize,
        request: &Message,
        server_id: &RequestId,
    ) -> Message {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let id = RequestId::Text(format!("dev.semel/{process}/ask/{number}").into());
        let mut translated = request.with_id(&id);
        let mut progress_token = None;
        if let Some((replaced, token)) = replace_progress_token(&translated, &id) {
            translated = replaced;
            progress_token = Some(token);
        }
        let open = ServerRequest {
            server,
            server_id: server_id.clone(),
            progress_token,
        };
        self.open().insert(id, open);
        translated
    }

    /// Translates a progress notification of the client for the server that asked. `None` if no
    /// server did.
    pub(super) fn translate_progress(&self, notification: &Message) -> Option<(usize, Message)> {
        let open = self.open();
        let mut server = None;
        let translated = notification.with_changed_members(|params| {
            let request = open.get(&RequestId::read(params.get("progressToken")?)?)?;
            server = Some(request.server);
            let token = request.progress_token.as_ref()?;
            params.set("progressToken", token).ok()
        });
        server.zip(translated)
    }

    /// Translates a response of the client for the server that asked. `None` if no server did.
    pub(super) fn translate_response(&self, response: &Message) -> Option<(usize, Message)> {
        let request = self.open().remove(response.id()?)?;
        Some((request.server, response.with_id(&request.server_id)))
    }

    /// Translates a server's cancellation of its request for the client. `None` if the request was
    /// answered.
    fn translate_cancellation(&self, server: usize, notification: &Message) -> Option<Message> {
        let server_id = notification.cancelled_id()?;
        let mut open = self.open();
        let (id, _) = open
            .iter()
            .find(|(_, request)| request.server == server && request.server_id == server_id)?;
        let id = id.clone();
        open.remove(&id);
        notification.with_changed_members(|params| {
            let id = RawValue::from_string(id.to_json()).ok()?;
            params.set("requestId", &id).ok()
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, ServerRequest>> {
        self.open.lock()
    }
}

/// The client for one of the servers.
#[derive(Debug)]
pub(super) struct ServerClient {
    pub(super) server: usize,
    pub(super) requests: Arc<ServerRequests>,
    pub(super) subscriptions: Arc<SubscriptionRegistry>,
    pub(super) client: Arc<dyn Client>,
}

impl ServerClient {
    /// Translates a message that belongs to no subscription. `None` if the client must not get it.
    fn translate(&self, message: Message) -> Option<Message> {
        if let Some(server_id) = message.request_id() {
            let requests = &self.requests;
            return Some(requests.translate_request(self.server, &message, server_id));
        }
        if message.method() == Some(method::CANCELLED) {
            return self.requests.translate_cancellation(self.server, &message);
        }
        Some(message)
    }
}

#[async_trait]
impl Client for ServerClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if let Some(subscription) = self.subscriptions.find_subscription(&message) {
            self.subscriptions
                .receive(&subscription, self.server, message)
                .await;
            return Ok(());
        }
        match self.translate(message) {
            Some(message) => self.client.deliver(message, confirmation).await,
            None => Ok(()),
        }
    }
}

/// A client that intercepts the response to one request.
#[derive(Debug)]
pub(super) struct ResponseClient {
    pub(super) id: RequestId,
    pub(super) client: Arc<dyn Client>,
    pub(super) response: Mutex<Option<tokio::sync::oneshot::Sender<Message>>>,
}

#[async_trait]
impl Client for ResponseClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if !message.is_response() || message.id() != Some(&self.id) {
            return self.client.deliver(message, confirmation).await;
        }
        let response = self.response.lock().take();
        let sent = response.ok_or(Disconnected)?.send(message);
        sent.map_err(|_| Disconnected)
    }
}
