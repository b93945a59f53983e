//! Clients of the newer era before servers of the older one.
//!
//! A connection is opened with what a request says of its client, one for each tenant and set of capabilities, because a server
//! of the older era keeps these; one that is not used for long is ended. Whatever is of one era passes.

mod hears;
mod listeners;
mod older;

use super::{
    meaning,
    probe::{self, Probed},
};
use crate::{
    link::{Client, Connect, Exchange, Gone, Lost, NoServer, Upstream},
    wire::{Fault, FaultCode, Id, Kind, Members, Message, meta, method},
};
use async_trait::async_trait;
use hears::Hears;
use older::Older;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// The most connections that differ by what their clients can do.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection is kept that none of its clients uses.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// How long it was not used at least that has to make room for another.
const MAKES_ROOM_AFTER: Duration = Duration::from_secs(5);

/// Connects clients of whichever era.
#[derive(Debug)]
pub struct Lowering(Arc<dyn Connect>);

impl Lowering {
    /// Connects by this, which connects clients of the server's own era.
    #[must_use]
    pub fn over(connect: Arc<dyn Connect>) -> Self {
        Self(connect)
    }
}

#[async_trait]
impl Connect for Lowering {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, NoServer> {
        Ok(Arc::new(
            Lowered::connect(Arc::clone(&self.0), client).await?,
        ))
    }
}

/// A server for clients of whichever era.
#[derive(Debug)]
struct Lowered {
    connect: Arc<dyn Connect>,
    first: Arc<dyn Upstream>,
    first_hears: Arc<Switch>,
    lowers: OnceCell<bool>,
    connections: Mutex<HashMap<String, Kept>>,
}

/// A connection for clients of one tenant and set of capabilities.
#[derive(Debug)]
struct Kept {
    older: Arc<OnceCell<Arc<Older>>>,
    used: Instant,
    /// Whether it is the one that was there from the beginning, and stays.
    is_first: bool,
}

impl Kept {
    /// Whether it was not used for so long, and nobody waits for anything of it.
    fn is_idle(&self, now: Instant, long: Duration) -> bool {
        let is_old = now.saturating_duration_since(self.used) >= long;
        is_old && !self.is_first && self.older.get().is_some_and(|older| !older.is_busy())
    }
}

impl Lowered {
    /// Connects. Of which era client and server are shows later.
    async fn connect(connect: Arc<dyn Connect>, client: Arc<dyn Client>) -> Result<Self, NoServer> {
        let first_hears = Arc::new(Switch {
            client,
            instead: OnceLock::new(),
        });
        let first = connect.connect(Arc::<Switch>::clone(&first_hears)).await?;
        Ok(Self {
            connect,
            first,
            first_hears,
            lowers: OnceCell::new(),
            connections: Mutex::default(),
        })
    }

    /// Whether client and server are of two eras, which the first message shows.
    async fn lowers(&self, message: &Message, exchange: &Exchange) -> Result<bool, Lost> {
        let finds_out = || async {
            if message.own_version().is_none() {
                return Ok(false);
            }
            let own = meaning::own(&meaning::params(message));
            match probe::discover(&*self.first, &own, exchange, probe::ANSWERS_WITHIN).await? {
                Probed::Newer(_) => Ok(false),
                Probed::Older => Ok(true),
                Probed::Silent if self.older(message, exchange).await.is_ok() => Ok(true),
                Probed::Silent => {
                    let probed =
                        probe::discover(&*self.first, &own, exchange, probe::STARTS_WITHIN).await?;
                    Ok(!matches!(probed, Probed::Newer(_)))
                }
            }
        };
        self.lowers.get_or_try_init(finds_out).await.copied()
    }

