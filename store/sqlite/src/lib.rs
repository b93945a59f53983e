//! A ledger in a SQLite file on a local disk, shared by any number of processes of one machine.
//!
//! ```
//! use semel_sqlite::SqliteStore;
//! use semel_store::Store;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("ledger.sqlite");
//! let store = SqliteStore::open(&path)?;
//! println!("a write survives: {:?}", store.durability());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A lone writer commits in its caller's thread. Concurrent writes are committed together by a thread of
//! the store's own (group commit), each with its own condition and its own result. Readers use a pool of
//! connections and read in the caller's thread, which takes microseconds. A deferred write
//! ([`Store::replace_deferred`]) costs no sync of its own: it is part of the next commit, or of a commit
//! by the thread a moment later. It is written at once where its key, or a list, is read.
//!
//! **Reads are durable.** SQLite in WAL mode with `synchronous=FULL` writes the frames of a transaction,
//! then syncs the WAL, and only then publishes the frames in the shared index by which readers find them.
//! So every frame that a reader finds is synced, whichever process wrote it, as long as all of them use
//! `FULL`. Each connection here sets it and reads it back. One gap is left. If a writer is killed between
//! write and sync, or its sync fails, and no other process has the file open, then the next to open it
//! recovers the index from the WAL, with frames that the disk may lack. So a process that finds such a
//! WAL rewrites it first (`wal_recovery`), and each connection syncs the WAL before its first answer.
//!
//! **A failed sync** is never repeated: the kernel may have dropped the pages, and still show them. While
//! the ledger is open, a failed sync does no harm: SQLite does not index those frames, the next commit
//! overwrites them, and no checkpoint copies them. So a writer with a failed commit stays open until its
//! successor is, and the store goes on. Once all connections are closed, the next process rewrites the
//! WAL. This assumes of kernel and disk: a sync that succeeds makes all writes since the previous sync
//! durable, even if that one failed; rewritten bytes go to the disk even if they are equal; and a sector
//! that is rewritten with its content keeps it.
//!
//! **The cost of opening**: a check for a WAL; an attempt at a lock if other processes have the ledger
//! open; after a crash, one read and one write of the whole WAL (16 MiB, or more if a slow reader let it
//! grow) and a sync.
//!
//! **Errors.** Before `COMMIT` nothing is written. After a `COMMIT` that failed, the frames may be in the
//! file, and a recovery may find them: the result of every write of that transaction is unknown.
//!
//! **The cost of a call** (`cargo xtask bench`, two cores, a sync of 0.12 ms; entries of 1.2 KB). SQLite
//! alone takes 230 µs for two commits of one write each, and a guarded call takes 350 to 380 µs, of which
//! its policy's two decisions are 22 µs and its read 8 µs. 64 callers make 18,500 calls a second in 0.1
//! commits a call, or 23,500 without syncs: the processor is their limit, with 50 µs of either core a
//! call. A replay takes 25 µs, 11 of them the policy's. A commit writes four pages twice: the row, its
//! key, and two indexes.
//!
//! **Damage.** Each row has a checksum, so a row that the disk changed is an error. A changed key in an
//! index hides its row instead, and no single read can detect that: [`SqliteStore::check`] does.
//!
//! Absent: protection from two flaws of SQLite's own bookkeeping. A checkpoint that a slow reader holds
//! up counts its pages as copied without a sync; if the next checkpoint's sync of the *database* fails and
//! the one after it succeeds, a power loss may take those pages. And if a process is killed just as it
//! restarts the WAL, the living processes recover the index, and may find the frames of an older failed
//! sync.
//!
//! Absent: detection of a restored backup. An operator that replaces the ledger by an older copy undoes
//! acknowledged writes, and must ensure that no call since that copy is still in progress.

mod command;
mod connection;
mod error;
mod file;
mod header;
mod reader;
mod row;
mod schema;
mod scrub;
mod wal_recovery;
mod writer;

#[cfg(test)]
mod tests;

pub use error::SqliteOpenError;

use async_trait::async_trait;
use command::WriteResult;
use reader::ReaderPool;
use row::{EntryRow, LedgerClock, NewRow};
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::{
    Backoff, ChangeNotifier, Clock, CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult,
    Retention, Store, StoreError, StoredEntry, SystemClock, Version,
};
use std::{fmt, path::Path, process, sync::Arc, time::Duration};
use writer::LedgerWriter;

/// The polling of waiters, which detects changes by other processes. A change through the same store
/// wakes its waiters at once.
const POLL_BACKOFF: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(32));

/// The rows that one transaction purges.
const PURGE_BATCH: usize = 500;

/// A ledger in a SQLite file.
///
/// It belongs to the process that opened it: after a fork, the child must open the file again. Dropping
/// the store blocks until all its writes are committed.
pub struct SqliteStore {
    /// `None` only while the store is dropped.
    parts: Option<StoreParts>,
    opened_by: u32,
}

/// The parts of a store, dropped in this order. The connection that closes last checkpoints the WAL into
/// the database; that must be the writer's, which has synced the folder of the file already.
struct StoreParts {
    readers: Arc<ReaderPool>,
    writer: LedgerWriter,
    waiters: Arc<ChangeNotifier>,
}

