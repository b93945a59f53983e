//! Clients of the newer era before servers of the older one.
//!
//! A connection is opened with what a request says of its client, one for each tenant and set of capabilities, because a server
//! of the older era keeps these; one that is not used for long is ended. Whatever is of one era passes.

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
    wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, RequestId, meta, method},
};
use async_trait::async_trait;
use older_session::OlderSession;
use parking_lot::{Mutex, MutexGuard};
use session_client::OlderSessionClient;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// The most connections that differ by what their clients can do.
const CONNECTIONS_MAX: usize = 16;

/// The time after which an unused connection is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// The time that a connection was unused at least before it may be replaced by another.
const MAKES_ROOM_AFTER: Duration = Duration::from_secs(5);

/// Connects clients of whichever era.
#[derive(Debug)]
pub struct DowngradeConnector(Arc<dyn Connector>);

impl DowngradeConnector {
    /// Connects by this, which connects clients of the server's own era.
    #[must_use]
    pub fn new(connect: Arc<dyn Connector>) -> Self {
        Self(connect)
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

/// A server for clients of whichever era.
#[derive(Debug)]
struct DowngradeUpstream {
    connect: Arc<dyn Connector>,
    first: Arc<dyn Upstream>,
    first_hears: Arc<SwitchableClient>,
    lowers: OnceCell<bool>,
    connections: Mutex<HashMap<String, SessionSlot>>,
}

/// A connection for clients of one tenant and set of capabilities.
#[derive(Debug)]
struct SessionSlot {
    older: Arc<OnceCell<Arc<OlderSession>>>,
    used: Instant,
    /// True for the first connection, which stays open.
    is_first: bool,
}

impl SessionSlot {
    /// Returns whether it was unused for so long and has no pending request.
    fn is_idle(&self, now: Instant, long: Duration) -> bool {
        let is_old = now.saturating_duration_since(self.used) >= long;
        is_old && !self.is_first && self.older.get().is_some_and(|older| !older.is_busy())
    }
}

impl DowngradeUpstream {
    /// Connects. Of which era client and server are shows later.
    async fn connect(
        connect: Arc<dyn Connector>,
        client: Arc<dyn Client>,
    ) -> Result<Self, ConnectError> {
        let first_hears = Arc::new(SwitchableClient {
            client,
            instead: OnceLock::new(),
        });
        let first = connect
            .connect(Arc::<SwitchableClient>::clone(&first_hears))
            .await?;
        Ok(Self {
            connect,
            first,
            first_hears,
            lowers: OnceCell::new(),
            connections: Mutex::default(),
        })
    }

    /// Returns whether client and server negotiate different versions. The first message shows it.
    async fn needs_downgrade(
        &self,
        message: &Message,
        context: &RequestContext,
    ) -> Result<bool, NoResponse> {
        let finds_out = || async {
            if message.own_version().is_none() {
                return Ok(false);
            }
            let own = translation::meta_members(&translation::params(message));
            match probe::discover(&*self.first, &own, context, probe::ANSWERS_WITHIN).await? {
                ProbeResult::Newer(_) => Ok(false),
                ProbeResult::Older => Ok(true),
                ProbeResult::Silent if self.older_session(message, context).await.is_ok() => {
                    Ok(true)
                }
                ProbeResult::Silent => {
                    let probed =
                        probe::discover(&*self.first, &own, context, probe::STARTS_WITHIN).await?;
                    Ok(!matches!(probed, ProbeResult::Newer(_)))
                }
            }
        };
        self.lowers.get_or_try_init(finds_out).await.copied()
    }

    /// The connection for the client of this request.
    async fn older_session(
        &self,
        request: &Message,
        context: &RequestContext,
    ) -> Result<Arc<OlderSession>, ConnectError> {
        let own = translation::meta_members(&translation::params(request));
        let capabilities = own.get(meta::CLIENT_CAPABILITIES).unwrap_or("{}");
        let key = format!("{}\n{capabilities}", context.caller.tenant);
        let (cell, is_first) = {
            let mut connections = self.connections();
            make_room(&mut connections, &key, Instant::now());
            if connections.len() >= CONNECTIONS_MAX && !connections.contains_key(&key) {
                return Err(ConnectError::SessionLimit);
            }
            let is_first = connections.is_empty();
            let new = || SessionSlot {
                older: Arc::default(),
                used: Instant::now(),
                is_first,
            };
            let kept = connections.entry(key.clone()).or_insert_with(new);
            kept.used = Instant::now();
            (Arc::clone(&kept.older), kept.is_first)
        };
        let opened = cell
            .get_or_try_init(|| self.open(&own, context, is_first))
            .await
            .cloned();
        if opened.is_err() {
            self.connections().remove(&key);
        }
        opened
    }

    async fn open(
        &self,
        own: &JsonMembers,
        context: &RequestContext,
        is_first: bool,
    ) -> Result<Arc<OlderSession>, ConnectError> {
        let hears = OlderSessionClient::default();
        let upstream = match is_first {
            true => Arc::clone(&self.first),
            false => self.connect.connect(Arc::new(hears.clone())).await?,
        };
        let older = OlderSession::open(upstream, &hears, own, context).await?;
        if is_first {
            // It is opened once.
            let _ = self.first_hears.instead.set(hears);
        }
        older.begin().await;
        Ok(older)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<String, SessionSlot>> {
        self.connections.lock()
    }

    fn opened(&self) -> Vec<Arc<OlderSession>> {
        self.connections()
            .values()
            .filter_map(|kept| kept.older.get().cloned())
            .collect()
    }
}

#[async_trait]
impl Upstream for DowngradeUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        match self.needs_downgrade(&message, context).await {
            Ok(false) => return self.first.forward(message, context).await,
            Ok(true) => {}
            Err(lost) => return answer(&message, context, &lost.to_string()).await,
        }
        match message.kind() {
            MessageKind::Request => match self.older_session(&message, context).await {
                Ok(older) => older.forward(message, context).await,
                Err(no_server) => answer(&message, context, &no_server.to_string()).await,
            },
            // Clients of the newer era send nothing else.
            _ if message.method() == Some(method::CANCELLED) => {
                for older in self.opened() {
                    older.cancel(&message, context).await;
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
        for older in self.opened() {
            older.close().await;
        }
        self.first.close().await;
    }
}

/// Closes idle connections. If there are too many, a new one replaces the least recently used.
fn make_room(connections: &mut HashMap<String, SessionSlot>, wanted: &str, now: Instant) {
    let is_idle = |kept: &SessionSlot| kept.is_idle(now, IDLE_MAX);
    let mut ends: Vec<_> = connections
        .iter()
        .filter(|(_, kept)| is_idle(kept))
        .map(|(key, _)| key.clone())
        .collect();
    ends.retain(|key| key != wanted);
    if ends.is_empty() && connections.len() >= CONNECTIONS_MAX && !connections.contains_key(wanted)
    {
        let unused = connections
            .iter()
            .filter(|(_, kept)| kept.is_idle(now, MAKES_ROOM_AFTER));
        ends.extend(
            unused
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| key.clone()),
        );
    }
    for older in ends
        .iter()
        .filter_map(|key| connections.remove(key)?.older.get().cloned())
    {
        tokio::spawn(async move { older.close().await });
    }
}

/// Answers a request that was not sent.
async fn answer(message: &Message, context: &RequestContext, why: &str) {
    let id: Option<&RequestId> = message
        .id()
        .filter(|_| message.kind() == MessageKind::Request);
    if id.is_some() {
        let fault = ProtocolError::new(
            ErrorCode::Unanswered,
            format!("{why}: the request was not sent"),
        );
        // A disconnected client reads nothing.
        let _ = context.client.send(fault.response(id)).await;
    }
}

/// The client of a connection, until its messages have to be translated.
#[derive(Debug)]
struct SwitchableClient {
    client: Arc<dyn Client>,
    instead: OnceLock<OlderSessionClient>,
}

#[async_trait]
impl Client for SwitchableClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        match self.instead.get() {
            Some(instead) => instead.deliver(message, confirmation).await,
            None => self.client.deliver(message, confirmation).await,
        }
    }
}
