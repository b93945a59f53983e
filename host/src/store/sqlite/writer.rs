//! The one thread of a store that writes, and how commands come to it and answers back.

use super::{OpenFault, connection, file::LedgerFile, row::Time};
use crate::{
    points::{self, Deed},
    store::{StoreError, waiters::Waiters},
    words::StoreKey,
};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many commands wait at the most. What comes while so many do is turned away.
const QUEUE_MAX: usize = 4_096;

/// How much they hold together at the most, in KiB, and what each of them counts for besides what it writes.
const QUEUE_KIB_MAX: usize = 128 << 10;
const COMMAND_KIB: usize = 1;

/// How many commands are committed in one transaction.
const GROUP_MAX: usize = 256;

/// Writes a ledger. Dropping it waits until all that it was asked is carried out.
pub(super) struct Writer {
    /// None only while it is dropped.
    queue: Option<mpsc::SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// What may still be queued, in KiB.
    room: Arc<Semaphore>,
}

impl Writer {
    pub(super) fn start(
        file: LedgerFile,
        connection: Connection,
        time: Time,
        waiters: Arc<Waiters>,
    ) -> Result<Self, OpenFault> {
        let (queue, jobs) = mpsc::sync_channel(QUEUE_MAX);
        let path = file.path().to_owned();
        let desk = Desk { file, connection: Some(connection), time, waiters };
        let thread = thread::Builder::new()
            .name("semel-ledger".to_owned())
            .spawn(move || desk.work_off(&jobs))
            .map_err(|error| OpenFault::of_system(&path, &error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), room: Arc::new(Semaphore::new(QUEUE_KIB_MAX)) })
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
        self.submit(Box::new(Asked { key, work: Some(work), done: None, reply, _room: room }))?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unknown("the thread that writes the ledger has ended: start again".to_owned()))
        })
    }

    fn take_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let kib = u32::try_from(COMMAND_KIB + bytes / 1024).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| full())
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(mpsc::TrySendError::Full(_))) => Err(full()),
            Some(Err(mpsc::TrySendError::Disconnected(_))) | None => {
                Err(StoreError::NotExecuted("the thread that writes the ledger has ended: start again".to_owned()))
            }
        }
    }
}

fn full() -> StoreError {
    StoreError::NotExecuted("as much as may waits to be written already: try again later".to_owned())
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
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
            (Err(GroupFault::NotExecuted(fault)), _) => Err(StoreError::NotExecuted(fault.to_string())),
            (Err(GroupFault::Unknown(fault)), _) => Err(StoreError::Unknown(fault.to_string())),
        };
        // Nobody may be there any more to hear it.
        let _ = self.reply.send(answer);
    }

    fn key(&self) -> Option<StoreKey> {
        self.key
    }
}

/// Why none of a group is known to be written.
enum GroupFault {
    /// No commit was tried.
    NotExecuted(OpenFault),
    /// The commit failed, and what it wrote may be found again.
    Unknown(OpenFault),
}

/// What the thread works with.
struct Desk {
    file: LedgerFile,
    /// None after a fault: it is opened anew for the next group.
    connection: Option<Connection>,
    time: Time,
    waiters: Arc<Waiters>,
}

impl Desk {
    /// Until nobody can ask for more, and all that was asked is done.
    fn work_off(mut self, jobs: &mpsc::Receiver<Box<dyn Job>>) {
        while let Ok(first) = jobs.recv() {
            let mut group: Vec<_> = std::iter::once(first).chain(jobs.try_iter().take(GROUP_MAX - 1)).collect();
            let outcome = self.commit(&mut group);
            for job in group {
                let key = job.key();
                job.answer(&outcome);
                if let Some(key) = key {
                    self.waiters.wake(key);
                }
            }
        }
    }

    /// Carries out all of the group in one transaction, or none of it.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), GroupFault> {
        self.file.is_in_place().map_err(GroupFault::NotExecuted)?;
        let connection = self.connection.take().map_or_else(|| connection::to_write(&self.file), Ok);
        let mut connection = connection.map_err(GroupFault::NotExecuted)?;
        self.transact(&mut connection, group)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn transact(&self, connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), GroupFault> {
        let not_executed = |error| GroupFault::NotExecuted(self.file.fault(&error));
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(not_executed)?;
        for job in group {
            // Dropping the transaction rolls it back.
            job.carry_out(&transaction, &self.time).map_err(not_executed)?;
        }
        points::before(Deed::Commit);
        let committed = transaction.commit();
        points::after(Deed::Commit);
        committed.map_err(|error| GroupFault::Unknown(self.file.fault(&error)))
    }
}
