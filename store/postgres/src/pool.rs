//! The connection pool.
//!
//! A lone caller sends its command at once, in its own task. Commands that arrive while others are in
//! progress wait in a queue for a free connection, which takes all waiting commands of one kind in one
//! statement. So with more callers, a call costs fewer statements and syncs. No task runs while the queue
//! is empty.

use super::{
    command::{self, Command, CommandKind, CommandResult},
    endpoint::Endpoint,
    session::{NotificationHandler, Session},
    subscriber::ChangeSubscriber,
};
use parking_lot::Mutex;
use semel_store::{Backoff, Clock, ServerError, StoreError};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::oneshot, task::yield_now};

/// The number of connections.
pub(super) const POOL_SIZE: usize = 4;

/// The most commands in one statement, and their most bytes.
const BATCH_MAX: usize = 128;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The most commands in the queue, and their most bytes. Further commands are refused.
const QUEUE_MAX: usize = 8_192;
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// The pauses between failed connections.
const CONNECT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

type CommandAnswer = Result<CommandResult, StoreError>;

/// The connections to a ledger, and the queue of commands for them.
pub(super) struct ConnectionPool {
    endpoint: Arc<Endpoint>,
    clock: Option<Arc<dyn Clock>>,
    state: Mutex<PoolState>,
    /// Notified of changes.
    subscriber: Arc<ChangeSubscriber>,
    /// The runtime of the connections. A call may be dropped outside of any runtime, and returns its
    /// connection then.
    runtime: Handle,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<PooledConnection>,
    queue: VecDeque<QueuedCommand>,
    queued_bytes: usize,
    /// The error that refuses all commands until a check of the server succeeds.
    refusal: Option<ServerError>,
    failed_connection: Option<FailedConnection>,
}

/// A connection of the pool; `None` until it is opened.
#[derive(Default)]
struct PooledConnection(Option<Box<Session>>);

struct QueuedCommand {
    command: Command,
    reply: oneshot::Sender<CommandAnswer>,
}

/// A failed connection, and the pause after it, during which commands fail with its error.
struct FailedConnection {
    until: Instant,
    pause: Duration,
    error: ServerError,
}

/// The decision on a new command.
enum AdmissionResult {
    Immediate(PooledConnection, Command),
    Queued(oneshot::Receiver<CommandAnswer>),
}

impl PooledConnection {
    fn is_open(&self) -> bool {
        self.0
            .as_deref()
            .is_some_and(|session| !session.is_closed())
    }
}

