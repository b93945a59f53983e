//! Connections to a ledger's file, each with the settings that durability rests on.

use super::{SqliteOpenError, file::LedgerFile};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::time::{Duration, Instant};

/// The oldest library that will do: older ones can damage a database in WAL mode.
const LIBRARY_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

/// How long a writer waits for the lock that another process holds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How many pages the WAL holds before they are moved to the database, which costs two syncs: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_096;

/// How large the WAL file may stay once its content was moved.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// How long a writer waits for the lock that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all: where nobody may block.
    None,
    /// Until [`LOCK_PATIENCE`] is over.
    Long,
}

/// From now on the connection waits for locks like this.
pub(super) fn wait_with(connection: &mut Connection, patience: Patience) -> rusqlite::Result<()> {
    match patience {
        Patience::None => connection.busy_timeout(Duration::ZERO),
        Patience::Long => connection.busy_handler(Some(wait_for_lock())),
    }
}

pub(super) fn check_library() -> Result<(), SqliteOpenError> {
    let (number, needed) = LIBRARY_NEEDED;
    if rusqlite::version_number() < number {
        return Err(SqliteOpenError::OldLibrary {
            found: rusqlite::version(),
            needed,
        });
    }
    Ok(())
}

/// A connection that only looks, to a file that may be anything.
pub(super) fn to_inspect(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    patient(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A connection that keeps all others out from its first look on, and finds the ledger locked if there are any. It moves
/// nothing from the WAL into the database.
pub(super) fn to_have_alone(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| {
            connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
        })
        .map_err(|error| file.fault(&error))?;
    Ok(connection)
}

/// A connection that writes to what may still be an empty file.
pub(super) fn to_set_up(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    patient(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// A connection that writes to a ledger. It waits for other writers.
pub(super) fn to_write(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    let connection = to_set_up(file)?;
    make_durable(file, &connection)?;
    Ok(connection)
}

/// A connection that reads a ledger. It does not wait for locks, because it is used where nobody may block.
pub(super) fn to_read(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    make_durable(file, &connection)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| file.fault(&error))?;
    Ok(connection)
}

fn patient(file: &LedgerFile, access: OpenFlags) -> Result<Connection, SqliteOpenError> {
    let mut connection = open(file, access)?;
    wait_with(&mut connection, Patience::Long).map_err(|error| file.fault(&error))?;
    Ok(connection)
}

fn open(file: &LedgerFile, access: OpenFlags) -> Result<Connection, SqliteOpenError> {
    // Without SQLITE_OPEN_CREATE: the file exists, and if it was removed since, no other takes its place.
    Connection::open_with_flags(file.path(), access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| {
            connection.busy_timeout(Duration::ZERO)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            Ok(connection)
        })
        .map_err(|error| file.fault(&error))
}

/// Waits for a lock, briefly at first: a commit of another process takes a sync, not the second that SQLite's own
/// waiting soon sleeps.
fn wait_for_lock() -> impl FnMut(i32) -> bool + Send + 'static {
    let mut since = Instant::now();
    move |tries| {
        if tries == 0 {
            since = Instant::now();
        }
        let waited = since.elapsed();
        std::thread::sleep(match waited.as_millis() {
            0..5 => Duration::from_micros(200),
            5..100 => Duration::from_millis(1),
            _ => Duration::from_millis(5),
        });
        waited < LOCK_PATIENCE
    }
}

/// Sets what durability rests on, and reads it back; then makes durable what was found.
fn make_durable(file: &LedgerFile, connection: &Connection) -> Result<(), SqliteOpenError> {
    let settings = || -> rusqlite::Result<(String, i64)> {
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
        let journal = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        Ok((journal, synchronous))
    };
    const FULL: i64 = 2;
    let (journal, synchronous) = settings().map_err(|error| file.fault(&error))?;
    check_setting(file, "journal_mode", "wal", journal)?;
    if synchronous != FULL {
        check_setting(file, "synchronous", "FULL", synchronous.to_string())?;
    }
    // The first look recovers the WAL where nobody else has it open. What it found there must be durable before it
    // is answered: see the module.
    connection
        .query_row("SELECT count(*) FROM ledger", [], |_| Ok(()))
        .map_err(|error| file.fault(&error))?;
    file.sync_wal()
}

fn check_setting(
    file: &LedgerFile,
    setting: &'static str,
    wanted: &'static str,
    found: String,
) -> Result<(), SqliteOpenError> {
    if found == wanted {
        return Ok(());
    }
    Err(SqliteOpenError::Setting {
        path: file.path().to_owned(),
        setting,
        wanted,
        found,
    })
}
