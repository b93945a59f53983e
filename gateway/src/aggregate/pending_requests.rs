//! The servers that have a client's requests, so that a cancellation goes only to these.

use crate::{
    layer::{Client, Confirmation, Disconnected, RequestContext},
    wire::{Message, RequestId},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The number of a connection, and the id of its request.
type RequestKey = (u64, RequestId);

/// The servers that a request was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestTarget {
    One(usize),
    All,
}

/// The requests without a response.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingRequests(Arc<Mutex<HashMap<RequestKey, RequestTarget>>>);

impl PendingRequests {
    /// Adds a request, until the returned client gets its response.
    pub(super) fn add_request(
        &self,
        request: &Message,
        target: RequestTarget,
        context: &RequestContext,
    ) -> Arc<dyn Client> {
        let client = Arc::clone(&context.client);
        let Some(id) = request.id().cloned() else {
            return client;
        };
        let key = (context.caller.number, id);
        self.0.lock().insert(key.clone(), target);
        Arc::new(CompletionClient {
            pending: self.clone(),
            key,
            client,
        })
    }

    /// Removes the request that a cancellation names, and returns the servers that have it. Its
    /// response may still come.
    pub(super) fn remove_cancelled(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Option<RequestTarget> {
        let key = (context.caller.number, message.cancelled_id()?);
        self.0.lock().remove(&key)
    }
}

/// A client that removes its request from the pending ones once it gets the response.
#[derive(Debug)]
struct CompletionClient {
    pending: PendingRequests,
    key: RequestKey,
    client: Arc<dyn Client>,
}

#[async_trait]
impl Client for CompletionClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if message.is_response() && message.id() == Some(&self.key.1) {
            self.pending.0.lock().remove(&self.key);
        }
        self.client.deliver(message, confirmation).await
    }
}