impl ConnectionPool {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        first: Session,
        clock: Option<Arc<dyn Clock>>,
        subscriber: Arc<ChangeSubscriber>,
    ) -> Self {
        let mut idle: Vec<_> = std::iter::repeat_with(PooledConnection::default)
            .take(POOL_SIZE - 1)
            .collect();
        idle.push(PooledConnection(Some(Box::new(first))));
        let state = Mutex::new(PoolState {
            idle,
            ..PoolState::default()
        });
        Self {
            endpoint,
            clock,
            state,
            subscriber,
            runtime: Handle::current(),
        }
    }

    /// Executes a command. From the first poll on it is carried out, even if the future is dropped.
    pub(super) async fn execute(self: &Arc<Self>, command: Command) -> CommandAnswer {
        let (connection, command) = match self.admit(command)? {
            AdmissionResult::Immediate(connection, command) => (connection, command),
            AdmissionResult::Queued(answer) => {
                return answer.await.unwrap_or_else(|_| {
                    Err(StoreError::unknown(
                        "the task that asked the server ended early: read the entry again",
                    ))
                });
            }
        };
        // Dropping it returns the connection, also if the caller is gone. The answer that is still to come is
        // no trouble for the next statement: answers arrive in the order of their statements.
        let busy = BusyConnection {
            pool: self,
            connection: Some(connection),
        };
        let Some(session) = busy.session() else {
            return Err(unexpected_answer());
        };
        let results = command::execute(session, self.clock.as_deref(), &[&command]).await;
        self.notify_changes(&[&command], results.is_ok());
        results?
            .remove(&command.key())
            .unwrap_or_else(|| Err(unexpected_answer()))
    }

    /// Refuses all commands with this error from now on, or accepts them again.
    pub(super) fn set_refusal(&self, error: Option<ServerError>) {
        self.state.lock().refusal = error;
    }

    /// Borrows a session for other statements than commands, and opens one if none is free. Dropping it
    /// returns it.
    pub(super) async fn borrow_session(self: &Arc<Self>) -> Result<BorrowedSession, StoreError> {
        let connection = {
            let mut state = self.state.lock();
            state.ensure_available()?;
            state.idle.pop()
        };
        // Built before the connection is opened, so that a failure returns its place to the pool.
        let mut borrowed = BorrowedSession {
            pool: Arc::clone(self),
            connection: connection.unwrap_or_default(),
        };
        if !borrowed.connection.is_open() {
            let session = self
                .open_session()
                .await
                .map_err(StoreError::not_executed)?;
            borrowed.connection.0 = Some(Box::new(session));
        }
        Ok(borrowed)
    }

    fn admit(self: &Arc<Self>, command: Command) -> Result<AdmissionResult, StoreError> {
        let mut state = self.state.lock();
        state.ensure_available()?;
        let open = state.idle.iter().rposition(PooledConnection::is_open);
        let is_alone = state.queue.is_empty() && state.idle.len() == POOL_SIZE;
        if let Some(open) = open
            && is_alone
        {
            let connection = state.idle.swap_remove(open);
            return Ok(AdmissionResult::Immediate(connection, command));
        }
        if state.queue.len() >= QUEUE_MAX || state.queued_bytes + command.size() > QUEUE_BYTES_MAX {
            return Err(StoreError::not_executed(
                "too many commands wait for the ledger's server already: try again later",
            ));
        }
        let (reply, answer) = oneshot::channel();
        state.queued_bytes += command.size();
        state.queue.push_back(QueuedCommand { command, reply });
        // An open connection is better than one that must be opened first.
        if let Some(index) = open.or(state.idle.len().checked_sub(1)) {
            let connection = state.idle.swap_remove(index);
            drop(state);
            self.serve_queue(connection);
        }
        Ok(AdmissionResult::Queued(answer))
    }

    /// Takes a connection back, and serves the queue with it if commands wait.
    fn return_connection(self: &Arc<Self>, connection: PooledConnection) {
        let mut state = self.state.lock();
        if !state.queue.is_empty() {
            drop(state);
            self.serve_queue(connection);
        } else {
            state.put_back(connection);
        }
    }

    /// Executes queued commands in a task of its own, until the queue is empty.
    fn serve_queue(self: &Arc<Self>, connection: PooledConnection) {
        let pool = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut connection = connection;
            loop {
                // Lets every runnable task submit its next command first. Without it, a batch would leave
                // with the first of the callers that were just answered. Measured: 64 callers that repeat
                // settled calls make 1.5 times as many calls.
                yield_now().await;
                let Some(batch) = pool.next_batch(&mut connection) else {
                    return;
                };
                pool.execute_batch(&mut connection, batch).await;
            }
        });
    }

    /// Takes the next batch. If the queue is empty, it returns `None`, and the connection to the pool.
    fn next_batch(&self, connection: &mut PooledConnection) -> Option<Vec<QueuedCommand>> {
        let mut state = self.state.lock();
        let batch = state.take_batch();
        if batch.is_empty() {
            state.put_back(std::mem::take(connection));
            return None;
        }
        Some(batch)
    }

    async fn execute_batch(&self, connection: &mut PooledConnection, batch: Vec<QueuedCommand>) {
        if !connection.is_open() {
            match self.open_session().await {
                Ok(session) => connection.0 = Some(Box::new(session)),
                Err(error) => return fail_batch(batch, &StoreError::not_executed(error)),
            }
        }
        let Some(session) = &connection.0 else { return };
        let commands: Vec<&Command> = batch.iter().map(|queued| &queued.command).collect();
        let results = command::execute(session, self.clock.as_deref(), &commands).await;
        self.notify_changes(&commands, results.is_ok());
        match results {
            Ok(mut results) => {
                for QueuedCommand { command, reply } in batch {
                    let answer = match command.kind() {
                        // Several callers may read the same key.
                        CommandKind::Get => results.get(&command.key()).cloned(),
                        _ => results.remove(&command.key()),
                    };
                    // The caller may be gone.
                    let _ = reply.send(answer.unwrap_or_else(|| Err(unexpected_answer())));
                }
            }
            // One command that the server rejects must not fail the others.
            Err(StoreError::NotExecuted(_)) if batch.len() > 1 => {
                self.execute_one_by_one(session, batch).await
            }
            Err(error) => fail_batch(batch, &error),
        }
    }

    async fn execute_one_by_one(&self, session: &Session, batch: Vec<QueuedCommand>) {
        for QueuedCommand { command, reply } in batch {
            let results = command::execute(session, self.clock.as_deref(), &[&command]).await;
            self.notify_changes(&[&command], results.is_ok());
            let answer = results.and_then(|mut results| {
                results
                    .remove(&command.key())
                    .unwrap_or_else(|| Err(unexpected_answer()))
            });
            let _ = reply.send(answer);
        }
    }

    /// Notifies the waiters of executed writes. After an unknown result, callers read again.
    fn notify_changes(&self, commands: &[&Command], is_executed: bool) {
        let keys: Vec<_> = commands
            .iter()
            // A new entry has no waiters.
            .filter(|command| matches!(command.kind(), CommandKind::Replace | CommandKind::Remove))
            .map(|command| command.key())
            .collect();
        if is_executed && !keys.is_empty() {
            self.subscriber.notify_changed(&keys);
        }
    }

    async fn open_session(&self) -> Result<Session, ServerError> {
        let no_handler: NotificationHandler = Arc::new(|_| {});
        let opened = Session::open(&self.endpoint, no_handler).await;
        let mut state = self.state.lock();
        match &opened {
            Ok(_) => state.failed_connection = None,
            Err(error) => {
                let last = state.failed_connection.take().map(|last| last.pause);
                let pause = CONNECT_BACKOFF.pause_after(last);
                state.failed_connection = Some(FailedConnection {
                    until: Instant::now() + pause,
                    pause,
                    error: error.clone(),
                });
            }
        }
        opened
    }
}