impl SqliteStore {
    /// Opens the ledger in this file. A missing file is created, for its owner only; its folder must exist.
    ///
    /// # Errors
    ///
    /// If the file is not a ledger that this release can use, or cannot keep acknowledged writes. A file
    /// that is not a ledger, or one of a newer release, is left unchanged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        Self::open_with_clock(path, Arc::new(SystemClock::new()))
    }

    /// As [`Self::open`], by this clock. Hidden because all users of a file must share a clock: for tests
    /// only.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    #[doc(hidden)]
    pub fn open_with_clock(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SqliteOpenError> {
        let (file, connection) = schema::open_ledger(path.as_ref())?;
        let clock = LedgerClock {
            clock,
            incarnation: schema::read_incarnation(&connection)
                .map_err(|error| file.sqlite_error(&error))?,
        };
        let waiters = Arc::new(ChangeNotifier::new());
        let readers = Arc::new(ReaderPool::new(file.clone(), clock.clone()));
        let writer = LedgerWriter::start(file, connection, clock, Arc::clone(&waiters))?;
        Ok(Self {
            parts: Some(StoreParts {
                writer,
                readers,
                waiters,
            }),
            opened_by: process::id(),
        })
    }

    /// Reads the whole file, and verifies that its tables and indexes agree. A bit that the disk changed can
    /// hide a record from every read of its key. It blocks, for seconds if the ledger is large.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or cannot be read.
    pub fn check(&self) -> Result<(), SqliteOpenError> {
        let readers = self.parts.as_ref().map(|parts| &parts.readers);
        readers.map_or(Ok(()), |readers| readers.check_integrity())
    }

    /// Returns the number of transactions that this store has committed. Writes per commit show the effect
    /// of group commit.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.parts
            .as_ref()
            .map_or(0, |parts| parts.writer.commits())
    }

    /// Returns the parts, if this process opened them.
    fn parts(&self) -> Result<&StoreParts, StoreError> {
        match &self.parts {
            Some(parts) if self.opened_by == process::id() => Ok(parts),
            _ => Err(StoreError::not_executed(
                "it was opened before this process was forked: open it again in this process",
            )),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.opened_by != process::id() {
            // The writer thread does not exist in a forked process, and closing a connection would drop the
            // locks of the process that opened it.
            std::mem::forget(self.parts.take());
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.parts.as_ref().map(|parts| parts.readers.path());
        f.debug_struct("SqliteStore")
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let new = NewRow::new(entry, version, keep)?;
        let bytes = new.entry.len();
        let work = move |at: &_, clock: &LedgerClock| command::create(at, clock.now(), key, &new);
        Ok(
            match self.parts()?.writer.commit(Some(key), bytes, work).await? {
                WriteResult::Written(now) => CreateResult::Created(now),
                WriteResult::Current(row, now) => CreateResult::Exists(row.into_entry()?, now),
            },
        )
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let new = NewRow::new(entry, version, keep)?;
        let bytes = new.entry.len();
        let work = move |at: &_, clock: &LedgerClock| {
            command::replace(at, clock.now(), key, expected, &new)
        };
        Ok(
            match self.parts()?.writer.commit(Some(key), bytes, work).await? {
                WriteResult::Written(now) => ReplaceResult::Replaced(now),
                WriteResult::Current(row, now) => {
                    ReplaceResult::Changed(row.map(EntryRow::into_entry).transpose()?, now)
                }
            },
        )
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        let new = NewRow::new(entry, version, keep)?;
        let bytes = new.entry.len();
        self.parts()?
            .writer
            .defer(key, bytes, move |at: &_, clock: &LedgerClock| {
                command::replace(at, clock.now(), key, expected, &new)
            })
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let work =
            move |at: &_, clock: &LedgerClock| command::remove(at, clock.now(), key, expected);
        Ok(
            match self.parts()?.writer.commit(Some(key), 0, work).await? {
                WriteResult::Written(_) => RemoveResult::Removed,
                WriteResult::Current(row, now) => {
                    RemoveResult::Changed(row.map(EntryRow::into_entry).transpose()?, now)
                }
            },
        )
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        let parts = self.parts()?;
        parts.writer.flush_deferred(Some(key)).await;
        let (row, now) = parts.readers.get(key).await?;
        Ok((row.map(EntryRow::into_entry).transpose()?, now))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let parts = self.parts()?;
        parts.writer.flush_deferred(None).await;
        let readers = Arc::clone(&parts.readers);
        let query = query.clone();
        // A page may scan every entry, which is too long for the caller's thread.
        tokio::task::spawn_blocking(move || readers.list_keys(&query))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::not_executed(
                    "the task that lists the ledger ended early",
                ))
            })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let mut purged = 0;
        loop {
            let batch = PURGE_BATCH.min(at_most - purged);
            let work = move |at: &_, clock: &LedgerClock| command::purge(at, clock.now(), batch);
            let dropped = self.parts()?.writer.commit(None, 0, work).await?;
            purged += dropped;
            if dropped < batch || purged >= at_most {
                return Ok(purged);
            }
        }
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let parts = self.parts()?;
        parts.writer.flush_deferred(None).await;
        let file = parts.readers.file().clone();
        tokio::task::spawn_blocking(move || scrub::scrub(&file))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::unknown(
                    "the task that scrubs the ledger ended early",
                ))
            })
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let Ok(StoreParts {
            readers,
            waiters,
            writer,
        }) = self.parts()
        else {
            return;
        };
        writer.flush_deferred(Some(key)).await;
        let has_changed = || std::future::ready(readers.has_changed(key, since));
        waiters
            .wait_until_changed(key, at_most, POLL_BACKOFF, has_changed)
            .await;
    }

    fn durability(&self) -> Durability {
        Durability::PowerLoss
    }

    fn reads_cheaply(&self) -> bool {
        true
    }
}
