//! A server that is a child, started again when it ends.
//!
//! What was under way is lost, and answered so; nothing is sent again. A client that had opened a session with the child is not
//! told of the new one: it is opened anew on its behalf, with the same `initialize`, log level and subscriptions. What the new
//! one lists may differ, so its lists are said to have changed.

use super::{child::ChildServer, pending_responses::answer_lost};
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

/// The initial and the longest backoff before a child is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A child that lived so long has worked, so that its end is a first one.
const WORKED_AFTER: Duration = Duration::from_secs(60);

/// The time that a request waits for a child that is being started again.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// The time that a new child may take to open a session.
const OPENS_WITHIN: Duration = Duration::from_secs(30);

/// The most subscriptions that are renewed.
const SUBSCRIPTIONS_MAX: usize = 1_000;

/// The names of a server's lists that may have changed.
const LISTS: [&str; 3] = ["tools", "prompts", "resources"];

/// A child, and those that come after it.
#[derive(Debug)]
pub struct RestartingChild {
    present: watch::Receiver<Option<Arc<ChildServer>>>,
    remembered: Arc<SessionReplay>,
    closing: CancellationToken,
    /// The permit of this child, among the children that may run.
    _room: OwnedSemaphorePermit,
}

/// The session's state that the next child needs to know.
#[derive(Debug, Default)]
struct SessionReplay {
    session: Mutex<ReplayState>,
    /// The unanswered requests of the present child to the client.
    asked: Mutex<HashSet<RequestId>>,
    requests: AtomicU64,
}

#[derive(Debug, Default)]
struct ReplayState {
    initialize: Option<Message>,
    initialized: Option<Message>,
    /// The request that set the level of the log.
    level: Option<Message>,
    /// The requests that subscribed, by resource.
    subscriptions: BTreeMap<String, Message>,
    /// Of which lists the new child says that it has them.
    lists: Vec<&'static str>,
}

/// Starts children, one after the other.
struct ChildSupervisor {
    command: Vec<OsString>,
    client: Arc<dyn Client>,
    remembered: Arc<SessionReplay>,
    present: watch::Sender<Option<Arc<ChildServer>>>,
    closing: CancellationToken,
}

impl RestartingChild {
    /// Starts the server, again only where it `restarts`. What it says of its own accord goes to `client`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        command: Vec<OsString>,
        restarts: bool,
        room: OwnedSemaphorePermit,
        client: Arc<dyn Client>,
    ) -> Result<Self, ConnectError> {
        let remembered = Arc::<SessionReplay>::default();
        let closing = CancellationToken::new();
        let hearing: Arc<dyn Client> = Arc::new(RecordingClient {
            remembered: Arc::clone(&remembered),
            client,
        });
        let first = ChildServer::start(&command, Arc::clone(&hearing))
            .map_err(|error| ConnectError::Start(Box::new(error)))?;
        let (sender, present) = watch::channel(Some(Arc::new(first)));
        let keeper = ChildSupervisor {
            command,
            client: hearing,
            remembered: Arc::clone(&remembered),
            present: sender,
            closing: closing.clone(),
        };
        tokio::spawn(keeper.supervise(restarts));
        Ok(Self {
            present,
            remembered,
            closing,
            _room: room,
        })
    }

    /// The child that lives, or the one that is being started.
    async fn present(&self) -> Result<Arc<ChildServer>, NoResponse> {
        let mut present = self.present.clone();
        let found = timeout(STARTS_WITHIN, present.wait_for(Option::is_some)).await;
        let child = found
            .ok()
            .and_then(Result::ok)
            .and_then(|child| child.clone());
        child.ok_or_else(|| NoResponse {
            reason: "the server ended and is being started again: try again in a moment".to_owned(),
            sent: false,
        })
    }
}

#[async_trait]
impl Upstream for RestartingChild {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if !self.remembered.is_for_present_child(&message) {
            return;
        }
        match self.present().await {
            Ok(child) => {
                self.remembered.remember(&message);
                child.forward(message, context).await;
            }
            Err(lost) => {
                if let Some(id) = message
                    .id()
                    .filter(|_| message.kind() == MessageKind::Request)
                {
                    answer_lost(id, context, &lost).await;
                }
            }
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let child = self.present().await?;
        self.remembered.remember(&request);
        child.request(request, context).await
    }

    async fn close(&self) {
        self.closing.cancel();
        let child = self.present.borrow().clone();
        if let Some(child) = child {
            child.close().await;
        }
    }
}

