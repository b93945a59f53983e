//! Who hears what a server of the older era says besides responses.

use super::older_session::OlderSession;
use crate::{
    layer::{Client, Confirmation, Disconnected},
    protocol_version::pending_call::PendingCall,
    wire::Message,
};
use async_trait::async_trait;
use std::sync::{Arc, OnceLock, Weak};

/// Hears a connection, or one request of it.
#[derive(Debug, Clone, Default)]
pub(super) struct OlderSessionClient {
    older: Arc<OnceLock<Weak<OlderSession>>>,
    call: Option<Arc<PendingCall>>,
}

impl OlderSessionClient {
    /// Has what is heard belong to this connection from now on. Nothing is said before it is opened.
    pub(super) fn attach(&self, older: &Arc<OlderSession>) {
        // It belongs to one only.
        let _ = self.older.set(Arc::downgrade(older));
    }

    /// Hears what comes on the way of this request.
    pub(super) fn of(&self, call: &Arc<PendingCall>) -> Self {
        Self {
            older: Arc::clone(&self.older),
            call: Some(Arc::clone(call)),
        }
    }
}

#[async_trait]
impl Client for OlderSessionClient {
    async fn deliver(&self, message: Message, _: Confirmation) -> Result<(), Disconnected> {
        let older = self
            .older
            .get()
            .and_then(Weak::upgrade)
            .ok_or(Disconnected)?;
        older.receive(message, self.call.as_ref()).await;
        Ok(())
    }
}
