//! A ledger in a SQLite file on a local disk, shared by any number of processes of one machine.
//!
//! Whoever writes while nobody else does commits at once, in the caller's thread. What is asked meanwhile is carried
//! out in one transaction by a thread of the store's own, each command with its own condition and its own answer.
//! Readers have connections of their own and read in the caller's thread, which takes microseconds. What nobody waits for
//! (`replace_deferred`) is written with whatever comes next, so that it costs no sync and keeps nobody from writing; after a
//! moment of rest by that thread; and at once where somebody asks for its key, or for a list.
//!
//! **What a reader sees is durable.** SQLite in WAL mode with `synchronous=FULL` writes the frames of a transaction,
//! then syncs the WAL, and only then publishes them in the shared index by which readers find frames. So what a
//! reader sees was synced before, whichever process wrote it, as long as all of them use `FULL`, which each
//! connection here sets and reads back. One gap is left: if a writer is killed between writing and syncing, or its sync
//! fails, and no other process has the file open, then the next to open it recovers the index from the WAL and finds
//! frames that the disk may lack. So whoever comes to a WAL that was left behind first writes it anew (`leftover`), and
//! each connection syncs the WAL once it has opened it, before its first answer.
//!
//! **A sync that failed** is not tried again: the kernel may have dropped what it was to keep, and still show it. While
//! anybody has the ledger open that harms nobody: SQLite gives those frames no place in the index, the next commit writes
//! over them, and a checkpoint moves none. So a writer whose commit failed stays open until another is open in its
//! place, and a store goes on. Whoever comes when all are gone writes the WAL anew.
//! Assumed of kernel and disk: a sync that succeeds keeps all that was written since the one before, failed or not; what is
//! written again is put on the disk again, though it reads the same; a sector that is written with what it holds, holds it.
//!
//! What opening costs: one look for a WAL where none was left; beside others who have the ledger open, one more attempt at
//! a lock; after a crash, all of the WAL (16 MiB, or what a slow reader let it grow to) read and written once, and a sync.
//!
//! **What an error means.** Until `COMMIT` is tried nothing was written. Once it was tried and failed, the frames may
//! lie in the file, and a recovery may find them: unknown, for every command of the transaction.
//!
//! **What it costs** (`cargo xtask bench`, two cores, a sync of 0.12 ms; entries of 1.2 KB). Two commits of one write each take
//! SQLite alone 230 µs, and a whole guarded call 350 to 380 µs: its policy's two decisions are 22 µs of that, its one look
//! 8 µs, and a sync after some work takes longer than one right after another. 64 callers make 18,500 calls a second in
//! 0.1 commits a call, and 23,500 where syncs cost nothing: what bounds them is the processor, with 50 µs of either core
//! a call. A replay takes 25 µs, 11 of them the policy's. A commit writes four pages twice (row, key, and two indices).
//!
//! **What a disk may change.** Each row has a sum over what answers rest on, so that a changed one is told as damaged. A
//! changed key in an index hides its row instead, which no single look can tell: [`SqliteStore::check`] does.
//!
//! Absent: a cure for what SQLite itself takes for done. It counts pages as moved that a checkpoint wrote but, for the
//! sake of a reader who still needed the WAL, did not sync; if the next checkpoint's sync of the *database* fails, and the one
//! after that succeeds, then a power loss may take those pages. And the index is recovered among the living too, if a host is
//! killed just as it begins the WAL from its start: with an older failed sync behind it, that shows what the disk may lack.
//!
//! Absent: a way to notice that a backup was restored. Whoever puts an older file in place of the ledger takes back
//! what was acknowledged since, and must see to it that nothing of that time is still under way.

mod command;
mod connection;
mod fault;
mod file;
mod leftover;
mod reader;
mod row;
mod schema;
mod scrub;
mod writer;

#[cfg(test)]
mod tests;

pub use fault::SqliteOpenError;

use async_trait::async_trait;
use command::Write;
use reader::Readers;
use row::{NewRow, Row, Time};
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::{
    Backoff, ChangeNotifier, Clock, CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult,
    Retention, Store, StoreError, StoredEntry, SystemClock, Version,
};
use std::{fmt, path::Path, process, sync::Arc, time::Duration};
use writer::Writer;

/// A change made through the same store wakes a waiter at once; of other processes there are no news.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(2),
    at_most: Duration::from_millis(32),
};

/// How many entries are dropped in one transaction.
const PURGE_BATCH: usize = 500;

/// A ledger in a SQLite file.
///
/// It belongs to the process that opened it: after a fork the child must open the file anew. Dropping it blocks until
/// all that was asked of it is carried out.
pub struct SqliteStore {
    /// None only while it is dropped.
    parts: Option<Parts>,
    opened_by: u32,
}

/// Dropped in this order: whoever closes the file last moves the WAL to it, and the writer has synced its folder already.
struct Parts {
    readers: Arc<Readers>,
    writer: Writer,
    waiters: Arc<ChangeNotifier>,
}

