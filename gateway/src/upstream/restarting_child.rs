//! A server as a child process that is started again when it ends.
//!
//! Each open request gets an error that says whether it was sent; nothing is sent again. A client
//! that had opened a session does not notice the new child: the session is opened again on its
//! behalf, with the same `initialize`, log level and subscriptions. The new child may list other
//! tools, so the client gets notifications that the lists have changed.

use super::{child::ChildServer, pending_responses::respond_no_response};
use crate::{
    layer::{
        Client, Confirmation, ConnectError, Disconnected, NoResponse, RequestContext, Upstream,
    },
    wire::{JsonMembers, Message, MessageKind, RequestId, method},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The initial backoff before a child is started again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest backoff before a child is started again.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The lifetime of a child after which the backoff starts over.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The time that a request waits for a child that is being started again.
const RESTART_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that a new child may take to answer each request of the session's replay.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(30);

/// The most subscriptions that are renewed.
const SUBSCRIPTIONS_MAX: usize = 1_000;

/// The capabilities of a server for its lists.
const LISTS: [&str; 3] = ["tools", "prompts", "resources"];

/// The current child, and those that replace it.
#[derive(Debug)]
pub(crate) struct RestartingChild {
    /// `None` while a child is being started again.
    current: watch::Receiver<Option<Arc<ChildServer>>>,
    replay: Arc<SessionReplay>,
    closing: CancellationToken,
    /// One of the children that may run at once.
    _permit: OwnedSemaphorePermit,
}

/// The messages that open the session with the next child.
#[derive(Debug, Default)]
struct SessionReplay {
    state: Mutex<ReplayState>,
    /// The unanswered requests of the current child to the client.
    questions: Mutex<HashSet<RequestId>>,
    requests: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct ReplayState {
    initialize: Option<Message>,
    initialized: Option<Message>,
    /// The request that set the log level.
    log_level: Option<Message>,
    /// The requests that subscribed, by resource.
    subscriptions: BTreeMap<String, Message>,
    /// The lists that the new child declares.
    lists: Vec<&'static str>,
}

/// The task that starts one child after another.
struct ChildSupervisor {
    command: Vec<OsString>,
    client: Arc<dyn Client>,
    replay: Arc<SessionReplay>,
    current: watch::Sender<Option<Arc<ChildServer>>>,
    closing: CancellationToken,
}

impl RestartingChild {
    /// Starts the server, and again each time it ends if `restarts`. Messages that belong to no
    /// request go to `client`.
    pub(crate) fn start(
        command: Vec<OsString>,
        restarts: bool,
        permit: OwnedSemaphorePermit,
        client: Arc<dyn Client>,
    ) -> Result<Self, ConnectError> {
        let replay = Arc::<SessionReplay>::default();
        let closing = CancellationToken::new();
        let client: Arc<dyn Client> = Arc::new(RecordingClient {
            replay: Arc::clone(&replay),
            client,
        });
        let first = ChildServer::start(&command, Arc::clone(&client))
            .map_err(|error| ConnectError::Start(Box::new(error)))?;
        let (sender, current) = watch::channel(Some(Arc::new(first)));
        let supervisor = ChildSupervisor {
            command,
            client,
            replay: Arc::clone(&replay),
            current: sender,
            closing: closing.clone(),
        };
        tokio::spawn(supervisor.supervise(restarts));
        Ok(Self {
            current,
            replay,
            closing,
            _permit: permit,
        })
    }

    /// Returns the current child, and waits for it while it is being started again.
    async fn current_child(&self) -> Result<Arc<ChildServer>, NoResponse> {
        let mut current = self.current.clone();
        if let Ok(Ok(child)) = timeout(RESTART_TIMEOUT, current.wait_for(Option::is_some)).await
            && let Some(child) = child.clone()
        {
            return Ok(child);
        }
        Err(NoResponse {
            reason: "the server ended and is being started again: try again in a moment".to_owned(),
            sent: false,
        })
    }
}

#[async_trait]
impl Upstream for RestartingChild {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if !self.replay.is_for_current_child(&message) {
            return;
        }
        match self.current_child().await {
            Ok(child) => {
                // Before it is forwarded: if the child ends now, the next one needs it.
                self.replay.record(&message);
                child.forward(message, context).await;
            }
            Err(no_response) => {
                if let Some(id) = message.request_id() {
                    respond_no_response(id, context, &no_response).await;
                }
            }
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let child = self.current_child().await?;
        self.replay.record(&request);
        child.request(request, context).await
    }

    async fn close(&self) {
        self.closing.cancel();
        let child = self.current.borrow().clone();
        if let Some(child) = child {
            child.close().await;
        }
    }
}

impl Drop for RestartingChild {
    /// Stops the supervisor, so that it starts no further child.
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl ChildSupervisor {
    async fn supervise(self, restarts: bool) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let Some(child) = self.current.borrow().clone() else {
                return;
            };
            let started_at = Instant::now();
            let end = self.closing.run_until_cancelled(child.wait_for_end());
            if end.await.is_none() {
                return;
            }
            // The ended process and its streams are released before the next one starts.
            drop(child);
            if !restarts {
                // The ended child stays current: it answers that the server has ended.
                return self.closing.cancelled().await;
            }
            // Requests wait from here on until the next child is current.
            self.current.send_replace(None);
            self.cancel_questions().await;
            if started_at.elapsed() >= STABLE_AFTER {
                backoff = BACKOFF_MIN;
            }
            let Some(next) = self.start_next(&mut backoff).await else {
                return;
            };
            self.current.send_replace(Some(Arc::new(next)));
            self.notify_list_changes().await;
        }
    }

    /// Returns the next child once its session is open, or `None` once the connection closes.
    async fn start_next(&self, backoff: &mut Duration) -> Option<ChildServer> {
        loop {
            tracing::warn!(after = ?*backoff, "the server ended, and is started again");
            self.closing.run_until_cancelled(sleep(*backoff)).await?;
            *backoff = (*backoff * 2).min(BACKOFF_MAX);
            let child = match ChildServer::start(&self.command, Arc::clone(&self.client)) {
                Ok(child) => child,
                Err(error) => {
                    tracing::warn!(%error, "the server does not start");
                    continue;
                }
            };
            let opened = self.replay.open_session(&child);
            match self.closing.run_until_cancelled(opened).await? {
                Ok(()) => return Some(child),
                Err(problem) => {
                    tracing::warn!(problem, "the new server opens no session");
                    child.close().await;
                }
            }
        }
    }

    /// Cancels the questions of the ended child: no child could receive an answer.
    async fn cancel_questions(&self) {
        let questions = std::mem::take(&mut *self.replay.questions());
        for id in questions {
            let params = format!(r#"{{"requestId":{id},"reason":"the server ended"}}"#);
            let cancel = Message::notification(method::CANCELLED, &params);
            // A disconnected client reads nothing.
            let _ = self.client.send(cancel).await;
        }
    }

    async fn notify_list_changes(&self) {
        let lists = self.replay.state().lists.clone();
        for list in lists {
            let method = format!("notifications/{list}/list_changed");
            // A disconnected client reads nothing.
            let _ = self.client.send(Message::notification(&method, "{}")).await;
        }
    }
}

impl SessionReplay {
    /// Records a message of the client that the next child needs, too.
    fn record(&self, message: &Message) {
        let mut state = self.state();
        match message.method() {
            Some(method::INITIALIZE) => state.initialize = Some(message.clone()),
            Some(method::INITIALIZED) => state.initialized = Some(message.clone()),
            Some(method::SET_LEVEL) => state.log_level = Some(message.clone()),
            Some(method::RESOURCES_SUBSCRIBE) => {
                if state.subscriptions.len() < SUBSCRIPTIONS_MAX
                    && let Some(uri) = resource_uri(message)
                {
                    state.subscriptions.insert(uri, message.clone());
                }
            }
            Some(method::RESOURCES_UNSUBSCRIBE) => {
                if let Some(uri) = resource_uri(message) {
                    state.subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// Returns false for an answer to a question of an earlier child.
    fn is_for_current_child(&self, message: &Message) -> bool {
        !message.is_response() || message.id().is_some_and(|id| self.questions().remove(id))
    }

    /// Opens the session with a new child, if the client had opened one.
    async fn open_session(&self, child: &ChildServer) -> Result<(), String> {
        let state = self.state().clone();
        let Some(initialize) = state.initialize else {
            return Ok(());
        };
        let response = self.replay_request(child, &initialize).await?;
        self.state().lists = declared_lists(&response);
        let Some(initialized) = state.initialized else {
            return Ok(());
        };
        child.notify(initialized).await;
        for request in state.log_level.iter().chain(state.subscriptions.values()) {
            // A server without one of the subscriptions is better than no server.
            if let Err(problem) = self.replay_request(child, request).await {
                let method = request.method();
                tracing::warn!(problem, method, "a request to the new server failed");
            }
        }
        Ok(())
    }

    /// Sends a request of the client again, under an id that the client does not use.
    async fn replay_request(
        &self,
        child: &ChildServer,
        request: &Message,
    ) -> Result<Message, String> {
        // The client's own id may be in use for a request that it sends meanwhile.
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let id = RequestId::Text(format!("dev.semel/{process}/restart/{number}").into());
        let response = timeout(REPLAY_TIMEOUT, child.send_request(request.with_id(&id)));
        match response.await {
            Err(_) => Err("it does not answer".to_owned()),
            Ok(Err(no_response)) => Err(no_response.to_string()),
            Ok(Ok(response)) if response.kind() == MessageKind::Error => {
                Err("it answers with an error".to_owned())
            }
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn state(&self) -> MutexGuard<'_, ReplayState> {
        self.state.lock()
    }

    fn questions(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.questions.lock()
    }
}

/// Returns the lists among the capabilities in a response to `initialize`.
fn declared_lists(response: &Message) -> Vec<&'static str> {
    let result = response
        .result()
        .and_then(|result| JsonMembers::read(result).ok())
        .unwrap_or_default();
    let capabilities = result.object("capabilities").unwrap_or_default();
    LISTS
        .into_iter()
        .filter(|list| capabilities.get(list).is_some())
        .collect()
}

fn resource_uri(request: &Message) -> Option<String> {
    JsonMembers::read(request.body()?).ok()?.text("uri")
}

/// A client that records the questions of the current child.
#[derive(Debug)]
struct RecordingClient {
    replay: Arc<SessionReplay>,
    client: Arc<dyn Client>,
}

#[async_trait]
impl Client for RecordingClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if let Some(id) = message.request_id() {
            self.replay.questions().insert(id.clone());
        }
        self.client.deliver(message, confirmation).await
    }
}
