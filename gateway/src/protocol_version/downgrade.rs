//! Newer clients before an older server.
//!
//! An older server keeps a session with its client's capabilities. So each tenant and set of
//! capabilities gets a connection of its own, opened with what the first request says of its
//! client. A connection that is unused for long is closed. If client and server speak the same
//! group of versions, everything passes.

mod change_listeners;
mod older_session;
mod session_client;

use super::{
    probe::{self, ProbeResult},
    translation,
};
use crate::{
    layer::{
        Client, Confirmation, ConnectError, Connector, Disconnected, NoResponse, RequestContext,
        Upstream,
    },
    wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, meta, method},
};
use async_trait::async_trait;
use older_session::OlderSession;
use parking_lot::Mutex;
use session_client::OlderSessionClient;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// The most connections for different tenants and capabilities.
const CONNECTIONS_MAX: usize = 16;

/// The time after which an unused connection is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// The time for which a connection must be unused before another one may replace it.
const REPLACEABLE_AFTER: Duration = Duration::from_secs(5);

/// Connects clients of all protocol versions to a server of any.
#[derive(Debug)]
pub struct DowngradeConnector(Arc<dyn Connector>);

impl DowngradeConnector {
    /// Wraps a connector whose connections serve only clients of the server's own versions.
    #[must_use]
    pub fn new(connector: Arc<dyn Connector>) -> Self {
        Self(connector)
    }
}

#[async_trait]
impl Connector for DowngradeConnector {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        Ok(Arc::new(
            DowngradeUpstream::connect(Arc::clone(&self.0), client).await?,
        ))
    }
}

/// A server for clients of all versions.
#[derive(Debug)]
struct DowngradeUpstream {
    connector: Arc<dyn Connector>,
    first: Arc<dyn Upstream>,
    first_client: Arc<SwitchableClient>,
    /// True if the client is newer than the server. The first message shows it.
    is_downgrade: OnceCell<bool>,
    slots: Mutex<HashMap<String, SessionSlot>>,
}

/// A session that the first request for it opens, while others wait.
type SessionCell = Arc<OnceCell<Arc<OlderSession>>>;

/// A connection for clients of one tenant and set of capabilities.
#[derive(Debug)]
struct SessionSlot {
    session: SessionCell,
    last_used: Instant,
    /// True for the first connection, which stays open.
    is_first: bool,
}

impl SessionSlot {
    /// Returns true if it was unused for this time, and no request or subscription is open.
    fn is_idle_for(&self, time: Duration, now: Instant) -> bool {
        if self.is_first || now.saturating_duration_since(self.last_used) < time {
            return false;
        }
        self.session.get().is_some_and(|session| !session.is_busy())
    }
}

impl DowngradeUpstream {
    async fn connect(
        connector: Arc<dyn Connector>,
        client: Arc<dyn Client>,
    ) -> Result<Self, ConnectError> {
        let first_client = Arc::new(SwitchableClient {
            client,
            replacement: OnceLock::new(),
        });
        let first = connector
            .connect(Arc::<SwitchableClient>::clone(&first_client))
            .await?;
        Ok(Self {
            connector,
            first,
            first_client,
            is_downgrade: OnceCell::new(),
            slots: Mutex::default(),
        })
    }

