//! The client of an older server: it receives the server's requests and notifications.

use super::older_session::OlderSession;
use crate::{
    layer::{Client, Confirmation, Disconnected},
    protocol_version::pending_call::PendingCall,
    wire::Message,
};
use async_trait::async_trait;
use std::sync::{Arc, OnceLock, Weak};

/// The receiver of an older server's messages: all of a connection, or those of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct OlderSessionClient {
    /// Weak, because the session's upstream holds this client.
    session: Arc<OnceLock<Weak<OlderSession>>>,
    call: Option<Arc<PendingCall>>,
}

impl OlderSessionClient {
    /// Connects the client to its session. Messages before that are dropped.
    pub(super) fn attach(&self, session: &Arc<OlderSession>) {
        // A client is attached once.
        let _ = self.session.set(Arc::downgrade(session));
    }

    /// The receiver of messages on the stream of this call.
    pub(super) fn for_call(&self, call: &Arc<PendingCall>) -> Self {
        Self {
            session: Arc::clone(&self.session),
            call: Some(Arc::clone(call)),
        }
    }
}

#[async_trait]
impl Client for OlderSessionClient {
    async fn deliver(&self, message: Message, _: Confirmation) -> Result<(), Disconnected> {
        let session = self.session.get().and_then(Weak::upgrade);
        let session = session.ok_or(Disconnected)?;
        session.receive(message, self.call.as_ref()).await;
        Ok(())
    }
}
