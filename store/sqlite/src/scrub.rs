//! Erasure of overwritten and removed content, which SQLite leaves in free pages, in the slack of used
//! pages, and in the WAL.
//!
//! `VACUUM` rebuilds the database from its live rows, then the WAL is checkpointed and truncated. Readers
//! continue. The writers of all processes wait, on a large ledger beyond their time limit, so this is for
//! a quiet hour. Absent: freed blocks of the file system, and backups of the file.

use super::{connection, error::SqliteOpenError, file::LedgerFile};
use semel_store::StoreError;
use std::{
    thread,
    time::{Duration, Instant},
};

/// The longest wait for readers that keep the WAL from being truncated, and the pause between attempts.
const TRUNCATE_TIMEOUT: Duration = Duration::from_secs(10);
const TRUNCATE_PAUSE: Duration = Duration::from_millis(20);

/// Erases old content from the ledger's files. It blocks.
pub(super) fn scrub(file: &LedgerFile) -> Result<(), StoreError> {
    vacuum(file).map_err(StoreError::unknown)?;
    if truncate_wal(file).map_err(StoreError::unknown)? {
        return Ok(());
    }
    Err(StoreError::unknown(
        "the ledger's file is rebuilt, but other processes kept reading, so its WAL still holds old content: try again",
    ))
}

fn vacuum(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    file.ensure_in_place()?;
    connection::open_writer(file)?
        .execute_batch("VACUUM")
        .map_err(|error| file.sqlite_error(&error))
}

/// Returns true if the whole WAL was checkpointed, and its file truncated.
fn truncate_wal(file: &LedgerFile) -> Result<bool, SqliteOpenError> {
    let connection = connection::open_writer(file)?;
    let begun = Instant::now();
    loop {
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| file.sqlite_error(&error))?;
        if busy == 0 || begun.elapsed() > TRUNCATE_TIMEOUT {
            return Ok(busy == 0);
        }
        thread::sleep(TRUNCATE_PAUSE);
    }
}
