//! Why a ledger cannot be opened or used, in words that say what to do about it.

use rusqlite::ErrorCode;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a ledger cannot be opened in a file.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// The folder of the file does not exist.
    #[error("the folder `{}` of the ledger does not exist: create it, or name another file", .0.display())]
    FolderMissing(PathBuf),
    /// It is a folder, a socket or the like.
    #[error("`{}` is not a file: name a file for the ledger", .0.display())]
    NotAFile(PathBuf),
    /// This user may not read or write it.
    #[error("no permission for the ledger `{}`: let this user read and write the file and its folder", .0.display())]
    Denied(PathBuf),
    /// It can only be read.
    #[error("the ledger `{}` is read-only: make the file and its folder writable, or name another file", .0.display())]
    ReadOnly(PathBuf),
    /// There is no space left.
    #[error("no space is left for the ledger `{}`: free some on its disk, or raise the quota", .0.display())]
    DiskFull(PathBuf),
    /// It lies where locks and syncs cannot be relied on.
    #[error(
        "the ledger `{}` lies on a file system of the kind {kind}, whose locks cannot be relied on: move it to a local disk",
        path.display()
    )]
    NetworkFileSystem {
        /// The file.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// It is no SQLite database.
    #[error("`{}` is not a ledger, and not even a database: name another file", .0.display())]
    NotADatabase(PathBuf),
    /// It is the database of another program.
    #[error("`{}` is the database of another program, and is left as it is: name another file", .0.display())]
    Foreign(PathBuf),
    /// A newer release wrote it.
    #[error(
        "the ledger `{}` has schema {found}, and this release knows {known}: use the release that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// It is damaged.
    #[error("the ledger `{}` is damaged ({detail}): restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that showed.
        detail: String,
    },
    /// The disk did not do what it was asked.
    #[error("the disk of the ledger `{}` failed ({detail}): see whether it has room, and whether it is sound", path.display())]
    DiskFailed {
        /// The file.
        path: PathBuf,
        /// What SQLite says of it.
        detail: String,
    },
    /// Another process has locked it for long.
    #[error("another process has kept the ledger `{}` locked for too long: find and end it, or try again", .0.display())]
    Locked(PathBuf),
    /// The file that was opened is not there any more, or another is in its place.
    #[error("the ledger `{}` was moved, removed or replaced while it was in use: put it back and start again", .0.display())]
    Gone(PathBuf),
    /// A setting that durability rests on did not take.
    #[error("the ledger `{}` works with `{setting} = {found}` instead of `{wanted}`: move it to another disk", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The SQLite library is too old.
    #[error(
        "the SQLite library is {found}, and less than {needed} can damage a ledger: build with a newer one"
    )]
    OldLibrary {
        /// Its version.
        found: &'static str,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// Something else.
    #[error("the ledger `{}` cannot be used: {detail}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What happened.
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

    /// What the operating system said.
    pub(super) fn of_system(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path),
            io::ErrorKind::IsADirectory => Self::NotAFile(path),
            _ => Self::other(&path, error),
        }
    }

    /// What SQLite said.
    pub(super) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
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
            _ if is_of_damage(error) => Self::Damaged { path, detail },
            _ => Self::Other { path, detail },
        }
    }
}

/// Whether a ledger that is as it was written cannot bring this about: its statements fit its tables, and its values
/// their columns.
fn is_of_damage(error: &rusqlite::Error) -> bool {
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
