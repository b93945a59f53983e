//! The file of a ledger: readable by its owner only, on a local disk, and still the one that was opened.

use super::error::SqliteOpenError;
use semel_store::failpoints::{self, Failpoint};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// An existing file, with its identity at the time it was opened.
#[derive(Debug, Clone)]
pub(super) struct LedgerFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl LedgerFile {
    /// Returns the file at this path, and creates it if it is missing.
    ///
    /// No descriptor of an existing file is opened and closed here: POSIX would then drop the locks
    /// that another store of this process holds on it.
    pub(super) fn create_if_missing(path: &Path) -> Result<Self, SqliteOpenError> {
        let path =
            std::path::absolute(path).map_err(|error| SqliteOpenError::from_io(path, &error))?;
        let folder = path
            .parent()
            .ok_or_else(|| SqliteOpenError::NotAFile(path.clone()))?;
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(SqliteOpenError::Denied(path));
            }
            _ => return Err(SqliteOpenError::FolderMissing(folder.to_owned())),
        }
        create_file(&path, folder).map_err(|error| SqliteOpenError::from_io(&path, &error))?;
        // SQLite puts the WAL beside the real file, so a link must be resolved first.
        let path = path
            .canonicalize()
            .map_err(|error| SqliteOpenError::from_io(&path, &error))?;
        let metadata =
            fs::metadata(&path).map_err(|error| SqliteOpenError::from_io(&path, &error))?;
        if !metadata.is_file() {
            return Err(SqliteOpenError::NotAFile(path));
        }
        // SQLite treats a file of a single byte as an empty one, and would overwrite it.
        if metadata.len() == 1 {
            return Err(SqliteOpenError::NotADatabase(path));
        }
        ensure_local_disk(&path)?;
        Ok(Self {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Classifies an error of SQLite on this file.
    pub(super) fn sqlite_error(&self, error: &rusqlite::Error) -> SqliteOpenError {
        SqliteOpenError::from_sqlite(&self.path, error)
    }

    /// Fails if the path no longer names this file. Other processes would open another ledger there,
    /// and send the calls that this one records as sent.
    pub(super) fn ensure_in_place(&self) -> Result<(), SqliteOpenError> {
        match fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(SqliteOpenError::Gone(self.path.clone())),
        }
    }

    /// Opens the WAL, or returns `None` if it is missing or empty. SQLite holds no locks on that file,
    /// so closing a descriptor of it drops none.
    pub(super) fn open_wal(&self) -> Result<Option<File>, SqliteOpenError> {
        let path = self.wal_path();
        match File::open(&path).and_then(|wal| Ok((wal.metadata()?.len() > 0).then_some(wal))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map_err(|error| SqliteOpenError::from_io(&path, &error)),
        }
    }

    /// Syncs the WAL, with the frames of all writers. A repeat after a failed sync has no effect: see
    /// `wal_recovery`.
    pub(super) fn sync_wal(&self) -> Result<(), SqliteOpenError> {
        // A sync of an empty, new file would cost as much as a commit.
        let Some(wal) = self.open_wal()? else {
            return Ok(());
        };
        wal.sync_all()
            .map_err(|error| SqliteOpenError::from_io(&self.wal_path(), &error))
    }

    fn wal_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }
}

/// Creates an empty file for its owner only, unless one exists.
fn create_file(path: &Path, folder: &Path) -> io::Result<()> {
    failpoints::before(Failpoint::MakeFile);
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    failpoints::after(Failpoint::MakeFile);
    match opened {
        // The name of the new file must be durable before any content is.
        Ok(file) => file
            .sync_all()
            .and_then(|()| File::open(folder)?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file systems that another machine may write to at the same time, by the magic numbers of
/// `statfs`.
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: [(u32, &str); 14] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
];

#[cfg(target_os = "linux")]
fn ensure_local_disk(path: &Path) -> Result<(), SqliteOpenError> {
    let found =
        rustix::fs::statfs(path).map_err(|error| SqliteOpenError::from_io(path, &error.into()))?;
    match network_file_system_name(found.f_type as u32) {
        Some(kind) => Err(SqliteOpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn network_file_system_name(number: u32) -> Option<&'static str> {
    NETWORK_FILE_SYSTEMS
        .into_iter()
        .find(|(network, _)| *network == number)
        .map(|(_, kind)| kind)
}

/// Accepts every file system: only Linux reports its kind by a number.
#[cfg(not(target_os = "linux"))]
fn ensure_local_disk(_: &Path) -> Result<(), SqliteOpenError> {
    Ok(())
}