impl PoolState {
    /// Keeps a connection that is not in use. A borrowed session may be one too many: that one is closed.
    fn put_back(&mut self, connection: PooledConnection) {
        if self.idle.len() < POOL_SIZE {
            self.idle.push(connection);
        }
    }

    fn ensure_available(&self) -> Result<(), StoreError> {
        if let Some(error) = &self.refusal {
            return Err(StoreError::not_executed(error.clone()));
        }
        match &self.failed_connection {
            Some(failed) if Instant::now() < failed.until => {
                Err(StoreError::not_executed(failed.error.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Takes the waiting commands of the first one's kind, at most one write for each key.
    fn take_batch(&mut self) -> Vec<QueuedCommand> {
        let Some(kind) = self.queue.front().map(|queued| queued.command.kind()) else {
            return Vec::new();
        };
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        let mut keys = HashSet::new();
        let mut bytes = 0;
        while batch.len() < BATCH_MAX {
            let Some(queued) = self.queue.pop_front() else {
                break;
            };
            let size = queued.command.size();
            // The first command always fits, whatever its size.
            let has_room = batch.is_empty() || bytes + size <= BATCH_BYTES_MAX;
            let is_distinct = |keys: &mut HashSet<_>| {
                kind == CommandKind::Get || keys.insert(queued.command.key())
            };
            if has_room && queued.command.kind() == kind && is_distinct(&mut keys) {
                bytes += size;
                batch.push(queued);
            } else {
                later.push_back(queued);
            }
        }
        later.append(&mut self.queue);
        self.queue = later;
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        batch
    }
}

/// A connection with a statement in progress.
struct BusyConnection<'a> {
    pool: &'a Arc<ConnectionPool>,
    connection: Option<PooledConnection>,
}

impl BusyConnection<'_> {
    fn session(&self) -> Option<&Session> {
        self.connection
            .as_ref()
            .and_then(|connection| connection.0.as_deref())
    }
}

impl Drop for BusyConnection<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.return_connection(connection);
        }
    }
}

/// A session in use for other statements than commands.
pub(super) struct BorrowedSession {
    pool: Arc<ConnectionPool>,
    connection: PooledConnection,
}

impl BorrowedSession {
    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        self.connection.0.as_deref().ok_or_else(unexpected_answer)
    }
}

impl Drop for BorrowedSession {
    fn drop(&mut self) {
        self.pool
            .return_connection(std::mem::take(&mut self.connection));
    }
}

fn fail_batch(batch: Vec<QueuedCommand>, error: &StoreError) {
    for queued in batch {
        let _ = queued.reply.send(Err(error.clone()));
    }
}

fn unexpected_answer() -> StoreError {
    StoreError::unknown("the server's answer does not match its question")
}