    /// The connection for the client of this request.
    async fn older(&self, request: &Message, exchange: &Exchange) -> Result<Arc<Older>, NoServer> {
        let own = meaning::own(&meaning::params(request));
        let capabilities = own.get(meta::CLIENT_CAPABILITIES).unwrap_or("{}");
        let key = format!("{}\n{capabilities}", exchange.caller.tenant);
        let (cell, is_first) = {
            let mut connections = self.connections();
            make_room(&mut connections, &key, Instant::now());
            if connections.len() >= CONNECTIONS_MAX && !connections.contains_key(&key) {
                return Err(NoServer(
                    "too many clients of different capabilities are connected".to_owned(),
                ));
            }
            let is_first = connections.is_empty();
            let new = || Kept {
                older: Arc::default(),
                used: Instant::now(),
                is_first,
            };
            let kept = connections.entry(key.clone()).or_insert_with(new);
            kept.used = Instant::now();
            (Arc::clone(&kept.older), kept.is_first)
        };
        let opened = cell
            .get_or_try_init(|| self.open(&own, exchange, is_first))
            .await
            .cloned();
        if opened.is_err() {
            self.connections().remove(&key);
        }
        opened
    }

    async fn open(
        &self,
        own: &Members,
        exchange: &Exchange,
        is_first: bool,
    ) -> Result<Arc<Older>, NoServer> {
        let hears = Hears::default();
        let upstream = match is_first {
            true => Arc::clone(&self.first),
            false => self.connect.connect(Arc::new(hears.clone())).await?,
        };
        let older = Older::open(upstream, &hears, own, exchange).await?;
        if is_first {
            // It is opened once.
            let _ = self.first_hears.instead.set(hears);
        }
        older.begin().await;
        Ok(older)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Vec<Arc<Older>> {
        self.connections()
            .values()
            .filter_map(|kept| kept.older.get().cloned())
            .collect()
    }
}

#[async_trait]
impl Upstream for Lowered {
    async fn pass(&self, message: Message, exchange: &Exchange) {
        match self.lowers(&message, exchange).await {
            Ok(false) => return self.first.pass(message, exchange).await,
            Ok(true) => {}
            Err(lost) => return answer(&message, exchange, &lost.to_string()).await,
        }
        match message.kind() {
            Kind::Request => match self.older(&message, exchange).await {
                Ok(older) => older.pass(message, exchange).await,
                Err(no_server) => answer(&message, exchange, &no_server.to_string()).await,
            },
            // Clients of the newer era send nothing else.
            _ if message.method() == Some(method::CANCELLED) => {
                for older in self.opened() {
                    older.cancel(&message, exchange).await;
                }
            }
            _ => {}
        }
    }

    async fn ask(&self, request: Message, exchange: &Exchange) -> Result<Message, Lost> {
        self.first.ask(request, exchange).await
    }

    async fn listen(&self, exchange: &Exchange) {
        self.first.listen(exchange).await;
    }

    async fn close(&self) {
        for older in self.opened() {
            older.close().await;
        }
        self.first.close().await;
    }
}

/// Ends connections that nobody has used for long; for a new one where there are too many, the one that was not used for longest.
fn make_room(connections: &mut HashMap<String, Kept>, wanted: &str, now: Instant) {
    let is_idle = |kept: &Kept| kept.is_idle(now, IDLE_MAX);
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
async fn answer(message: &Message, exchange: &Exchange, why: &str) {
    let id: Option<&Id> = message.id().filter(|_| message.kind() == Kind::Request);
    if id.is_some() {
        let fault = Fault::new(
            FaultCode::Unanswered,
            format!("{why}: the request was not sent"),
        );
        exchange
            .client
            .put(fault.response(id))
            .await
            .unwrap_or_default();
    }
}

/// Who hears a connection, until it shows that its messages have to be translated.
#[derive(Debug)]
struct Switch {
    client: Arc<dyn Client>,
    instead: OnceLock<Hears>,
}

#[async_trait]
impl Client for Switch {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        match self.instead.get() {
            Some(instead) => instead.put(message).await,
            None => self.client.put(message).await,
        }
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        match self.instead.get() {
            Some(instead) => instead.deliver(message).await,
            None => self.client.deliver(message).await,
        }
    }
}
