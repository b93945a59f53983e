//! Which server has which request of a client, so that only that one hears that it is cancelled.

use crate::{
    layer::{Client, Confirmation, Disconnected, RequestContext},
    wire::{JsonMembers, Message, RequestId},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, sync::Arc};

/// A request: whose, and its id.
type RequestKey = (u64, RequestId);

/// The requests that are not answered, and the server that has each; none: several have it.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestOwners(Arc<Mutex<HashMap<RequestKey, Option<usize>>>>);

impl RequestOwners {
    /// The request goes to this server, or to several. The client, on the way to which its end is seen.
    pub(super) fn begin(
        &self,
        request: &Message,
        server: Option<usize>,
        context: &RequestContext,
    ) -> Arc<dyn Client> {
        let client = Arc::clone(&context.client);
        let Some(id) = request.id().cloned() else {
            return client;
        };
        let key = (context.caller.number, id);
        self.all().insert(key.clone(), server);
        Arc::new(CompletionClient {
            under_way: self.clone(),
            key,
            client,
        })
    }

    /// Returns the server of the request that this cancels. It may be answered all the same.
    pub(super) fn cancelled(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Option<Option<usize>> {
        let id = RequestId::read(JsonMembers::read(message.body()?).ok()?.get("requestId")?)?;
        self.all().remove(&(context.caller.number, id))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<RequestKey, Option<usize>>> {
        self.0.lock()
    }
}

/// The client, on the way to which the end of a request is seen.
#[derive(Debug)]
struct CompletionClient {
    under_way: RequestOwners,
    key: RequestKey,
    client: Arc<dyn Client>,
}

impl CompletionClient {
    fn observe_response(&self, message: &Message) {
        if message.is_response() && message.id() == Some(&self.key.1) {
            self.under_way.all().remove(&self.key);
        }
    }
}

#[async_trait]
impl Client for CompletionClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        self.observe_response(&message);
        self.client.deliver(message, confirmation).await
    }
}
