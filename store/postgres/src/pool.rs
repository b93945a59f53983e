//! Connections, and how commands come to them.
//!
//! The connection pool. A caller that asks while no other does sends its command at once, in its
//! own task. Commands that arrive while others are in progress wait for a free connection. That
//! connection first yields, so that every runnable task has its turn, and then takes all waiting
//! commands of one kind in one statement: with more callers, a call costs fewer statements and
//! syncs. Without the yield a connection would leave with the first of the callers that it has just
//! answered, too early for the others; with it, 64 callers that read settled operations do so half
//! as often again. No task runs while there is nothing to do.

use super::{
    command::{self, Command, CommandKind, CommandResult},
    endpoint::Endpoint,
    session::{NotificationHandler, Session},
    subscriber::ChangeSubscriber,
};
use semel_store::{Backoff, Clock, ServerError, StoreError};
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::oneshot, task::yield_now};

/// The connections of a store's pool.
pub(super) const LANES: usize = 4;

/// The most commands in one statement, and the most bytes that they send.
const BATCH_MAX: usize = 128;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The most waiting commands, and the most bytes that they hold. Further commands are turned away.
const QUEUE_MAX: usize = 8_192;
const QUEUE_BYTES_MAX: usize = 256 << 20;

/// The pauses between failed connections.
const CONNECT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

type Answer = Result<CommandResult, StoreError>;

/// The connections to a ledger.
pub(super) struct ConnectionPool {
    place: Arc<Endpoint>,
    clock: Option<Arc<dyn Clock>>,
    state: Mutex<PoolState>,
    /// Rung for what was changed.
    subscriber: Arc<ChangeSubscriber>,
    /// The runtime of the connections: a caller may be dropped outside a runtime.
    runtime: Handle,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<PooledConnection>,
    queue: VecDeque<QueuedCommand>,
    queued_bytes: usize,
    /// The error that stops all commands until a check finds the server right again.
    refused: Option<ServerError>,
    /// The server was not reached, and is left alone until then.
    pause: Option<(Instant, Duration, ServerError)>,
}

/// A connection, or the place of one.
#[derive(Default)]
struct PooledConnection(Option<Box<Session>>);

struct QueuedCommand {
    command: Command,
    reply: oneshot::Sender<Answer>,
}

impl ConnectionPool {
    pub(super) fn new(
        place: Arc<Endpoint>,
        first: Session,
        clock: Option<Arc<dyn Clock>>,
        subscriber: Arc<ChangeSubscriber>,
    ) -> Self {
        let mut idle: Vec<_> = std::iter::repeat_with(PooledConnection::default)
            .take(LANES - 1)
            .collect();
        idle.push(PooledConnection(Some(Box::new(first))));
        let state = Mutex::new(PoolState {
            idle,
            ..PoolState::default()
        });
        Self {
            place,
            clock,
            state,
            subscriber,
            runtime: Handle::current(),
        }
    }

    /// Has a command carried out. From the first poll on that is done whether or not the answer is awaited.
    pub(super) async fn carry_out(self: &Arc<Self>, command: Command) -> Answer {
        let (lane, command) = match self.admit(command)? {
            AdmissionResult::AtOnce(lane, command) => (lane, command),
            AdmissionResult::Queued(answer) => {
                return answer.await.unwrap_or_else(|_| {
                    Err(StoreError::unknown(
                        "whoever asked the server broke off: look at what is there",
                    ))
                });
            }
        };
        // Comes back to the others when it is dropped, be it that the caller is gone: what was sent is answered first.
        let busy = BusyConnection {
            pool: self,
            lane: Some(lane),
        };
        let Some(session) = busy.session() else {
            return Err(gone());
        };
        let told = command::carry_out(session, self.clock.as_deref(), &[&command]).await;
        self.tell(&[&command], told.is_ok());
        told?.remove(&command.key()).unwrap_or_else(|| Err(gone()))
    }

    /// Nothing is asked of the server from now on, or all is again.
    pub(super) fn refuse(&self, fault: Option<ServerError>) {
        self.state().refused = fault;
    }

