//! Who hears what a server of the older era says besides responses.

use super::older::Older;
use crate::{
    era::held::Call,
    link::{Client, Gone},
    wire::Message,
};
use async_trait::async_trait;
use std::sync::{Arc, OnceLock, Weak};

/// Hears a connection, or one request of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Hears {
    older: Arc<OnceLock<Weak<Older>>>,
    call: Option<Arc<Call>>,
}

impl Hears {
    /// Has what is heard belong to this connection from now on. Nothing is said before it is opened.
    pub(super) fn belong(&self, older: &Arc<Older>) {
        // It belongs to one only.
        let _ = self.older.set(Arc::downgrade(older));
    }

    /// Hears what comes on the way of this request.
    pub(super) fn of(&self, call: &Arc<Call>) -> Self {
        Self {
            older: Arc::clone(&self.older),
            call: Some(Arc::clone(call)),
        }
    }
}

#[async_trait]
impl Client for Hears {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        let older = self.older.get().and_then(Weak::upgrade).ok_or(Gone)?;
        older.hear(message, self.call.as_ref()).await;
        Ok(())
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        self.put(message).await
    }
}
