//! HTTP sessions, which clients of the older protocol version open and keep between their requests.
//!
//! A message that a server sends without a request goes to the stream where its client most likely
//! needs it: a message about an open request to that request's stream, any other message to the
//! session's own stream.

use super::stream::{MessageStream, StreamReader};
use crate::{
    layer::{
        CallerIdentity, Client, Confirmation, ConnectError, Connector, Disconnected,
        RequestContext, Upstream,
    },
    wire::{JsonMembers, Message, method},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The idle timeout of a session.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// The most request streams of a session that are kept for clients that resume.
const KEPT_STREAMS_MAX: usize = 16;

/// The session of one client, with a connection to the server of its own.
#[derive(Debug)]
pub(super) struct HttpSession {
    pub(super) id: String,
    pub(super) caller: Arc<CallerIdentity>,
    /// The connection to the server; set once, before the session is shared.
    upstream: OnceLock<Arc<dyn Upstream>>,
    /// The stream for messages that no request caused.
    own_stream: Arc<MessageStream>,
    streams: Mutex<RequestStreams>,
    next_stream: AtomicU64,
    last_used: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct RequestStreams {
    open: Vec<OpenStream>,
    /// Streams that can be resumed.
    kept: VecDeque<Arc<MessageStream>>,
}

/// The stream of requests that have no response so far.
#[derive(Debug, Clone)]
struct OpenStream {
    stream: Arc<MessageStream>,
    progress_tokens: Vec<String>,
}

impl HttpSession {
    /// Opens a session and its connection.
    pub(super) async fn open(
        connect: &dyn Connector,
        caller: CallerIdentity,
    ) -> Result<Arc<Self>, ConnectError> {
        let id = random_id().ok_or(ConnectError::Randomness)?;
        let session = Arc::new(Self {
            id,
            caller: Arc::new(caller),
            upstream: OnceLock::new(),
            own_stream: MessageStream::for_session(0),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(1),
            last_used: Mutex::new(Instant::now()),
        });
        // The connection holds its client, and the session its connection: a strong reference would
        // be a cycle.
        let client = HttpSessionClient(Arc::downgrade(&session));
        let upstream = connect.connect(Arc::new(client)).await?;
        // The cell is empty: the session is not shared yet.
        let _ = session.upstream.set(upstream);
        Ok(session)
    }

    /// Registers the stream of these requests.
    pub(super) fn add_open_stream(&self, messages: &[&Message], stream: &Arc<MessageStream>) {
        let progress_tokens = messages
            .iter()
            .filter_map(|message| requested_progress_token(message))
            .collect();
        self.streams().open.push(OpenStream {
            stream: Arc::clone(stream),
            progress_tokens,
        });
    }

    pub(super) fn next_stream_number(&self) -> u64 {
        self.next_stream.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a stream for a client that resumes it.
    pub(super) fn keep_stream(&self, stream: &Arc<MessageStream>) {
        stream.keep_messages();
        let mut streams = self.streams();
        while streams.kept.len() >= KEPT_STREAMS_MAX {
            // A complete stream is the least useful one; without any, the oldest goes.
            let at = streams
                .kept
                .iter()
                .position(|kept| kept.has_ended())
                .unwrap_or(0);
            streams.kept.remove(at);
        }
        streams.kept.push_back(Arc::clone(stream));
    }

    /// Starts to read after the event of this id, or the session's own stream. Returns `None` if
    /// that is no longer kept.
    pub(super) fn start_reading(&self, after: Option<&str>) -> Option<StreamReader> {
        let Some(after) = after else {
            return self.own_stream.start_reading(None);
        };
        let (stream, event) = after.split_once('-')?;
        let number: u64 = stream.parse().ok()?;
        let event: u64 = event.parse().ok()?;
        if number == self.own_stream.number {
            return self.own_stream.start_reading(Some(event));
        }
        let kept = self
            .streams()
            .kept
            .iter()
            .find(|kept| kept.number == number)
            .cloned();
        kept?.start_reading(Some(event))
    }

    /// Forwards a message to the server.
    pub(super) async fn forward(&self, message: Message, context: &RequestContext) {
        *self.last_used.lock() = Instant::now();
        if let Some(upstream) = self.upstream.get() {
            upstream.forward(message, context).await;
        }
    }

    /// Reports to the server's connection that the session's own stream is read from now on.
    pub(super) async fn listen(&self) {
        let client: Arc<dyn Client> = Arc::<MessageStream>::clone(&self.own_stream);
        let context = RequestContext::new(client, Arc::clone(&self.caller));
        if let Some(upstream) = self.upstream.get() {
            upstream.listen(&context).await;
        }
    }

    /// Ends the session after its calls in progress.
    pub(super) async fn end(&self) {
        self.own_stream.end();
        if let Some(upstream) = self.upstream.get() {
            upstream.close().await;
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let last_used = *self.last_used.lock();
        now.saturating_duration_since(last_used) > IDLE_MAX
            && !self.own_stream.has_reader()
            && self.open_streams().is_empty()
    }

    /// The streams for a message that is no response, the most suitable first.
    fn candidate_streams(&self, message: &Message) -> Vec<Arc<MessageStream>> {
        let open = self.open_streams();
        let mut candidates = Vec::new();
        if let Some(token) = reported_progress_token(message) {
            let related = open
                .iter()
                .find(|open| open.progress_tokens.contains(&token));
            candidates.extend(related);
        }
        // A message that arrives during a single request most likely belongs to it.
        if let [single] = open.as_slice() {
            candidates.push(single);
        }
        // The own stream may never be read: then an open request is the better place.
        if !self.own_stream.has_reader() {
            candidates.extend(open.last());
        }
        candidates
            .into_iter()
            .map(|open| Arc::clone(&open.stream))
            .chain([Arc::clone(&self.own_stream)])
            .collect()
    }

    fn open_streams(&self) -> Vec<OpenStream> {
        let mut streams = self.streams();
        streams.open.retain(|open| !open.stream.has_ended());
        streams.open.clone()
    }

    fn streams(&self) -> MutexGuard<'_, RequestStreams> {
        self.streams.lock()
    }
}

/// An id of 128 random bits.
fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token under which a request wants its progress reported.
fn requested_progress_token(request: &Message) -> Option<String> {
    let body = request.body()?;
    // Most requests do not even contain the word, so they need no parsing.
    if !body.contains("progressToken") {
        return None;
    }
    let own = JsonMembers::read(body).ok()?.object("_meta").ok()?;
    own.get("progressToken").map(str::to_owned)
}

/// The token in a message that reports a request's progress.
fn reported_progress_token(message: &Message) -> Option<String> {
    if message.method() != Some(method::PROGRESS) {
        return None;
    }
    let params = JsonMembers::read(message.body()?).ok()?;
    params.get("progressToken").map(str::to_owned)
}

/// The client of a session, as its server's connection sees it.
#[derive(Debug)]
struct HttpSessionClient(Weak<HttpSession>);

impl HttpSessionClient {
    fn candidate_streams(&self, message: &Message) -> Vec<Arc<MessageStream>> {
        match self.0.upgrade() {
            None => Vec::new(),
            Some(session) => session.candidate_streams(message),
        }
    }
}

#[async_trait]
impl Client for HttpSessionClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        let candidates = self.candidate_streams(&message);
        if confirmation == Confirmation::Written {
            // Only the first candidate: a second delivery could send the message twice.
            let stream = candidates.first().ok_or(Disconnected)?;
            return stream.send_and_confirm(message).await;
        }
        for stream in candidates {
            if stream.send(message.clone()).await.is_ok() {
                return Ok(());
            }
        }
        Err(Disconnected)
    }
}

/// The open sessions by their ids.
#[derive(Debug, Default)]
pub(super) struct SessionRegistry(Mutex<HashMap<String, Arc<HttpSession>>>);

impl SessionRegistry {
    pub(super) fn add(&self, session: &Arc<HttpSession>) {
        self.0
            .lock()
            .insert(session.id.clone(), Arc::clone(session));
    }

    /// Returns the session of this id, if it belongs to the caller's tenant.
    pub(super) fn find(&self, id: &str, caller: &CallerIdentity) -> Option<Arc<HttpSession>> {
        let sessions = self.0.lock();
        let session = sessions.get(id)?;
        // An id may leak: it opens nothing to another tenant.
        (session.caller.tenant == caller.tenant).then(|| Arc::clone(session))
    }

    pub(super) fn remove(&self, session: &HttpSession) {
        self.0.lock().remove(&session.id);
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Removes the sessions that have been idle too long, and returns them.
    pub(super) fn take_idle(&self) -> Vec<Arc<HttpSession>> {
        let now = Instant::now();
        let mut sessions = self.0.lock();
        let idle: Vec<_> = sessions
            .values()
            .filter(|session| session.is_idle(now))
            .cloned()
            .collect();
        for session in &idle {
            sessions.remove(&session.id);
        }
        idle
    }

    /// Removes all sessions, and returns them.
    pub(super) fn take_all(&self) -> Vec<Arc<HttpSession>> {
        self.0.lock().drain().map(|(_, session)| session).collect()
    }
}
