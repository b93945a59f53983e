//! Which server has which request of a client, so that only that one hears that it is cancelled.

use crate::{
    link::{Client, Exchange, Gone},
    wire::{Id, Members, Message},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A request: whose, and its id.
type Key = (u64, Id);

/// The requests that are not answered, and the server that has each; none: several have it.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashMap<Key, Option<usize>>>>);

impl UnderWay {
    /// The request goes to this server, or to several. The client, on the way to which its end is seen.
    pub(super) fn begin(
        &self,
        request: &Message,
        server: Option<usize>,
        exchange: &Exchange,
    ) -> Arc<dyn Client> {
        let client = Arc::clone(&exchange.client);
        let Some(id) = request.id().cloned() else {
            return client;
        };
        let key = (exchange.caller.number, id);
        self.all().insert(key.clone(), server);
        Arc::new(Ending {
            under_way: self.clone(),
            key,
            client,
        })
    }

    /// Who has the request that this cancels. It may be answered all the same.
    pub(super) fn cancelled(
        &self,
        message: &Message,
        exchange: &Exchange,
    ) -> Option<Option<usize>> {
        let id = Id::read(Members::read(message.body()?).ok()?.get("requestId")?)?;
        self.all().remove(&(exchange.caller.number, id))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Option<usize>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client, on the way to which the end of a request is seen.
#[derive(Debug)]
struct Ending {
    under_way: UnderWay,
    key: Key,
    client: Arc<dyn Client>,
}

impl Ending {
    fn see(&self, message: &Message) {
        if message.is_response() && message.id() == Some(&self.key.1) {
            self.under_way.all().remove(&self.key);
        }
    }
}

#[async_trait]
impl Client for Ending {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        self.see(&message);
        self.client.put(message).await
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        self.see(&message);
        self.client.deliver(message).await
    }
}
