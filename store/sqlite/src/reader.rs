//! Reads in the caller's thread, over a pool of read-only connections.

use super::{
    connection,
    error::SqliteOpenError,
    file::LedgerFile,
    row::{EntryRow, LedgerClock, to_column},
    schema,
};
use parking_lot::Mutex;
use rusqlite::{Connection, named_params};
use semel_core::model::{Stamp, StoreKey};
use semel_store::{EntryQuery, KeyPage, PAGE_MAX, StoreError, Version};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The most idle connections in the pool.
const IDLE_MAX: usize = 8;

/// The longest wait of a reader for a lock, and the pause between attempts. A ledger is locked for
/// readers only while its WAL is recovered or removed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// The pool of connections that read a ledger.
pub(super) struct ReaderPool {
    file: LedgerFile,
    clock: LedgerClock,
    idle: Mutex<Vec<Connection>>,
}

impl ReaderPool {
    pub(super) fn new(file: LedgerFile, clock: LedgerClock) -> Self {
        Self {
            file,
            clock,
            idle: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file(&self) -> &LedgerFile {
        &self.file
    }

    /// Reads the row at a key, and the present time.
    pub(super) async fn get(&self, key: StoreKey) -> Result<(Option<EntryRow>, Stamp), StoreError> {
        let started = Instant::now();
        loop {
            match self.read_row(key) {
                Err(SqliteOpenError::Locked(_)) if started.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                read => return read.map_err(StoreError::not_executed),
            }
        }
    }

    /// Returns true if the key certainly holds another version than `since`. It returns false where the
    /// ledger cannot be read right now.
    pub(super) fn has_changed(&self, key: StoreKey, since: Version) -> bool {
        let is_unchanged = self.with_connection(|connection| {
            EntryRow::is_unchanged(connection, key, since, self.clock.now())
        });
        is_unchanged.is_ok_and(|is_unchanged| !is_unchanged)
    }

    /// Lists a page of keys in their order. It blocks.
    pub(super) fn list_keys(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let started = Instant::now();
        loop {
            match self
                .with_connection(|connection| select_keys(connection, query, self.clock.now()))
            {
                Err(SqliteOpenError::Locked(_)) if started.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_PAUSE)
                }
                listed => return listed.map_err(StoreError::not_executed),
            }
        }
    }

    /// Verifies the whole file. It blocks.
    pub(super) fn check_integrity(&self) -> Result<(), SqliteOpenError> {
        let found: String = self.with_connection(|connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        })?;
        if found == "ok" {
            return Ok(());
        }
        Err(SqliteOpenError::Damaged {
            path: self.file.path().to_owned(),
            detail: found,
        })
    }

    fn read_row(&self, key: StoreKey) -> Result<(Option<EntryRow>, Stamp), SqliteOpenError> {
        let row = self.with_connection(|connection| EntryRow::find(connection, key))?;
        // The clock is read last, so that no row appears to be written in the future.
        let now = self.clock.now();
        Ok((row.filter(|row| !row.is_expired(now)), now))
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SqliteOpenError> {
        let idle = self.idle.lock().pop();
        let connection = idle.map_or_else(|| connection::open_reader(&self.file), Ok)?;
        // A connection with a failed statement is closed, not reused.
        let result = read(&connection).map_err(|error| self.file.sqlite_error(&error))?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(result)
    }
}

fn select_keys(
    connection: &Connection,
    query: &EntryQuery,
    now: Stamp,
) -> rusqlite::Result<KeyPage> {
    let limit = query.limit.min(PAGE_MAX);
    let mut statement = connection.prepare_cached(&select_statement(query))?;
    let found = statement.query_map(
        named_params! {
            ":after": query.after.as_ref().map_or(&[][..], |key| key.as_bytes()),
            ":tenant": query.tenant.as_ref().map(|tenant| tenant.as_str()),
            ":due": query.due,
            ":wall_ms": to_column(now.wall_ms),
            ":steady_ms": to_column(now.steady_ms),
            ":boot": now.boot.0.cast_signed(),
            // One more key than asked shows if there is another page.
            ":limit": i64::try_from(limit + 1).unwrap_or(i64::MAX),
        },
        |row| row.get::<_, [u8; 32]>(0),
    )?;
    let mut keys = found
        .map(|key| key.map(StoreKey::from_bytes))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    Ok(KeyPage { keys, more })
}

/// Returns the query of a page. Settled entries are many, and listed by the index of keys; open ones are
/// few, and found by an index of their own.
fn select_statement(query: &EntryQuery) -> String {
    let only_open =
        query.due || (!query.states.is_empty() && query.states.iter().all(|state| state.is_open()));
    let (index, open) = if only_open {
        ("INDEXED BY entry_open", schema::OPEN)
    } else {
        ("", "TRUE")
    };
    let words = query
        .states
        .iter()
        .map(|state| format!("'{}'", state.word()))
        .collect::<Vec<_>>()
        .join(", ");
    let states = if words.is_empty() {
        "TRUE".to_owned()
    } else {
        format!("state IN ({words})")
    };
    format!(
        "SELECT key FROM entry {index}
         WHERE key > :after AND {open} AND {states}
             AND (:tenant IS NULL OR tenant = :tenant)
             AND (keep_until_ms IS NULL OR keep_until_ms > :wall_ms)
             AND (NOT :due OR written_boot <> :boot
                 OR written_wall_ms + due_in_ms <= :wall_ms
                 OR written_steady_ms + due_in_ms <= :steady_ms)
             AND (NOT :due OR due_in_ms IS NOT NULL)
         ORDER BY key LIMIT :limit"
    )
}
