//! A WAL that was left behind: it is made durable before anybody looks into it.
//!
//! A sync that fails may have dropped what it should have kept (Linux counts such pages as written), and the kernel
//! goes on showing it: whoever recovers the WAL takes it for committed. To sync again does nothing, because nothing is left
//! to be written. If the disk lacks it while it is moved into the database, a power loss leaves half of it there and
//! nothing to finish it by; and what is written behind it lies where a later recovery does not arrive.
//!
//! So whoever comes to a WAL while nobody has the ledger open writes it anew, byte by byte what it shows, and syncs it.
//! Where that fails the ledger is not opened, and the next to come does it again. Where others have the ledger open there is
//! nothing to do: they find frames by the shared index, which names none that was not synced.
//!
//! Whether others are there SQLite's own lock tells, on the whole database for a moment. Those who come at once take
//! turns, by a lock on the WAL's file, until one of them has the ledger open: each would take the other for one who has.
//!
//! Absent: a WAL that another program recovers first, and a host that fails and is killed in the very moment between the
//! look whether it is there and the first look of the one who asks.

mod wal;

use super::{SqliteOpenError, connection, file::LedgerFile, schema};
use semel_store::failpoints::{self, Failpoint};
use std::fs::{File, TryLockError};

/// As long as it lives, others who come to the same WAL are told that the ledger is locked.
pub(super) struct Turn {
    _wal: File,
}

/// Makes a WAL durable that was left behind. None: there is none, or others have the ledger open.
pub(super) fn secure(file: &LedgerFile) -> Result<Option<Turn>, SqliteOpenError> {
    let Some(wal) = file.wal()? else {
        return Ok(None);
    };
    match wal.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(SqliteOpenError::Locked(file.path().to_owned()));
        }
        Err(TryLockError::Error(error)) => {
            return Err(SqliteOpenError::of_system(file.path(), &error));
        }
    }
    match write_anew(file) {
        Err(SqliteOpenError::Locked(_)) => Ok(None),
        done => done.map(|()| Some(Turn { _wal: wal })),
    }
}

/// The connection recovers the WAL to see whether it is a ledger's, and never moves it into the database: until it is
/// written, the kernel may cease to show what the disk lacks.
fn write_anew(file: &LedgerFile) -> Result<(), SqliteOpenError> {
    let connection = connection::to_have_alone(file)?;
    // What cannot be written is refused by the next step, in its words.
    if connection
        .is_readonly("main")
        .map_err(|error| file.fault(&error))?
    {
        return Ok(());
    }
    schema::inspect(file, &connection)?;
    failpoints::before(Failpoint::RewriteWal);
    let written = wal::write_anew(&connection);
    failpoints::after(Failpoint::RewriteWal);
    written.map_err(|error| file.fault(&error))?;
    drop(connection);
    // Whoever looks and is alone moves it into the database as he closes: what comes next finds a ledger as it is left
    // by those who end in peace, whatever mode its header tells.
    schema::inspect(file, &connection::to_set_up(file)?).map(drop)
}
