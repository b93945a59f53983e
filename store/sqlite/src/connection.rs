//! Connections to a ledger's file, each with the settings that durability depends on.

use super::{error::SqliteOpenError, file::LedgerFile};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::time::{Duration, Instant};

/// The oldest safe SQLite library: older ones can damage a database in WAL mode.
const LIBRARY_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

/// The longest wait of a writer for the lock of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the WAL, in pages, at which a commit starts a checkpoint: 16 MiB. A checkpoint costs two
/// syncs.
const CHECKPOINT_PAGES: i64 = 4_096;

/// The size to which the WAL file is cut after a checkpoint.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// The reaction of a connection to a lock that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusyPolicy {
    /// Fail at once: for threads that must not block.
    FailAtOnce,
    /// Retry until [`LOCK_TIMEOUT`].
    Wait,
}

/// Sets the reaction to locks from now on.
pub(super) fn set_busy_policy(
    connection: &mut Connection,
    policy: BusyPolicy,
) -> rusqlite::Result<()> {
    match policy {
        BusyPolicy::FailAtOnce => connection.busy_timeout(Duration::ZERO),
        BusyPolicy::Wait => connection.busy_handler(Some(lock_backoff())),
    }
}

/// Refuses a SQLite library that is too old.
pub(super) fn check_library_version() -> Result<(), SqliteOpenError> {
    let (number, needed) = LIBRARY_NEEDED;
    if rusqlite::version_number() < number {
        return Err(SqliteOpenError::OldLibrary {
            found: rusqlite::version(),
            needed,
        });
    }
    Ok(())
}

/// Opens a file of any content without the right to write.
pub(super) fn open_read_only(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    open_waiting(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens the file for this connection alone. Its first read fails with [`SqliteOpenError::Locked`] if
/// another connection is open. It never checkpoints.
pub(super) fn open_exclusive(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    let connection = open_connection(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| {
            connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
        })
        .map_err(|error| file.sqlite_error(&error))?;
    Ok(connection)
}

/// Opens a file for writing that may still be empty.
pub(super) fn open_for_setup(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    open_waiting(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Opens a ledger for writing. The connection waits for other writers.
pub(super) fn open_writer(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    let connection = open_for_setup(file)?;
    make_durable(file, &connection)?;
    Ok(connection)
}

/// Opens a ledger for reading. The connection does not wait for locks, because it is used where no
/// thread may block.
pub(super) fn open_reader(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    // With the right to write: a reader of a WAL writes to the shared index.
    let connection = open_connection(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    make_durable(file, &connection)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| file.sqlite_error(&error))?;
    Ok(connection)
}

fn open_waiting(file: &LedgerFile, access: OpenFlags) -> Result<Connection, SqliteOpenError> {
    let mut connection = open_connection(file, access)?;
    set_busy_policy(&mut connection, BusyPolicy::Wait)
        .map_err(|error| file.sqlite_error(&error))?;
    Ok(connection)
}

fn open_connection(file: &LedgerFile, access: OpenFlags) -> Result<Connection, SqliteOpenError> {
    // Without SQLITE_OPEN_CREATE: if the existing file is removed, no new one takes its place.
    Connection::open_with_flags(file.path(), access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| {
            connection.busy_timeout(Duration::ZERO)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            Ok(connection)
        })
        .map_err(|error| file.sqlite_error(&error))
}

/// Returns a busy handler with short pauses at first: a commit of another process takes one sync, and
/// the handler of SQLite soon sleeps for a whole second.
fn lock_backoff() -> impl FnMut(i32) -> bool + Send + 'static {
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
        waited < LOCK_TIMEOUT
    }
}

/// Applies the settings that durability depends on, reads them back, and syncs the WAL.
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
    let (journal, synchronous) = settings().map_err(|error| file.sqlite_error(&error))?;
    check_setting(file, "journal_mode", "wal", journal)?;
    if synchronous != FULL {
        check_setting(file, "synchronous", "FULL", synchronous.to_string())?;
    }
    // The first read recovers the WAL if no other connection is open. The recovered frames must be
    // durable before this connection answers anything from them (see the crate's page).
    connection
        .query_row("SELECT count(*) FROM ledger", [], |_| Ok(()))
        .map_err(|error| file.sqlite_error(&error))?;
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
