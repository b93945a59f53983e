//! Who writes a store, and how commands come to the connection that does.
//!
//! Whoever asks for something while nobody writes commits it at once, in his own thread: handing it to another and being
//! woken costs two switches, some 100 µs on a small machine, where the sync of a good disk takes as long. What is asked
//! while somebody writes is committed together, by a thread of the store's own. That thread does everything where a
//! commit takes long ([`AT_ONCE_MAX`]), where another process holds the lock, and where a runtime has one thread, on
//! which nobody else could ask meanwhile.
//!
//! What nobody waits for is put off: it goes with the next group, whoever writes that. Only where none comes within
//! [`PUT_OFF_AT_MOST`], or [`PUT_OFF_MAX`] wait, the thread writes it by itself.

use super::{SqliteOpenError, connection, connection::Patience, file::LedgerFile, row::Time};
use rusqlite::{Connection, TransactionBehavior};
use semel_core::model::StoreKey;
use semel_store::{
    failpoints::{self, Failpoint},
    {ChangeNotifier, StoreError},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

/// How many commits wait at the most. What comes while so many do is turned away.
const QUEUE_MAX: usize = 4_096;

/// How much they hold together at the most, in KiB, and what each of them counts for besides what it writes.
const QUEUE_KIB_MAX: usize = 128 << 10;
const COMMAND_KIB: usize = 1;

/// How many commands are committed in one transaction.
const GROUP_MAX: usize = 256;

/// How long a commit may take on average for a caller to make it himself: it blocks a thread of his runtime.
const AT_ONCE_MAX: Duration = Duration::from_millis(1);

/// How long what is put off waits for company, and how much of it does: a caller who commits it with his own is kept by it.
const PUT_OFF_AT_MOST: Duration = Duration::from_millis(10);
const PUT_OFF_MAX: usize = 8;

/// One in so many is what the latest commit counts for in that average.
const PACE_WEIGHT: u64 = 8;

/// How many commits of a single command in a row tell that no crowd is left, so that callers commit themselves again.
const ALONE_AFTER: u32 = 16;

/// Writes a ledger. Dropping it waits until all that it was asked is carried out.
pub(super) struct Writer {
    desk: Arc<Desk>,
    /// None only while it is dropped.
    thread: Option<JoinHandle<()>>,
    /// What may still be queued, in KiB.
    room: Arc<Semaphore>,
    /// For which keys something was put off that is not written yet.
    put_off: Arc<Mutex<Vec<StoreKey>>>,
}

impl Writer {
    pub(super) fn start(
        file: LedgerFile,
        connection: Connection,
        time: Time,
        waiters: Arc<ChangeNotifier>,
    ) -> Result<Self, SqliteOpenError> {
        let path = file.path().to_owned();
        let desk = Arc::new(Desk {
            queue: Mutex::default(),
            rung: Condvar::new(),
            pen: Mutex::new(Pen {
                file,
                connection,
                has_failed: false,
                time,
            }),
            waiters,
            commits: AtomicU64::new(0),
            pace_ns: AtomicU64::new(0),
            crowd: AtomicU32::new(0),
        });
        let at_work = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name("semel-ledger".to_owned())
            .spawn(move || at_work.work_off())
            .map_err(|error| SqliteOpenError::of_system(&path, &error))?;
        Ok(Self {
            desk,
            thread: Some(thread),
            room: Arc::new(Semaphore::new(QUEUE_KIB_MAX)),
            put_off: Arc::default(),
        })
    }

    /// How many transactions were committed so far.
    pub(super) fn commits(&self) -> u64 {
        self.desk.commits.load(Ordering::Relaxed)
    }

    /// Has this work done in a transaction, and answers once that is durable. From the first poll on it is carried
    /// out whether or not the answer is awaited.
    ///
    /// The work is for `key`, whose waiters are woken, and writes so many bytes. It may be undone together with that
    /// of others.
    pub(super) async fn carry_out<T: Send + 'static>(
        &self,
        key: Option<StoreKey>,
        bytes: usize,
        work: impl FnOnce(&Connection, &Time) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let room = self.take_room(bytes)?;
        self.desk.submit(Box::new(Asked {
            key,
            work: Some(work),
            done: None,
            reply,
            _room: room,
            put_off: None,
        }))?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown(
                "whoever wrote the ledger broke off: look at what is there".to_owned(),
            ))
        })
    }

    /// Has this work for `key` done soon. Nobody hears what it came to.
    pub(super) fn put_off<T: Send + 'static>(
        &self,
        key: StoreKey,
        bytes: usize,
        work: impl FnOnce(&Connection, &Time) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (reply, _) = oneshot::channel();
        let room = self.take_room(bytes)?;
        let put_off = Some(PutOff::note(&self.put_off, key));
        self.desk.put_off(Box::new(Asked {
            key: Some(key),
            work: Some(work),
            done: None,
            reply,
            _room: room,
            put_off,
        }))
    }

    /// Has what was put off for `key` done now, if anything was; for none, whatever was put off.
    pub(super) async fn bring_about(&self, key: Option<StoreKey>) {
        let waits = {
            let put_off = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
            key.map_or(!put_off.is_empty(), |key| put_off.contains(&key))
        };
        if waits {
            // It is behind that in the queue. If neither can be written, what was put off is lost, as it may be.
            self.carry_out(None, 0, |_, _| Ok(()))
                .await
                .unwrap_or_default();
        }
    }

    fn take_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let kib = u32::try_from(COMMAND_KIB + bytes / 1024).unwrap_or(u32::MAX);
        Arc::clone(&self.room)
            .try_acquire_many_owned(kib)
            .map_err(|_| full())
    }
}