impl Drop for RestartingChild {
    /// Nobody wants a next child.
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl ChildSupervisor {
    async fn supervise(self, restarts: bool) {
        let mut backoff = BACKOFF.0;
        loop {
            let Some(child) = self.present.borrow().clone() else {
                return;
            };
            let since = Instant::now();
            if self
                .closing
                .run_until_cancelled(child.ended())
                .await
                .is_none()
            {
                return;
            }
            drop(child);
            if !restarts {
                // The last child itself reports to its callers that it has ended.
                return self.closing.cancelled().await;
            }
            self.present.send_replace(None);
            self.withdraw_questions().await;
            if since.elapsed() >= WORKED_AFTER {
                backoff = BACKOFF.0;
            }
            let Some(next) = self.next(&mut backoff).await else {
                return;
            };
            self.present.send_replace(Some(Arc::new(next)));
            self.notify_list_changes().await;
        }
    }

    /// Returns the next child once one is started and its session is open, or `None` once the connection closes.
    async fn next(&self, backoff: &mut Duration) -> Option<ChildServer> {
        loop {
            tracing::warn!(after = ?*backoff, "the server ended, and is started again");
            self.closing.run_until_cancelled(sleep(*backoff)).await?;
            *backoff = (*backoff * 2).min(BACKOFF.1);
            match ChildServer::start(&self.command, Arc::clone(&self.client)) {
                Err(fault) => tracing::warn!(%fault, "the server does not start"),
                Ok(child) => match self
                    .closing
                    .run_until_cancelled(self.remembered.open(&child))
                    .await?
                {
                    Ok(()) => return Some(child),
                    Err(why) => {
                        tracing::warn!(why, "the server that was started again cannot be used");
                        child.close().await;
                    }
                },
            }
        }
    }

    /// Nobody is there to hear an answer to what the last child asked.
    async fn withdraw_questions(&self) {
        let questions = std::mem::take(&mut *self.remembered.asked());
        for id in questions {
            let params = format!(r#"{{"requestId":{id},"reason":"the server ended"}}"#);
            // A disconnected client reads nothing.
            let _ = self
                .client
                .send(Message::notification(method::CANCELLED, &params))
                .await;
        }
    }

    async fn notify_list_changes(&self) {
        let lists = self.remembered.session().lists.clone();
        for list in lists {
            let changed =
                Message::notification(&format!("notifications/{list}/list_changed"), "{}");
            // A disconnected client reads nothing.
            let _ = self.client.send(changed).await;
        }
    }
}

impl SessionReplay {
    /// Takes in what the client says to the child.
    fn remember(&self, message: &Message) {
        let mut session = self.session();
        let own = || Some(message.clone());
        match message.method() {
            Some(method::INITIALIZE) => session.initialize = own(),
            Some(method::INITIALIZED) => session.initialized = own(),
            Some(method::SET_LEVEL) => session.level = own(),
            Some(method::RESOURCES_SUBSCRIBE)
                if session.subscriptions.len() < SUBSCRIPTIONS_MAX =>
            {
                session
                    .subscriptions
                    .extend(resource_uri(message).map(|uri| (uri, message.clone())));
            }
            Some(method::RESOURCES_UNSUBSCRIBE) => {
                resource_uri(message).and_then(|uri| session.subscriptions.remove(&uri));
            }
            _ => {}
        }
    }

    /// Returns whether a message is for the present child: a response to an earlier child is not.
    fn is_for_present_child(&self, message: &Message) -> bool {
        let is_response = matches!(message.kind(), MessageKind::Result | MessageKind::Error);
        !is_response || message.id().is_some_and(|id| self.asked().remove(id))
    }

    /// Opens the session with a new child that the client had opened with the last one.
    async fn open(&self, child: &ChildServer) -> Result<(), String> {
        let (first, initialized, others) = {
            let session = self.session();
            let others: Vec<_> = session
                .level
                .iter()
                .chain(session.subscriptions.values())
                .cloned()
                .collect();
            (
                session.initialize.clone(),
                session.initialized.clone(),
                others,
            )
        };
        let Some(first) = first else { return Ok(()) };
        let opened = self.ask(child, &first).await?;
        let result = opened
            .body()
            .and_then(|result| JsonMembers::read(result).ok())
            .unwrap_or_default();
        let able = result.object("capabilities").unwrap_or_default();
        self.session().lists = LISTS
            .into_iter()
            .filter(|list| able.get(list).is_some())
            .collect();
        let Some(initialized) = initialized else {
            return Ok(());
        };
        child.notify(initialized).await;
        for request in others {
            // A subscription that is not renewed is no reason to be without a server.
            if let Err(why) = self.ask(child, &request).await {
                tracing::warn!(why, method = request.method(), "a request is not made anew");
            }
        }
        Ok(())
    }

    /// Makes a request of the client anew, under an id that it does not use.
    async fn ask(&self, child: &ChildServer, request: &Message) -> Result<Message, String> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id =
            RequestId::Text(format!("dev.semel/{}/restart/{number}", std::process::id()).into());
        let answered = timeout(OPENS_WITHIN, child.send_request(request.with_id(&id))).await;
        let response = answered
            .map_err(|_| "it does not answer".to_owned())?
            .map_err(|lost| lost.to_string())?;
        if response.kind() == MessageKind::Error {
            Err("it answers with an error".to_owned())
        } else {
            Ok(response)
        }
    }

    fn session(&self) -> MutexGuard<'_, ReplayState> {
        self.session.lock()
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.asked.lock()
    }
}

fn resource_uri(request: &Message) -> Option<String> {
    JsonMembers::read(request.body()?).ok()?.text("uri")
}

/// The client, on the way to which is remembered what a child has asked it.
#[derive(Debug)]
struct RecordingClient {
    remembered: Arc<SessionReplay>,
    client: Arc<dyn Client>,
}

impl RecordingClient {
    fn record_request(&self, message: &Message) {
        if let Some(id) = message
            .id()
            .filter(|_| message.kind() == MessageKind::Request)
        {
            self.remembered.asked().insert(id.clone());
        }
    }
}

#[async_trait]
impl Client for RecordingClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        self.record_request(&message);
        self.client.deliver(message, confirmation).await
    }
}