    /// A session for something else, made if none is free. It is given back by dropping it.
    pub(super) async fn borrow(self: &Arc<Self>) -> Result<BorrowedSession, StoreError> {
        let lane = {
            let mut state = self.state();
            state.may_ask()?;
            state.idle.pop()
        };
        // From here on the lane comes back, whatever happens.
        let mut borrowed = BorrowedSession {
            pool: Arc::clone(self),
            lane: lane.unwrap_or_default(),
        };
        if borrowed.lane.0.as_deref().is_none_or(Session::is_closed) {
            borrowed.lane.0 = Some(Box::new(
                self.connect().await.map_err(StoreError::not_executed)?,
            ));
        }
        Ok(borrowed)
    }

    fn admit(self: &Arc<Self>, command: Command) -> Result<AdmissionResult, StoreError> {
        let mut state = self.state();
        state.may_ask()?;
        let ready = |lane: &PooledConnection| {
            lane.0
                .as_deref()
                .is_some_and(|session| !session.is_closed())
        };
        let free = state.idle.iter().rposition(ready);
        if state.queue.is_empty()
            && state.idle.len() == LANES
            && let Some(free) = free
        {
            return Ok(AdmissionResult::AtOnce(
                state.idle.swap_remove(free),
                command,
            ));
        }
        if state.queue.len() >= QUEUE_MAX || state.queued_bytes + command.bytes() > QUEUE_BYTES_MAX
        {
            return Err(StoreError::not_executed(
                "as much as may waits for the ledger's server already: try again later",
            ));
        }
        let (reply, answer) = oneshot::channel();
        state.queued_bytes += command.bytes();
        state.queue.push_back(QueuedCommand { command, reply });
        // Rather one that is connected.
        if let Some(at) = free.or(state.idle.len().checked_sub(1)) {
            let lane = state.idle.swap_remove(at);
            drop(state);
            self.work_off(lane);
        }
        Ok(AdmissionResult::Queued(answer))
    }

    /// Takes a lane back: for what waits, if anything does.
    fn give_back(self: &Arc<Self>, lane: PooledConnection) {
        let mut state = self.state();
        if !state.queue.is_empty() {
            drop(state);
            self.work_off(lane);
        } else if state.idle.len() < LANES {
            state.idle.push(lane);
        }
    }