fn full() -> StoreError {
    StoreError::NotExecuted(
        "as much as may waits to be written already: try again later".to_owned(),
    )
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.queue().is_closed = true;
        self.desk.rung.notify_one();
        if let Some(thread) = self.thread.take() {
            // If it ended by a panic, whoever asked it for something was told.
            let _ = thread.join();
        }
    }
}

/// Something the writer was asked.
trait Job: Send {
    /// Does it within a transaction.
    fn carry_out(&mut self, at: &Connection, time: &Time) -> rusqlite::Result<()>;

    /// Tells whoever asked, once the transaction is over.
    fn answer(self: Box<Self>, outcome: &Result<(), GroupFault>);

    /// Whose waiters are to be woken.
    fn key(&self) -> Option<StoreKey>;
}

struct Asked<T, W> {
    key: Option<StoreKey>,
    work: Option<W>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    /// Given back when this is dropped.
    _room: OwnedSemaphorePermit,
    /// Where it was put off.
    put_off: Option<PutOff>,
}

/// That something is put off for a key, until it is written or given up.
struct PutOff {
    among: Arc<Mutex<Vec<StoreKey>>>,
    key: StoreKey,
}

impl PutOff {
    fn note(among: &Arc<Mutex<Vec<StoreKey>>>, key: StoreKey) -> Self {
        among
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key);
        Self {
            among: Arc::clone(among),
            key,
        }
    }
}

impl Drop for PutOff {
    fn drop(&mut self) {
        let mut among = self.among.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = among.iter().position(|key| *key == self.key) {
            among.swap_remove(place);
        }
    }
}

impl<T: Send, W: FnOnce(&Connection, &Time) -> rusqlite::Result<T> + Send> Job for Asked<T, W> {
    fn carry_out(&mut self, at: &Connection, time: &Time) -> rusqlite::Result<()> {
        self.done = self.work.take().map(|work| work(at, time)).transpose()?;
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: &Result<(), GroupFault>) {
        let answer = match (outcome, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => return,
            (Err(GroupFault::Later), _) => Err(full()),
            (Err(GroupFault::NotExecuted(fault)), _) => {
                Err(StoreError::NotExecuted(fault.to_string()))
            }
            (Err(GroupFault::Unknown(fault)), _) => Err(StoreError::Unknown(fault.to_string())),
        };
        if let (Some(_), Err(error)) = (&self.put_off, &answer) {
            tracing::debug!(%error, "semel.ledger what was put off is not written");
        }
        // Nobody may be there any more to hear it.
        let _ = self.reply.send(answer);
    }

    fn key(&self) -> Option<StoreKey> {
        self.key
    }
}

type Group = Vec<Box<dyn Job>>;