    /// Returns true if the client is newer than the server. The first call finds it out.
    async fn needs_downgrade(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Result<bool, NoResponse> {
        let probe = || self.probe_downgrade(message, context);
        self.is_downgrade.get_or_try_init(probe).await.copied()
    }

    async fn probe_downgrade(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Result<bool, NoResponse> {
        // An older client names no version in its requests.
        if message.own_version().is_none() {
            return Ok(false);
        }
        let own_meta = translation::meta_members(&message.members());
        let server = &*self.first;
        match probe::probe_version(server, &own_meta, context, probe::PROBE_TIMEOUT).await? {
            ProbeResult::Newer(_) => return Ok(false),
            ProbeResult::Older => return Ok(true),
            ProbeResult::Silent => {}
        }
        // Some older servers ignore an unknown request, but answer `initialize`.
        if self.older_session(message, context).await.is_ok() {
            return Ok(true);
        }
        let result = probe::probe_version(server, &own_meta, context, probe::START_TIMEOUT).await?;
        Ok(!matches!(result, ProbeResult::Newer(_)))
    }

    /// Returns the session for the client of this request, and opens it if there is none.
    async fn older_session(
        &self,
        request: &Message,
        context: &RequestContext,
    ) -> Result<Arc<OlderSession>, ConnectError> {
        let own_meta = translation::meta_members(&request.members());
        let capabilities = own_meta.get(meta::CLIENT_CAPABILITIES).unwrap_or("{}");
        let key = format!("{}\n{capabilities}", context.caller.tenant);
        let (cell, is_first) = self.use_slot(&key)?;
        let session = cell
            .get_or_try_init(|| self.open_session(&own_meta, context, is_first))
            .await
            .cloned();
        if session.is_err() {
            self.slots.lock().remove(&key);
        }
        session
    }

    /// Returns the slot of this key, and whether it is that of the first connection.
    fn use_slot(&self, key: &str) -> Result<(SessionCell, bool), ConnectError> {
        let now = Instant::now();
        let mut slots = self.slots.lock();
        close_idle_slots(&mut slots, key, now);
        if slots.len() >= CONNECTIONS_MAX && !slots.contains_key(key) {
            return Err(ConnectError::SessionLimit);
        }
        let is_first = slots.is_empty();
        let slot = slots.entry(key.to_owned()).or_insert_with(|| SessionSlot {
            session: Arc::default(),
            last_used: now,
            is_first,
        });
        slot.last_used = now;
        Ok((Arc::clone(&slot.session), slot.is_first))
    }

    async fn open_session(
        &self,
        own_meta: &JsonMembers,
        context: &RequestContext,
        is_first: bool,
    ) -> Result<Arc<OlderSession>, ConnectError> {
        let client = OlderSessionClient::default();
        let upstream = if is_first {
            Arc::clone(&self.first)
        } else {
            self.connector.connect(Arc::new(client.clone())).await?
        };
        let session = OlderSession::open(upstream, &client, own_meta, context).await?;
        if is_first {
            // Only this call sets it: the slot's cell opens one session.
            let _ = self.first_client.replacement.set(client);
        }
        session.start().await;
        Ok(session)
    }

    fn open_sessions(&self) -> Vec<Arc<OlderSession>> {
        self.slots
            .lock()
            .values()
            .filter_map(|slot| slot.session.get().cloned())
            .collect()
    }
}

#[async_trait]
impl Upstream for DowngradeUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        match self.needs_downgrade(&message, context).await {
            Ok(false) => return self.first.forward(message, context).await,
            Ok(true) => {}
            Err(error) => return respond_unsent(&message, context, &error.to_string()).await,
        }
        match message.kind() {
            MessageKind::Request => match self.older_session(&message, context).await {
                Ok(session) => session.forward(message, context).await,
                Err(error) => respond_unsent(&message, context, &error.to_string()).await,
            },
            // The only other message that newer clients send.
            _ if message.method() == Some(method::CANCELLED) => {
                for session in self.open_sessions() {
                    session.cancel_request(&message, context).await;
                }
            }
            _ => {}
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        self.first.request(request, context).await
    }

    async fn listen(&self, context: &RequestContext) {
        self.first.listen(context).await;
    }

    async fn close(&self) {
        for session in self.open_sessions() {
            session.close().await;
        }
        self.first.close().await;
    }
}

/// Closes idle connections. If there are still too many for a new one, the least recently used one
/// makes way.
fn close_idle_slots(slots: &mut HashMap<String, SessionSlot>, wanted: &str, now: Instant) {
    let is_new = !slots.contains_key(wanted);
    let mut closing: Vec<String> = slots
        .iter()
        .filter(|(key, slot)| *key != wanted && slot.is_idle_for(IDLE_MAX, now))
        .map(|(key, _)| key.clone())
        .collect();
    if closing.is_empty() && is_new && slots.len() >= CONNECTIONS_MAX {
        let replaceable = slots
            .iter()
            .filter(|(_, slot)| slot.is_idle_for(REPLACEABLE_AFTER, now))
            .min_by_key(|(_, slot)| slot.last_used);
        closing.extend(replaceable.map(|(key, _)| key.clone()));
    }
    for key in closing {
        let slot = slots.remove(&key);
        if let Some(session) = slot.and_then(|slot| slot.session.get().cloned()) {
            tokio::spawn(async move { session.close().await });
        }
    }
}

/// Answers a request that was not sent.
async fn respond_unsent(message: &Message, context: &RequestContext, reason: &str) {
    if let Some(id) = message.request_id() {
        let text = format!("{reason}: the request was not sent");
        let response = ProtocolError::new(ErrorCode::Unanswered, text).response(Some(id));
        // A disconnected client reads nothing.
        let _ = context.client.send(response).await;
    }
}

/// The client of the first connection, which exists before it is known if messages need
/// translation.
#[derive(Debug)]
struct SwitchableClient {
    client: Arc<dyn Client>,
    /// The receiver of messages that need translation.
    replacement: OnceLock<OlderSessionClient>,
}

#[async_trait]
impl Client for SwitchableClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        match self.replacement.get() {
            Some(replacement) => replacement.deliver(message, confirmation).await,
            None => self.client.deliver(message, confirmation).await,
        }
    }
}