    /// Goes on with what waits, in a task of its own, until nothing does.
    fn work_off(self: &Arc<Self>, lane: PooledConnection) {
        let pool = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut lane = lane;
            loop {
                // Tasks that are about to ask do so first.
                yield_now().await;
                let Some(batch) = pool.next_batch(&mut lane) else {
                    return;
                };
                pool.carry_out_batch(&mut lane, batch).await;
            }
        });
    }

    /// Returns the next batch, or `None` when the connection is idle again.
    fn next_batch(&self, lane: &mut PooledConnection) -> Option<Vec<QueuedCommand>> {
        let mut state = self.state();
        let batch = state.take_batch();
        if batch.is_empty() {
            state.idle.push(std::mem::take(lane));
            return None;
        }
        Some(batch)
    }

    async fn carry_out_batch(&self, lane: &mut PooledConnection, batch: Vec<QueuedCommand>) {
        if lane.0.as_deref().is_none_or(Session::is_closed) {
            match self.connect().await {
                Ok(session) => lane.0 = Some(Box::new(session)),
                Err(fault) => return refuse(batch, &fault),
            }
        }
        let Some(session) = &lane.0 else { return };
        let commands: Vec<&Command> = batch.iter().map(|waiting| &waiting.command).collect();
        let told = command::carry_out(session, self.clock.as_deref(), &commands).await;
        self.tell(&commands, told.is_ok());
        match told {
            Ok(mut told) => {
                for QueuedCommand { command, reply } in batch {
                    let answer = match command.kind() {
                        // Others may have asked for the same.
                        CommandKind::Get => told.get(&command.key()).cloned(),
                        _ => told.remove(&command.key()),
                    };
                    // The caller may be gone.
                    let _ = reply.send(answer.unwrap_or_else(|| Err(gone())));
                }
            }
            // One that cannot be carried out must not keep the others from it.
            Err(StoreError::NotExecuted(_)) if batch.len() > 1 => {
                self.one_by_one(session, batch).await
            }
            Err(fault) => batch.into_iter().for_each(|waiting| {
                let _ = waiting.reply.send(Err(fault.clone()));
            }),
        }
    }

    async fn one_by_one(&self, session: &Session, batch: Vec<QueuedCommand>) {
        for QueuedCommand { command, reply } in batch {
            let told = command::carry_out(session, self.clock.as_deref(), &[&command]).await;
            self.tell(&[&command], told.is_ok());
            let _ =
                reply.send(told.and_then(|mut told| {
                    told.remove(&command.key()).unwrap_or_else(|| Err(gone()))
                }));
        }
    }

    fn tell(&self, commands: &[&Command], is_done: bool) {
        let changes = |command: &&&Command| {
            matches!(command.kind(), CommandKind::Replace | CommandKind::Remove)
        };
        let keys: Vec<_> = commands
            .iter()
            .filter(changes)
            .map(|command| command.key())
            .collect();
        // Where it is unknown whether a command was carried out, its callers read again.
        if is_done && !keys.is_empty() {
            self.subscriber.notify_changed(&keys);
        }
    }

    async fn connect(&self) -> Result<Session, ServerError> {
        let deaf: NotificationHandler = Arc::new(|_| {});
        let opened = Session::open(&self.place, deaf).await;
        let mut state = self.state();
        match &opened {
            Ok(_) => state.pause = None,
            Err(fault) => {
                let last = state.pause.take().map(|(_, pause, _)| pause);
                let pause = CONNECT_BACKOFF.pause_after(last);
                state.pause = Some((Instant::now() + pause, pause, fault.clone()));
            }
        }
        opened
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        // Nothing panics between taking it and having changed it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    fn may_ask(&self) -> Result<(), StoreError> {
        if let Some(fault) = &self.refused {
            return Err(StoreError::not_executed(fault.clone()));
        }
        match &self.pause {
            Some((until, _, fault)) if Instant::now() < *until => {
                Err(StoreError::not_executed(fault.clone()))
            }
            _ => Ok(()),
        }
    }

    /// All that waits and is of the kind of the first, but for what is to be written at the same key twice.
    fn take_batch(&mut self) -> Vec<QueuedCommand> {
        let Some(kind) = self.queue.front().map(|waiting| waiting.command.kind()) else {
            return Vec::new();
        };
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        let mut keys = HashSet::new();
        let mut bytes = 0;
        while batch.len() < BATCH_MAX {
            let Some(waiting) = self.queue.pop_front() else {
                break;
            };
            let size = waiting.command.bytes();
            let has_room = batch.is_empty() || bytes + size <= BATCH_BYTES_MAX;
            let mut is_apart = |waiting: &QueuedCommand| {
                kind == CommandKind::Get || keys.insert(waiting.command.key())
            };
            if has_room && waiting.command.kind() == kind && is_apart(&waiting) {
                bytes += size;
                batch.push(waiting);
            } else {
                later.push_back(waiting);
            }
        }
        later.append(&mut self.queue);
        self.queue = later;
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        batch
    }
}

enum AdmissionResult {
    AtOnce(PooledConnection, Command),
    Queued(oneshot::Receiver<Answer>),
}

/// A connection with a statement in progress.
struct BusyConnection<'a> {
    pool: &'a Arc<ConnectionPool>,
    lane: Option<PooledConnection>,
}

impl BusyConnection<'_> {
    fn session(&self) -> Option<&Session> {
        self.lane.as_ref().and_then(|lane| lane.0.as_deref())
    }
}

impl Drop for BusyConnection<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.pool.give_back(lane);
        }
    }
}

/// A session in use outside the pool.
pub(super) struct BorrowedSession {
    pool: Arc<ConnectionPool>,
    lane: PooledConnection,
}

impl BorrowedSession {
    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        self.lane.0.as_deref().ok_or_else(gone)
    }
}

impl Drop for BorrowedSession {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.lane));
    }
}

fn refuse(batch: Vec<QueuedCommand>, fault: &ServerError) {
    for waiting in batch {
        let _ = waiting
            .reply
            .send(Err(StoreError::not_executed(fault.clone())));
    }
}

fn gone() -> StoreError {
    StoreError::unknown("the server answered something else than it was asked")
}