/// Why none of a group is known to be written.
enum GroupFault {
    /// Nothing was tried, because it would have to be waited for.
    Later,
    /// No commit was tried.
    NotExecuted(SqliteOpenError),
    /// The commit failed, and what it wrote may be found again.
    Unknown(SqliteOpenError),
}

/// Where those who ask and those who write meet.
struct Desk {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    rung: Condvar,
    /// Whoever holds it writes.
    pen: Mutex<Pen>,
    waiters: Arc<ChangeNotifier>,
    commits: AtomicU64,
    /// How long a commit took lately, in nanoseconds.
    pace_ns: AtomicU64,
    /// How many more commits of a single command make the crowd be over: a caller who waits for a disk holds up those
    /// that his thread would run meanwhile.
    crowd: AtomicU32,
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    /// What goes with them, and when it was put off.
    put_off: VecDeque<(Instant, Box<dyn Job>)>,
    /// Waking nobody costs a system call too.
    thread: Thread,
    /// Nobody can ask for more.
    is_closed: bool,
    /// The thread is gone.
    has_ended: bool,
}

/// What the thread does.
#[derive(Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Works,
    /// It sleeps until what was put off is due.
    Dozes,
    /// It sleeps until somebody rings.
    Sleeps,
}

impl Queue {
    /// How long what was put off may still wait for company; none: there is nothing.
    fn due_in(&self) -> Option<Duration> {
        let (since, _) = self.put_off.front()?;
        let is_full = self.put_off.len() >= PUT_OFF_MAX;
        Some(if is_full {
            Duration::ZERO
        } else {
            PUT_OFF_AT_MOST.saturating_sub(since.elapsed())
        })
    }

    /// What was taken and not tried, before whatever came since. Where the thread is gone, it is dropped, and so told.
    fn put_back(&mut self, group: Group) {
        if self.has_ended {
            return;
        }
        for job in group.into_iter().rev() {
            self.jobs.push_front(job);
        }
    }
}

