//! The writer of a store.
//!
//! A caller that finds no other commit in progress commits in its own thread. The jobs of concurrent
//! callers are committed together by a thread of the store's own (group commit). That thread commits
//! everything where another process holds the lock, and where the caller's runtime has a single thread.
//!
//! A deferred write is part of the next commit, by whichever thread. If none comes in time, or many wait,
//! the writer thread commits them.

mod commit_queue;
mod write_connection;

use super::{error::SqliteOpenError, file::LedgerFile, row::LedgerClock};
use commit_queue::CommitQueue;
use parking_lot::Mutex;
use rusqlite::Connection;
use semel_core::model::StoreKey;
use semel_store::{ChangeNotifier, StoreError};
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use write_connection::WriteConnection;

/// The capacity of the queue, in KiB: further jobs are refused. A job counts for at least
/// [`JOB_KIB_MIN`], so at most 4,096 of them wait.
const QUEUE_KIB_MAX: usize = 128 << 10;
const JOB_KIB_MIN: usize = 32;

/// The writer of a store. Dropping it blocks until all its jobs are committed.
pub(super) struct LedgerWriter {
    queue: Arc<CommitQueue>,
    /// `None` only while the writer is dropped.
    thread: Option<JoinHandle<()>>,
    /// The free capacity of the queue, in KiB.
    capacity: Arc<Semaphore>,
    /// The keys with a deferred write that is not committed yet.
    deferred_keys: Arc<Mutex<Vec<StoreKey>>>,
}

impl LedgerWriter {
    pub(super) fn start(
        file: LedgerFile,
        connection: Connection,
        clock: LedgerClock,
        waiters: Arc<ChangeNotifier>,
    ) -> Result<Self, SqliteOpenError> {
        let path = file.path().to_owned();
        let connection = WriteConnection::new(file, connection, clock);
        let queue = Arc::new(CommitQueue::new(connection, waiters));
        let thread_queue = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("semel-ledger".to_owned())
            .spawn(move || thread_queue.run_writer_thread())
            .map_err(|error| SqliteOpenError::from_io(&path, &error))?;
        Ok(Self {
            queue,
            thread: Some(thread),
            capacity: Arc::new(Semaphore::new(QUEUE_KIB_MAX)),
            deferred_keys: Arc::default(),
        })
    }

    /// Returns the number of transactions so far.
    pub(super) fn commits(&self) -> u64 {
        self.queue.commits()
    }

    /// Runs this work in a transaction, and returns its result once that is durable. From the first poll
    /// on it is carried out, even if the future is dropped.
    ///
    /// The waiters of `key` are woken. `bytes` is the size of what the work writes. The work may be rolled
    /// back together with that of other callers.
    pub(super) async fn commit<T: Send + 'static>(
        &self,
        key: Option<StoreKey>,
        bytes: usize,
        work: impl FnOnce(&Connection, &LedgerClock) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let reserved = self.reserve(bytes)?;
        self.queue.submit(Box::new(PendingWrite {
            key,
            work: Some(work),
            result: None,
            reply,
            _reserved: reserved,
            deferred: None,
        }))?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::unknown(
                "the thread that wrote the ledger panicked: read the entry again",
            ))
        })
    }

    /// Runs this work for `key` soon. Its result is not reported.
    pub(super) fn defer<T: Send + 'static>(
        &self,
        key: StoreKey,
        bytes: usize,
        work: impl FnOnce(&Connection, &LedgerClock) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (reply, _) = oneshot::channel();
        let reserved = self.reserve(bytes)?;
        let deferred = Some(DeferredKey::insert(&self.deferred_keys, key));
        self.queue.defer(Box::new(PendingWrite {
            key: Some(key),
            work: Some(work),
            result: None,
            reply,
            _reserved: reserved,
            deferred,
        }))
    }

    /// Commits the deferred writes if one of them is for `key`; without a key, if there are any.
    pub(super) async fn flush_deferred(&self, key: Option<StoreKey>) {
        let is_deferred = {
            let keys = self.deferred_keys.lock();
            key.map_or(!keys.is_empty(), |key| keys.contains(&key))
        };
        if is_deferred {
            // Empty work in the queue: every deferred write precedes it. If its commit fails, the deferred
            // writes are lost, which their contract permits.
            let _ = self.commit(None, 0, |_, _| Ok(())).await;
        }
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let kib = JOB_KIB_MIN.max(bytes / 1024 + 1);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        Arc::clone(&self.capacity)
            .try_acquire_many_owned(kib)
            .map_err(|_| queue_full())
    }
}

fn queue_full() -> StoreError {
    StoreError::not_executed("too many writes wait already: try again later")
}

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // If it panicked, its callers have got an error.
            let _ = thread.join();
        }
    }
}

/// Work for the writer, with its result still unknown.
trait WriteJob: Send {
    /// Runs the work within a transaction.
    fn run(&mut self, transaction: &Connection, clock: &LedgerClock) -> rusqlite::Result<()>;

    /// Answers the caller, once the transaction is over.
    fn complete(self: Box<Self>, result: &Result<(), StoreError>);

    /// Returns the key of the waiters to wake.
    fn key(&self) -> Option<StoreKey>;
}

struct PendingWrite<T, W> {
    key: Option<StoreKey>,
    work: Option<W>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    /// Its share of the capacity, released on drop.
    _reserved: OwnedSemaphorePermit,
    /// Present if the write is deferred.
    deferred: Option<DeferredKey>,
}

impl<T: Send, W: FnOnce(&Connection, &LedgerClock) -> rusqlite::Result<T> + Send> WriteJob
    for PendingWrite<T, W>
{
    fn run(&mut self, transaction: &Connection, clock: &LedgerClock) -> rusqlite::Result<()> {
        self.result = self
            .work
            .take()
            .map(|work| work(transaction, clock))
            .transpose()?;
        Ok(())
    }

    fn complete(self: Box<Self>, result: &Result<(), StoreError>) {
        let answer = match (result, self.result) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => return,
            (Err(error), _) => Err(error.clone()),
        };
        if let (Some(_), Err(error)) = (&self.deferred, &answer) {
            tracing::debug!(%error, "semel.ledger a deferred write failed");
        }
        // The caller may be gone.
        let _ = self.reply.send(answer);
    }

    fn key(&self) -> Option<StoreKey> {
        self.key
    }
}

/// The mark of a deferred write among the keys of its writer, removed on drop.
struct DeferredKey {
    keys: Arc<Mutex<Vec<StoreKey>>>,
    key: StoreKey,
}

impl DeferredKey {
    fn insert(keys: &Arc<Mutex<Vec<StoreKey>>>, key: StoreKey) -> Self {
        keys.lock().push(key);
        Self {
            keys: Arc::clone(keys),
            key,
        }
    }
}

impl Drop for DeferredKey {
    fn drop(&mut self) {
        let mut keys = self.keys.lock();
        // A key may be deferred more than once.
        if let Some(index) = keys.iter().position(|key| *key == self.key) {
            keys.swap_remove(index);
        }
    }
}
