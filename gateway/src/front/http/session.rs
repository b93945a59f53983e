//! Sessions: what a client of the older era has opened, and keeps between its requests.
//!
//! What a server says without a request goes where its client is most likely to need it: a word about a request under way
//! to the stream of that request, anything else to the session's own.

use super::stream::{Reading, Stream};
use crate::{
    link::{Caller, Client, Connect, Exchange, Gone, NoServer, Upstream},
    wire::{Members, Message, method},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a session lasts that nobody uses.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// How many streams of requests are kept for who comes back for the rest.
const STREAMS_KEPT_MAX: usize = 16;

/// What one client has opened.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) caller: Arc<Caller>,
    /// Set before anybody else knows the session.
    upstream: OnceLock<Arc<dyn Upstream>>,
    /// For what no request caused.
    standing: Arc<Stream>,
    streams: Mutex<Streams>,
    next: AtomicU64,
    used: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Streams {
    /// Those of requests that are not answered yet, with the tokens under which their progress is told.
    open: Vec<(Arc<Stream>, Vec<String>)>,
    /// Those that can be read again.
    kept: VecDeque<Arc<Stream>>,
}

impl Session {
    /// Opens a session with a connection of its own.
    pub(super) async fn open(connect: &dyn Connect, caller: Caller) -> Result<Arc<Self>, NoServer> {
        let session = Arc::new(Self {
            id: random_id()
                .ok_or_else(|| NoServer("the system gives no random numbers".to_owned()))?,
            caller: Arc::new(caller),
            upstream: OnceLock::new(),
            standing: Stream::standing(0),
            streams: Mutex::default(),
            next: AtomicU64::new(1),
            used: Mutex::new(Instant::now()),
        });
        let upstream = connect
            .connect(Arc::new(OfSession(Arc::downgrade(&session))))
            .await?;
        // Nobody else has set it.
        let _ = session.upstream.set(upstream);
        Ok(session)
    }

    /// Opens the stream of a request, and reads it.
    pub(super) fn answer(&self, messages: &[&Message], stream: &Arc<Stream>) {
        let tokens = messages
            .iter()
            .filter_map(|message| progress_token(message))
            .collect();
        self.streams().open.push((Arc::clone(stream), tokens));
    }

    /// The number of the next stream.
    pub(super) fn next_stream(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps the stream for who comes back for the rest.
    pub(super) fn keep(&self, stream: &Arc<Stream>) {
        stream.keep();
        let mut streams = self.streams();
        while streams.kept.len() >= STREAMS_KEPT_MAX {
            // One that is still written is not the one to go, unless all are.
            let at = streams
                .kept
                .iter()
                .position(|kept| kept.is_over())
                .unwrap_or(0);
            streams.kept.remove(at);
        }
        streams.kept.push_back(Arc::clone(stream));
    }

    /// Reads on after the event of this id, or else what no request caused.
    pub(super) fn read(&self, after: Option<&str>) -> Option<Reading> {
        let Some(after) = after else {
            return self.standing.read(None);
        };
        let (stream, event) = after.split_once('-')?;
        let (number, event) = (stream.parse::<u64>().ok()?, event.parse().ok()?);
        if number == self.standing.number {
            return self.standing.read(Some(event));
        }
        let kept = self
            .streams()
            .kept
            .iter()
            .find(|kept| kept.number == number)
            .cloned();
        kept?.read(Some(event))
    }

    /// Hands a message to the server.
    pub(super) async fn pass(&self, message: Message, exchange: &Exchange) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Some(upstream) = self.upstream.get() {
            upstream.pass(message, exchange).await;
        }
    }

    /// Says that what no request caused is read from now on.
    pub(super) async fn listen(&self) {
        let exchange = Exchange::new(
            Arc::<Stream>::clone(&self.standing),
            Arc::clone(&self.caller),
        );
        if let Some(upstream) = self.upstream.get() {
            upstream.listen(&exchange).await;
        }
    }

    /// Ends it. What is under way comes to its end first.
    pub(super) async fn end(&self) {
        self.standing.end();
        if let Some(upstream) = self.upstream.get() {
            upstream.close().await;
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(used) > IDLE_MAX
            && !self.standing.is_read()
            && self.open_streams().is_empty()
    }

    /// Where a message that no response is goes, the best place first.
    fn places(&self, message: &Message) -> Vec<Arc<Stream>> {
        let open = self.open_streams();
        let told = progress_of(message);
        let related =
            told.and_then(|token| open.iter().find(|(_, tokens)| tokens.contains(&token)));
        let single = open.first().filter(|_| open.len() == 1);
        let newest = open.last().filter(|_| !self.standing.is_read());
        let places = [related, single, newest]
            .into_iter()
            .flatten()
            .map(|(stream, _)| Arc::clone(stream));
        places.chain([Arc::clone(&self.standing)]).collect()
    }

    fn open_streams(&self) -> Vec<(Arc<Stream>, Vec<String>)> {
        let mut streams = self.streams();
        streams.open.retain(|(stream, _)| !stream.is_over());
        streams.open.clone()
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 128 random bits.
fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token under which the progress of this request is told.
fn progress_token(request: &Message) -> Option<String> {
    let body = request
        .body()
        .filter(|body| body.contains("progressToken"))?;
    let own = Members::read(body).ok()?.object("_meta").ok()?;
    own.get("progressToken").map(str::to_owned)
}

/// The token of the request whose progress this message tells.
fn progress_of(message: &Message) -> Option<String> {
    let body = message
        .body()
        .filter(|_| message.method() == Some(method::PROGRESS))?;
    Members::read(body)
        .ok()?
        .get("progressToken")
        .map(str::to_owned)
}

/// The client of a session as its server's connection sees it.
#[derive(Debug)]
struct OfSession(Weak<Session>);

impl OfSession {
    fn places(&self, message: &Message) -> Vec<Arc<Stream>> {
        self.0
            .upgrade()
            .map(|session| session.places(message))
            .unwrap_or_default()
    }
}

#[async_trait]
impl Client for OfSession {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        for place in self.places(&message) {
            if place.put(message.clone()).await.is_ok() {
                return Ok(());
            }
        }
        Err(Gone)
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        let place = self.places(&message).into_iter().next().ok_or(Gone)?;
        place.deliver(message).await
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

impl Sessions {
    /// Has the session be found from now on.
    pub(super) fn add(&self, session: &Arc<Session>) {
        self.all().insert(session.id.clone(), Arc::clone(session));
    }

    /// The session of this id, if it is of the same tenant as who asks for it.
    pub(super) fn find(&self, id: &str, caller: &Caller) -> Option<Arc<Session>> {
        self.all()
            .get(id)
            .filter(|session| session.caller.tenant == caller.tenant)
            .cloned()
    }

    pub(super) fn remove(&self, session: &Session) {
        self.all().remove(&session.id);
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Takes out those that nobody uses any longer.
    pub(super) fn take_idle(&self) -> Vec<Arc<Session>> {
        let now = Instant::now();
        let mut all = self.all();
        let idle: Vec<_> = all
            .values()
            .filter(|session| session.is_idle(now))
            .cloned()
            .collect();
        for session in &idle {
            all.remove(&session.id);
        }
        idle
    }

    /// Takes all out.
    pub(super) fn take_all(&self) -> Vec<Arc<Session>> {
        self.all().drain().map(|(_, session)| session).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
