//! Clearing from a ledger's files what was overwritten or removed: SQLite leaves it in free pages, in the slack of pages
//! that are in use, and in the WAL.
//!
//! The database is rebuilt from what still counts (`VACUUM`), and the WAL is moved to it and cut to nothing. Readers go on
//! meanwhile, writers of all processes wait, as they do for each other: on a large ledger for longer than they have
//! patience, so this is for an hour in which little happens. What a file system keeps of blocks that it freed, or a
//! backup of the file, is not reached from here.

use super::{SqliteOpenError, connection, file::LedgerFile};
use semel_store::StoreError;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long readers may stand in the way of cutting the WAL, and how long to sleep in between.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// It blocks.
pub(super) fn scrub(file: &LedgerFile) -> Result<(), StoreError> {
    rebuild(file).map_err(|fault| StoreError::Unknown(fault.to_string()))?;
    if cut_wal(file).map_err(|fault| StoreError::Unknown(fault.to_string()))? {
        return Ok(());
    }
    Err(StoreError::Unknown(
        "the ledger's file is rebuilt, but others read it all the time, so that its WAL still tells of the past: try again"
            .to_owned(),
    ))
}

fn rebuild(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    file.is_in_place()?;
    connection::to_write(file)?
        .execute_batch("VACUUM")
        .map_err(|error| file.fault(&error))
}

/// Whether all of the WAL was moved, and its file cut.
fn cut_wal(file: &LedgerFile) -> Result<bool, SqliteOpenError> {
    let connection = connection::to_write(file)?;
    let begun = Instant::now();
    loop {
        let busy: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| file.fault(&error))?;
        if busy == 0 || begun.elapsed() > PATIENCE {
            return Ok(busy == 0);
        }
        thread::sleep(PAUSE);
    }
}
