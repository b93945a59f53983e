//! The tables of a ledger: recognised, made, and left alone if they are somebody else's.
//!
//! Entries lie in the order of their writing, not of their keys: keys are digests, so by key every write would touch
//! another page, and a commit of many would write as many pages.

use super::{SqliteOpenError, connection, file::LedgerFile, leftover};
use rusqlite::{Connection, TransactionBehavior};
use semel_core::model::Incarnation;
use semel_store::failpoints::{self, Failpoint};
use semel_store::fresh_nonce;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// `SEML`: by this number in its header a ledger is told from other databases.
const APPLICATION_ID: i64 = 0x5345_4D4C;

/// The schema that this release writes, and the newest that it knows.
const SCHEMA: i64 = 1;

/// What is still open and so must be found quickly. It stands in the index and word by word in the queries that use it.
pub(super) const OPEN: &str =
    "(due_in_ms IS NOT NULL OR state IN ('running', 'waiting', 'in-doubt', 'probing', 'held'))";

fn tables() -> String {
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

/// What a file is found to be.
pub(super) enum Found {
    Empty,
    Ledger,
}

/// How long an opener goes on where others open the same file, and how long it sleeps in between.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Opens the ledger in this file for writing, and makes it one if it is empty or missing.
pub(super) fn open(path: &Path) -> Result<(LedgerFile, Connection), SqliteOpenError> {
    connection::check_library()?;
    let file = LedgerFile::at(path)?;
    let begun = Instant::now();
    loop {
        match open_once(&file) {
            // Where two that read want to write, as when both change the journal, SQLite turns one away at once
            // instead of letting it wait; and those who come to a WAL that was left behind take turns.
            Err(SqliteOpenError::Locked(_)) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            opened => return opened.map(|connection| (file, connection)),
        }
    }
}

fn open_once(file: &LedgerFile) -> Result<Connection, SqliteOpenError> {
    // Until the ledger is open here.
    let _turn = leftover::secure(file)?;
    if let Found::Empty = inspect_untouched(file)? {
        set_up(file)?;
    }
    use_wal(file)?;
    connection::to_write(file)
}

/// The random value that was written when the ledger was made.
pub(super) fn incarnation(connection: &Connection) -> rusqlite::Result<Incarnation> {
    let value: i64 =
        connection.query_row("SELECT incarnation FROM ledger", [], |row| row.get(0))?;
    Ok(Incarnation(value.cast_unsigned()))
}

/// What the file is, by a connection that cannot write.
fn inspect_untouched(file: &LedgerFile) -> Result<Found, SqliteOpenError> {
    match inspect(file, &connection::to_inspect(file)?) {
        // Whoever was killed while it set the ledger up left a journal to roll back, which takes a writer.
        Err(SqliteOpenError::ReadOnly(_) | SqliteOpenError::Denied(_)) => {
            inspect(file, &connection::to_set_up(file)?)
        }
        found => found,
    }
}

/// What the file is, as this connection sees it.
pub(super) fn inspect(
    file: &LedgerFile,
    connection: &Connection,
) -> Result<Found, SqliteOpenError> {
    // In one statement, so that nobody sets the ledger up between one value and the next.
    const HEADER: &str = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
        FROM pragma_application_id, pragma_user_version";
    let header = connection.query_row(HEADER, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    match header.map_err(|error| file.fault(&error))? {
        (0_i64, 0_i64, 0_i64) => Ok(Found::Empty),
        (APPLICATION_ID, SCHEMA, _) => Ok(Found::Ledger),
        (APPLICATION_ID, found, _) if found > SCHEMA => Err(SqliteOpenError::Newer {
            path: file.path().to_owned(),
            found,
            known: SCHEMA,
        }),
        _ => Err(SqliteOpenError::Foreign(file.path().to_owned())),
    }
}

/// Makes a ledger of an empty file, unless another process was faster.
fn set_up(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let random = fresh_nonce().map_err(|error| SqliteOpenError::other(file.path(), error))?;
    let incarnation = i64::from_be_bytes(*random.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    let mut connection = connection::to_set_up(file)?;
    let fault = |error| file.fault(&error);
    if connection.is_readonly("main").map_err(fault)? {
        return Err(SqliteOpenError::ReadOnly(file.path().to_owned()));
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    if let Found::Empty = inspect(file, &transaction)? {
        transaction.execute_batch(&tables()).map_err(fault)?;
        transaction
            .execute("INSERT INTO ledger VALUES (1, ?)", [incarnation])
            .map_err(fault)?;
    }
    failpoints::before(Failpoint::SetUp);
    let committed = transaction.commit();
    failpoints::after(Failpoint::SetUp);
    committed.map_err(fault)
}

/// The mode stays with the file, so this changes something only once.
fn use_wal(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let connection = connection::to_set_up(file)?;
    let fault = |error| file.fault(&error);
    if connection.is_readonly("main").map_err(fault)? {
        return Err(SqliteOpenError::ReadOnly(file.path().to_owned()));
    }
    // Whether it took is checked by each connection that is opened for use.
    failpoints::before(Failpoint::UseWal);
    let used = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
    failpoints::after(Failpoint::UseWal);
    used.map_err(fault)
}