impl SqliteStore {
    /// Opens the ledger in this file. The file is made if it is missing, for its owner only; its folder must exist.
    ///
    /// # Errors
    /// Whatever keeps the file from being a ledger that keeps what it acknowledged. Nothing is written to a file that
    /// is not a ledger, or one of a newer release.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        Self::open_with_clock(path, Arc::new(SystemClock::new()))
    }

    /// As [`Self::open`], by this clock. Hidden because whoever shares a file must share a clock: for tests only.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[doc(hidden)]
    pub fn open_with_clock(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SqliteOpenError> {
        let (file, connection) = schema::open(path.as_ref())?;
        let time = Time {
            clock,
            incarnation: schema::incarnation(&connection).map_err(|error| file.fault(&error))?,
        };
        let waiters = Arc::new(ChangeNotifier::new());
        let readers = Arc::new(Readers::new(file.clone(), time.clone()));
        let writer = Writer::start(file, connection, time, Arc::clone(&waiters))?;
        Ok(Self {
            parts: Some(Parts {
                writer,
                readers,
                waiters,
            }),
            opened_by: process::id(),
        })
    }

    /// Reads the whole file, and says whether its tables and indexes agree. A disk that changes a bit can hide a record
    /// from whoever looks for it, which no single look can tell. It blocks, for seconds where the ledger is large.
    ///
    /// # Errors
    /// If the file is damaged, or cannot be read.
    pub fn check(&self) -> Result<(), SqliteOpenError> {
        let readers = self.parts.as_ref().map(|parts| &parts.readers);
        readers.map_or(Ok(()), |readers| readers.check())
    }

    /// How many transactions were committed through this store so far: with the count of writes, how well they are
    /// grouped.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.parts
            .as_ref()
            .map_or(0, |parts| parts.writer.commits())
    }

    /// What the store is made of, in the process that it belongs to.
    fn parts(&self) -> Result<&Parts, StoreError> {
        let here = self.opened_by == process::id();
        self.parts.as_ref().filter(|_| here).ok_or_else(|| {
            StoreError::NotExecuted(
                "it was opened before this process was forked off: open it in this process anew"
                    .to_owned(),
            )
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.opened_by != process::id() {
            // The thread does not exist here, and closing a connection would disturb the process that it belongs to.
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
        let new = NewRow::of(entry, version, keep)?;
        let bytes = new.entry.len();
        let work = move |at: &_, time: &Time| command::create(at, time.now(), key, &new);
        Ok(
            match self
                .parts()?
                .writer
                .carry_out(Some(key), bytes, work)
                .await?
            {
                Write::Done(now) => CreateResult::Created(now),
                Write::Found(row, now) => CreateResult::Exists(row.into_stored()?, now),
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
        let new = NewRow::of(entry, version, keep)?;
        let bytes = new.entry.len();
        let work = move |at: &_, time: &Time| command::replace(at, time.now(), key, expected, &new);
        Ok(
            match self
                .parts()?
                .writer
                .carry_out(Some(key), bytes, work)
                .await?
            {
                Write::Done(now) => ReplaceResult::Replaced(now),
                Write::Found(row, now) => {
                    ReplaceResult::Changed(row.map(Row::into_stored).transpose()?, now)
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
        let new = NewRow::of(entry, version, keep)?;
        let bytes = new.entry.len();
        self.parts()?
            .writer
            .put_off(key, bytes, move |at: &_, time: &Time| {
                command::replace(at, time.now(), key, expected, &new)
            })
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let work = move |at: &_, time: &Time| command::remove(at, time.now(), key, expected);
        Ok(
            match self.parts()?.writer.carry_out(Some(key), 0, work).await? {
                Write::Done(_) => RemoveResult::Removed,
                Write::Found(row, now) => {
                    RemoveResult::Changed(row.map(Row::into_stored).transpose()?, now)
                }
            },
        )
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        let parts = self.parts()?;
        parts.writer.bring_about(Some(key)).await;
        let (row, now) = parts.readers.get(key).await?;
        Ok((row.map(Row::into_stored).transpose()?, now))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let parts = self.parts()?;
        parts.writer.bring_about(None).await;
        let readers = Arc::clone(&parts.readers);
        let query = query.clone();
        // A page may take a look at every entry there is, so it is not read in the caller's thread.
        tokio::task::spawn_blocking(move || readers.list(&query))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::NotExecuted(
                    "reading the ledger was broken off".to_owned(),
                ))
            })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let mut purged = 0;
        loop {
            let batch = PURGE_BATCH.min(at_most - purged);
            let work = move |at: &_, time: &Time| command::purge(at, time.now(), batch);
            let dropped = self.parts()?.writer.carry_out(None, 0, work).await?;
            purged += dropped;
            if dropped < batch || purged >= at_most {
                return Ok(purged);
            }
        }
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        let parts = self.parts()?;
        parts.writer.bring_about(None).await;
        let file = parts.readers.file().clone();
        tokio::task::spawn_blocking(move || scrub::scrub(&file))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unknown(
                    "clearing the ledger's file was broken off".to_owned(),
                ))
            })
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let Ok(Parts {
            readers,
            waiters,
            writer,
        }) = self.parts()
        else {
            return;
        };
        writer.bring_about(Some(key)).await;
        let has_changed = || std::future::ready(readers.has_changed(key, since));
        waiters
            .wait_until_changed(key, at_most, PAUSES, has_changed)
            .await;
    }

    fn durability(&self) -> Durability {
        Durability::PowerLoss
    }

    fn reads_cheaply(&self) -> bool {
        true
    }
}
