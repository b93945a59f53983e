//! What several servers send to one client: their requests get ids of ours, so that the answers find back.

use super::subscriptions::SubscriptionRegistry;
use crate::{
    layer::{Client, Confirmation, Disconnected},
    wire::{JsonMembers, Message, MessageKind, RequestId, method},
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

/// The unanswered requests of servers to the client.
#[derive(Debug, Default)]
pub(super) struct ServerRequests {
    open: Mutex<HashMap<RequestId, ServerRequest>>,
    requests: AtomicU64,
}

/// A request of a server.
#[derive(Debug)]
struct ServerRequest {
    server: usize,
    /// Its id, as the server has it.
    own: RequestId,
    /// Under which the server wants to hear how far the client has come, as it was written.
    token: Option<Box<RawValue>>,
}

/// The request with our id as its progress token, in place of the one that its server has; two servers may have the same.
fn with_token(request: &Message, ours: &RequestId) -> (Message, Option<Box<RawValue>>) {
    let replaced = || {
        let mut params = JsonMembers::read(
            request
                .body()
                .filter(|body| body.contains("progressToken"))?,
        )
        .ok()?;
        let mut own = params.object("_meta").ok()?;
        let token = RawValue::from_string(own.get("progressToken")?.to_owned()).ok()?;
        own.set(
            "progressToken",
            &RawValue::from_string(ours.to_json()).ok()?,
        )
        .ok()?;
        params.set("_meta", &own).ok()?;
        Some((
            request.with_body(&serde_json::to_string(&params).ok()?),
            token,
        ))
    };
    match replaced() {
        Some((request, token)) => (request, Some(token)),
        None => (request.clone(), None),
    }
}

impl ServerRequests {
    /// The request of a server under an id of ours.
    fn with_own_id(&self, server: usize, request: &Message, own: &RequestId) -> Message {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::Text(format!("dev.semel/{}/ask/{number}", std::process::id()).into());
        let (ours, token) = with_token(&request.with_id(&id), &id);
        self.open().insert(
            id,
            ServerRequest {
                server,
                own: own.clone(),
                token,
            },
        );
        ours
    }

    /// Translates a progress notification of the client for the server that asked. `None` if no server did.
    pub(super) fn progress(&self, notification: &Message) -> Option<(usize, Message)> {
        let mut params = JsonMembers::read(notification.body()?).ok()?;
        let ours = RequestId::read(params.get("progressToken")?)?;
        let open = self.open();
        let question = open.get(&ours)?;
        params.set("progressToken", question.token.as_ref()?).ok()?;
        Some((
            question.server,
            notification.with_body(&serde_json::to_string(&params).ok()?),
        ))
    }

    /// Translates a response of the client for the server that asked. `None` if no server did.
    pub(super) fn with_server_id(&self, response: &Message) -> Option<(usize, Message)> {
        let ServerRequest { server, own, .. } = self.open().remove(response.id()?)?;
        Some((server, response.with_id(&own)))
    }

    /// A server's word that it waits no longer, about the id that the client knows.
    fn cancelled(&self, server: usize, notification: &Message) -> Option<Message> {
        let mut params = JsonMembers::read(notification.body()?).ok()?;
        let own = RequestId::read(params.get("requestId")?)?;
        let mut open = self.open();
        let is_it = |question: &ServerRequest| question.server == server && question.own == own;
        let ours = open
            .iter()
            .find(|(_, question)| is_it(question))
            .map(|(ours, _)| ours.clone())?;
        open.remove(&ours);
        let json: serde_json::Value = serde_json::from_str(&ours.to_json()).ok()?;
        params.set("requestId", &json).ok()?;
        Some(notification.with_body(&serde_json::to_string(&params).ok()?))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<RequestId, ServerRequest>> {
        self.open.lock()
    }
}

/// The client, as one of the servers sees it.
#[derive(Debug)]
pub(super) struct ServerClient {
    pub(super) server: usize,
    pub(super) asked: Arc<ServerRequests>,
    pub(super) subscriptions: Arc<SubscriptionRegistry>,
    pub(super) client: Arc<dyn Client>,
}

impl ServerClient {
    /// The message as the client is to read it; none: it is not for it, or it reads it as part of a subscription.
    async fn translate_message(&self, message: Message) -> Option<Message> {
        match self.subscriptions.about(&message) {
            Some(subscription) => {
                self.subscriptions
                    .receive(&subscription, self.server, message)
                    .await;
                None
            }
            None => self.translated(message),
        }
    }

    fn translated(&self, message: Message) -> Option<Message> {
        match (message.kind(), message.id()) {
            (MessageKind::Request, Some(own)) => {
                Some(self.asked.with_own_id(self.server, &message, own))
            }
            // A cancellation of an answered request is dropped.
            _ if message.method() == Some(method::CANCELLED) => {
                self.asked.cancelled(self.server, &message)
            }
            _ => Some(message),
        }
    }
}

#[async_trait]
impl Client for ServerClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        match self.translate_message(message).await {
            Some(message) => self.client.deliver(message, confirmation).await,
            None => Ok(()),
        }
    }
}

/// The client, on the way to which one response is waited for.
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
        if !matches!(message.kind(), MessageKind::Result | MessageKind::Error)
            || message.id() != Some(&self.id)
        {
            return self.client.deliver(message, confirmation).await;
        }
        let response = self.response.lock().take();
        response
            .ok_or(Disconnected)?
            .send(message)
            .map_err(|_| Disconnected)
    }
}
