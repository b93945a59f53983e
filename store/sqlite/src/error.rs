//! The errors of a ledger's file, each with its remedy.

use rusqlite::ErrorCode;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The reason a file cannot be opened or used as a ledger.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// The folder of the file does not exist.
    #[error("the folder `{}` of the ledger does not exist: create it, or name another file", .0.display())]
    FolderMissing(PathBuf),
    /// The path names a folder, a socket or another special file.
    #[error("`{}` is not a file: name a file for the ledger", .0.display())]
    NotAFile(PathBuf),
    /// This user lacks the permission to read or write the file.
    #[error("no permission for the ledger `{}`: let this user read and write the file and its folder", .0.display())]
    Denied(PathBuf),
    /// The file or its file system is read-only.
    #[error("the ledger `{}` is read-only: make the file and its folder writable, or name another file", .0.display())]
    ReadOnly(PathBuf),
    /// The disk or the quota is full.
    #[error("no space is left for the ledger `{}`: free some on its disk, or raise the quota", .0.display())]
    DiskFull(PathBuf),
    /// The file is on a network file system, with unreliable locks and syncs.
    #[error(
        "the ledger `{}` is on a file system of the kind {kind}, which has no reliable locks: move it to a local disk",
        path.display()
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The file is not a SQLite database.
    #[error("`{}` is not a ledger, and not even a database: name another file", .0.display())]
    NotADatabase(PathBuf),
    /// The file is the database of another program.
    #[error("`{}` is the database of another program, and is left as it is: name another file", .0.display())]
    Foreign(PathBuf),
    /// A newer release wrote the ledger.
    #[error(
        "the ledger `{}` has schema {found}, and this release knows {known}: use the release that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema of the ledger.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// An older release wrote the ledger.
    #[error(
        "the ledger `{}` has schema {found}, and this release knows {known}: settle what is open with the release that \
         wrote it, then move the file away, and a new ledger begins",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The schema of the ledger.
        found: i64,
        /// The schema that this release knows.
        known: i64,
    },
    /// The database or a row in it is damaged.
    #[error("the ledger `{}` is damaged ({detail}): restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The symptom of the damage.
        detail: String,
    },
    /// The disk failed to read, write or sync.
    #[error("the disk of the ledger `{}` failed ({detail}): see whether it has room, and whether it is sound", path.display())]
    DiskFailed {
        /// The file.
        path: PathBuf,
        /// The message of SQLite.
        detail: String,
    },
    /// Another process held the lock beyond the time limit.
    #[error("another process has kept the ledger `{}` locked for too long: find and end it, or try again", .0.display())]
    Locked(PathBuf),
    /// The opened file is gone from its path, or another file has replaced it.
    #[error("the ledger `{}` was moved, removed or replaced while it was in use: put it back and start again", .0.display())]
    Gone(PathBuf),
    /// A setting that durability depends on did not take effect.
    #[error("the ledger `{}` works with `{setting} = {found}` instead of `{wanted}`: move it to another disk", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// The required value.
        wanted: &'static str,
        /// The actual value.
        found: String,
    },
    /// The SQLite library is too old.
    #[error(
        "the SQLite library is {found}, and versions before {needed} can damage a ledger: build with a newer one"
    )]
    OldLibrary {
        /// The version of the library.
        found: &'static str,
        /// The oldest version that is safe.
        needed: &'static str,
    },
    /// Any other failure.
    #[error("the ledger `{}` cannot be used: {detail}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// A description of the failure.
        detail: String,
    },
}

impl SqliteOpenError {
    pub(super) fn other(path: &Path, detail: impl ToString) -> Self {
        Self::Other {
            path: path.to_owned(),
            detail: detail.to_string(),
        }
    }

    /// Classifies an error of the operating system.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path),
            io::ErrorKind::IsADirectory => Self::NotAFile(path),
            _ => Self::other(&path, error),
        }
    }

    /// Classifies an error of SQLite.
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Self::Denied(path),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path),
            Some(ErrorCode::DiskFull) => Self::DiskFull(path),
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(path),
            Some(ErrorCode::SystemIoFailure) => Self::DiskFailed { path, detail },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            _ if indicates_damage(error) => Self::Damaged { path, detail },
            _ => Self::Other { path, detail },
        }
    }
}

/// Returns true for an error that an intact ledger cannot cause: its statements fit its tables, and
/// its values fit their columns.
fn indicates_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows,
        SqlInputError, Utf8Error,
    };
    matches!(
        error,
        SqlInputError { .. }
            | InvalidColumnType(..)
            | FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | QueryReturnedNoRows
            | Utf8Error(..)
    )
}
