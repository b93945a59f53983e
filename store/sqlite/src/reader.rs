//! Reading a ledger in the caller's thread, by connections that are kept for the next reader.

use super::{
    SqliteOpenError, connection,
    file::LedgerFile,
    row::{Row, Time, number},
    schema,
};
use rusqlite::{Connection, named_params};
use semel_core::model::{Stamp, StoreKey};
use semel_store::{EntryQuery, KeyPage, PAGE_MAX, StoreError, Version};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many connections are kept while nobody uses them.
const IDLE_MAX: usize = 8;

/// How long a reader goes on asking while the ledger is locked, which it is for readers only while its WAL is
/// recovered or given up, and how long it sleeps in between.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Reads a ledger.
pub(super) struct Readers {
    file: LedgerFile,
    time: Time,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: LedgerFile, time: Time) -> Self {
        Self {
            file,
            time,
            idle: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file(&self) -> &LedgerFile {
        &self.file
    }

    /// What lies at the key, and what time it is.
    pub(super) async fn get(&self, key: StoreKey) -> Result<(Option<Row>, Stamp), StoreError> {
        let started = Instant::now();
        loop {
            match self.look(key) {
                Err(SqliteOpenError::Locked(_)) if started.elapsed() < LOCK_PATIENCE => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                looked => return looked.map_err(not_read),
            }
        }
    }

    /// Whether another version than this lies at the key, as far as that can be told right now.
    pub(super) fn has_changed(&self, key: StoreKey, since: Version) -> bool {
        let still_lies =
            self.read(|connection| Row::still_lies(connection, key, since, self.time.now()));
        still_lies.is_ok_and(|still_lies| !still_lies)
    }

    /// A page of keys, in their order. It blocks.
    pub(super) fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let started = Instant::now();
        loop {
            match self.read(|connection| list(connection, query, self.time.now())) {
                Err(SqliteOpenError::Locked(_)) if started.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_PAUSE)
                }
                listed => return listed.map_err(not_read),
            }
        }
    }

    /// Whether the file is sound as a whole. It blocks.
    pub(super) fn check(&self) -> Result<(), SqliteOpenError> {
        let found: String = self.read(|connection| {
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

    fn look(&self, key: StoreKey) -> Result<(Option<Row>, Stamp), SqliteOpenError> {
        let row = self.read(|connection| Row::find(connection, key))?;
        // The time is taken after the look, so that nothing is found to be written in the future.
        let now = self.time.now();
        Ok((row.filter(|row| !row.is_past_end(now)), now))
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SqliteOpenError> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| connection::to_read(&self.file), Ok)?;
        // A connection that failed is not used again.
        let seen = look(&connection).map_err(|error| self.file.fault(&error))?;
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(seen)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_read(fault: SqliteOpenError) -> StoreError {
    StoreError::NotExecuted(fault.to_string())
}

fn list(connection: &Connection, query: &EntryQuery, now: Stamp) -> rusqlite::Result<KeyPage> {
    let limit = query.limit.min(PAGE_MAX);
    let mut statement = connection.prepare_cached(&list_statement(query))?;
    let found = statement.query_map(
        named_params! {
            ":after": query.after.as_ref().map_or(&[][..], |key| key.as_bytes()),
            ":tenant": query.tenant.as_ref().map(|tenant| tenant.as_str()),
            ":due": query.due,
            ":wall_ms": number(now.wall_ms),
            ":steady_ms": number(now.steady_ms),
            ":boot": now.boot.0.cast_signed(),
            // One more than asked, to know whether there is more.
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

/// Settled entries are many, and listed in the order of their keys; open ones are few, and found by an index.
fn list_statement(query: &EntryQuery) -> String {
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