/// However the thread ends: what waits is told, and so is whoever asks for more.
struct End<'a>(&'a Desk);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.has_ended = true;
        queue.jobs.clear();
        queue.put_off.clear();
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics between taking a queue and having changed it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_queue(&self) -> Result<MutexGuard<'_, Queue>, StoreError> {
        let queue = self.queue();
        if queue.has_ended {
            let ended = "the thread that writes the ledger has ended: start again";
            return Err(StoreError::NotExecuted(ended.to_owned()));
        }
        Ok(queue)
    }

    fn put_off(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut queue = self.open_queue()?;
        queue.put_off.push_back((Instant::now(), job));
        if queue.thread == Thread::Sleeps || queue.put_off.len() >= PUT_OFF_MAX {
            self.rung.notify_one();
        }
        Ok(())
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let mut queue = self.open_queue()?;
        if queue.jobs.len() >= QUEUE_MAX {
            return Err(full());
        }
        queue.jobs.push_back(job);
        if queue.jobs.len() > 1 {
            self.crowd.store(ALONE_AFTER, Ordering::Relaxed);
        }
        drop(queue);
        if !(self.commits_at_once() && self.write_at_once()) {
            self.ring();
        }
        Ok(())
    }

    fn ring(&self) {
        if self.queue().thread != Thread::Works {
            self.rung.notify_one();
        }
    }

    /// Whether a caller may write here and now.
    fn commits_at_once(&self) -> bool {
        if self.crowd.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let others_run = Handle::try_current()
            .is_ok_and(|here| here.runtime_flavor() != RuntimeFlavor::CurrentThread);
        others_run && u128::from(self.pace_ns.load(Ordering::Relaxed)) < AT_ONCE_MAX.as_nanos()
    }

    /// Writes what waits, unless somebody else does or holds the lock. Says whether nothing is left to be done.
    fn write_at_once(&self) -> bool {
        let mut pen = match self.pen.try_lock() {
            Ok(pen) => pen,
            Err(std::sync::TryLockError::Poisoned(pen)) => pen.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => {
                self.crowd.store(ALONE_AFTER, Ordering::Relaxed);
                return false;
            }
        };
        let (mut group, _) = self.next_group();
        let outcome = self.commit(&mut pen, &mut group, Patience::None);
        drop(pen);
        match outcome {
            Err(GroupFault::Later) => self.queue().put_back(group),
            outcome => self.answer(group, &outcome),
        }
        self.queue().jobs.is_empty()
    }

    /// Until nobody can ask for more, and all that was asked is done.
    fn work_off(&self) {
        let _end = End(self);
        while self.wait_for_work() {
            let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut group, asked) = self.next_group();
            if asked <= 1 {
                // Only this thread counts down, and a crowd that comes back meanwhile is seen at the next command.
                let left = self.crowd.load(Ordering::Relaxed).saturating_sub(1);
                self.crowd.store(left, Ordering::Relaxed);
            }
            let outcome = self.commit(&mut pen, &mut group, Patience::Long);
            drop(pen);
            self.answer(group, &outcome);
        }
    }

    fn wait_for_work(&self) -> bool {
        let mut queue = self.queue();
        while queue.jobs.is_empty() && !queue.is_closed {
            queue = match queue.due_in() {
                Some(Duration::ZERO) => return true,
                Some(left) => {
                    queue.thread = Thread::Dozes;
                    self.rung
                        .wait_timeout(queue, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => {
                    queue.thread = Thread::Sleeps;
                    self.rung
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner)
                }
            };
            queue.thread = Thread::Works;
        }
        !(queue.jobs.is_empty() && queue.put_off.is_empty())
    }

    /// What is written next, and how much of it somebody waits for.
    fn next_group(&self) -> (Group, usize) {
        let mut queue = self.queue();
        let asked = queue.jobs.len().min(GROUP_MAX);
        // Whatever was put off goes first: who asks for its key after that must find it done.
        let put_off: Group = queue.put_off.drain(..).map(|(_, job)| job).collect();
        let group = put_off
            .into_iter()
            .chain(queue.jobs.drain(..asked))
            .collect();
        (group, asked)
    }

    fn commit(
        &self,
        pen: &mut Pen,
        group: &mut Group,
        patience: Patience,
    ) -> Result<(), GroupFault> {
        if group.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        pen.commit(group, patience)?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let lately = self.pace_ns.load(Ordering::Relaxed);
        self.pace_ns.store(
            lately - lately / PACE_WEIGHT + took / PACE_WEIGHT,
            Ordering::Relaxed,
        );
        Ok(())
    }

    fn answer(&self, group: Group, outcome: &Result<(), GroupFault>) {
        for job in group {
            let key = job.key();
            job.answer(outcome);
            if let Some(key) = key {
                self.waiters.notify(key);
            }
        }
    }
}

/// What a ledger is written with.
struct Pen {
    file: LedgerFile,
    connection: Connection,
    /// It is opened anew for the next group. Until then the old one stays open, so that nobody comes to the WAL as the
    /// first and finds there what this one failed to sync.
    has_failed: bool,
    time: Time,
}

impl Pen {
    /// Carries out all of the group in one transaction, or none of it.
    fn commit(&mut self, group: &mut Group, patience: Patience) -> Result<(), GroupFault> {
        if self.has_failed && patience == Patience::None {
            return Err(GroupFault::Later);
        }
        self.file.is_in_place().map_err(GroupFault::NotExecuted)?;
        if self.has_failed {
            self.connection = connection::to_write(&self.file).map_err(GroupFault::NotExecuted)?;
        }
        // Also if what follows panics.
        self.has_failed = true;
        let outcome = self.transact(group, patience);
        self.has_failed = !matches!(outcome, Ok(()) | Err(GroupFault::Later));
        outcome
    }

    fn transact(&mut self, group: &mut Group, patience: Patience) -> Result<(), GroupFault> {
        let not_executed = |error| GroupFault::NotExecuted(self.file.fault(&error));
        connection::wait_with(&mut self.connection, patience).map_err(not_executed)?;
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| match not_executed(error) {
            GroupFault::NotExecuted(SqliteOpenError::Locked(_)) if patience == Patience::None => {
                GroupFault::Later
            }
            other => other,
        })?;
        for job in group {
            // Dropping the transaction rolls it back.
            job.carry_out(&transaction, &self.time)
                .map_err(not_executed)?;
        }
        failpoints::before(Failpoint::Commit);
        let committed = transaction.commit();
        failpoints::after(Failpoint::Commit);
        committed.map_err(|error| GroupFault::Unknown(self.file.fault(&error)))
    }
}
