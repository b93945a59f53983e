//! Recovery of a WAL that a crashed process left behind: it is made durable before anything reads it.
//!
//! A sync that fails may lose the pages it should have kept: Linux marks them as clean and goes on
//! showing them. The next process to recover the WAL takes those frames for committed, and another sync
//! has no effect, because no page is dirty. If the frames are then checkpointed, a power loss leaves half
//! of them in the database, and no WAL to finish the other half. New commits behind the lost frames
//! would be out of reach of a later recovery.
//!
//! So a process that finds a WAL while no other has the ledger open rewrites every byte of it in place,
//! and syncs it. If that fails, the ledger is not opened, and the next process tries again. While another
//! process has the ledger open, nothing needs to be done: frames are found by the shared index, which
//! holds no frame that was not synced.
//!
//! An exclusive lock on the whole database, held for a moment, shows if other connections are open.
//! Processes that recover at the same time would take each other for such connections. So they take
//! turns, by a lock on the WAL file that each holds until it has the ledger open.
//!
//! Absent: protection where another program recovers the WAL first, and where a process fails a sync and
//! is killed between the check for a WAL here and the first read of its opener.

mod wal;

use super::{connection, error::SqliteOpenError, file::LedgerFile, header};
use semel_store::failpoints::{self, Failpoint};
use std::fs::{File, TryLockError};

/// The right to recover the WAL. While it is held, other openers get [`SqliteOpenError::Locked`].
pub(super) struct RecoveryTurn {
    _wal: File,
}

/// Makes an abandoned WAL durable. Returns `None` without one, and if other connections
/// are open.
pub(super) fn recover_wal(file: &LedgerFile) -> Result<Option<RecoveryTurn>, SqliteOpenError> {
    let Some(wal) = file.open_wal()? else {
        return Ok(None);
    };
    match wal.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(SqliteOpenError::Locked(file.path().to_owned()));
        }
        Err(TryLockError::Error(error)) => {
            return Err(SqliteOpenError::from_io(file.path(), &error));
        }
    }
    match rewrite_wal(file) {
        Err(SqliteOpenError::Locked(_)) => Ok(None),
        done => done.map(|()| Some(RecoveryTurn { _wal: wal })),
    }
}

/// Rewrites the WAL, then has a second connection checkpoint it.
///
/// INVARIANT: the first connection never checkpoints. Until the rewrite is synced, the kernel may stop
/// showing pages that the disk lacks.
fn rewrite_wal(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let connection = connection::open_exclusive(file)?;
    // The caller's next step refuses a read-only file, with its remedy.
    if connection
        .is_readonly("main")
        .map_err(|error| file.sqlite_error(&error))?
    {
        return Ok(());
    }
    // The WAL of another program stays as it is.
    header::inspect(file, &connection)?;
    failpoints::before(Failpoint::RewriteWal);
    let rewritten = wal::rewrite(&connection);
    failpoints::after(Failpoint::RewriteWal);
    rewritten.map_err(|error| file.sqlite_error(&error))?;
    drop(connection);
    // A connection that closes last checkpoints the WAL into the database. The next step then finds a
    // ledger as a clean shutdown leaves it, in any journal mode.
    header::inspect(file, &connection::open_for_setup(file)?).map(drop)
}
