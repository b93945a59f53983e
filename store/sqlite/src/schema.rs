//! The tables of a ledger: found, or created in an empty file.
//!
//! Rows are stored in the order of their writing, not of their keys. Keys are digests, so in their order
//! every write would touch another page, and a commit of many rows would write as many pages.

use super::{
    connection,
    error::SqliteOpenError,
    file::LedgerFile,
    header::{APPLICATION_ID, FileContent, SCHEMA, inspect},
    wal_recovery,
};
use rusqlite::{Connection, TransactionBehavior};
use semel_core::model::Incarnation;
use semel_store::failpoints::{self, Failpoint};
use semel_store::fresh_nonce;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The condition of the index of open entries. Queries repeat it literally, because SQLite uses a
/// partial index only then.
pub(super) const OPEN: &str =
    "(due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held'))";

/// The longest wait for other processes that open the same file, and the pause between attempts.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const OPEN_PAUSE: Duration = Duration::from_millis(2);

fn create_statements() -> String {
    let moment = |prefix: &str| {
        ["wall_ms", "steady_ms", "boot", "incarnation"]
            .map(|part| format!("{prefix}_{part} INTEGER NOT NULL,\n    "))
            .concat()
    };
    format!(
        "CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation INTEGER NOT NULL
) STRICT;
CREATE TABLE entry (
    key BLOB NOT NULL UNIQUE,
    version BLOB NOT NULL,
    {}{}keep_until_ms INTEGER,
    tenant TEXT,
    state TEXT NOT NULL,
    due_in_ms INTEGER,
    entry BLOB NOT NULL,
    sum INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_open ON entry (state, key) WHERE {OPEN};
CREATE INDEX entry_ending ON entry (keep_until_ms) WHERE keep_until_ms IS NOT NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA};",
        moment("created"),
        moment("written")
    )
}

/// Opens the ledger in this file for writing, and creates it in an empty or missing file.
pub(super) fn open_ledger(path: &Path) -> Result<(LedgerFile, Connection), SqliteOpenError> {
    connection::check_library_version()?;
    let file = LedgerFile::create_if_missing(path)?;
    let begun = Instant::now();
    loop {
        match open_once(&file) {
            // The busy handler does not cover two cases: SQLite fails at once where two readers want to
            // write, as when both change the journal mode, and WAL recovery is done in turns.
            Err(SqliteOpenError::Locked(_)) if begun.elapsed() < OPEN_TIMEOUT => {
                thread::sleep(OPEN_PAUSE)
            }
            opened => return opened.map(|connection| (file, connection)),
        }
    }
}

fn open_once(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    // Held until the ledger is open here.
    let _turn = wal_recovery::recover_wal(file)?;
    if let FileContent::Empty = inspect_read_only(file)? {
        create_tables(file)?;
    }
    enable_wal(file)?;
    connection::open_writer(file)
}

/// Returns the random value that was written when the ledger was created.
pub(super) fn read_incarnation(connection: &Connection) -> rusqlite::Result<Incarnation> {
    let value: i64 =
        connection.query_row("SELECT incarnation FROM ledger", [], |row| row.get(0))?;
    Ok(Incarnation(value.cast_unsigned()))
}

/// Inspects the file by a connection that cannot write, so that a foreign file stays as it is.
fn inspect_read_only(file: &LedgerFile) -> Result<FileContent, SqliteOpenError> {
    match inspect(file, &connection::open_read_only(file)?) {
        // A process that was killed while it created the tables left a rollback journal, and only a
        // writer can roll it back.
        Err(SqliteOpenError::ReadOnly(_) | SqliteOpenError::Denied(_)) => {
            inspect(file, &connection::open_for_setup(file)?)
        }
        found => found,
    }
}

/// Creates the tables in an empty file, unless another process was faster.
fn create_tables(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let random = fresh_nonce().map_err(|error| SqliteOpenError::other(file.path(), error))?;
    let incarnation = i64::from_be_bytes(*random.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    let mut connection = connection::open_for_setup(file)?;
    let sqlite_error = |error| file.sqlite_error(&error);
    if connection.is_readonly("main").map_err(sqlite_error)? {
        return Err(SqliteOpenError::ReadOnly(file.path().to_owned()));
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite_error)?;
    if let FileContent::Empty = inspect(file, &transaction)? {
        transaction
            .execute_batch(&create_statements())
            .map_err(sqlite_error)?;
        transaction
            .execute("INSERT INTO ledger VALUES (1, ?)", [incarnation])
            .map_err(sqlite_error)?;
    }
    failpoints::before(Failpoint::SetUp);
    let committed = transaction.commit();
    failpoints::after(Failpoint::SetUp);
    committed.map_err(sqlite_error)
}

/// Switches the file to WAL mode. The mode is stored in the file, so this changes it only once.
fn enable_wal(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let connection = connection::open_for_setup(file)?;
    let sqlite_error = |error| file.sqlite_error(&error);
    if connection.is_readonly("main").map_err(sqlite_error)? {
        return Err(SqliteOpenError::ReadOnly(file.path().to_owned()));
    }
    // SQLite reports no error if the mode did not change: each connection checks it when it opens.
    failpoints::before(Failpoint::UseWal);
    let used = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
    failpoints::after(Failpoint::UseWal);
    used.map_err(sqlite_error)
}
