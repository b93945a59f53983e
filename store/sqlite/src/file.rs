//! The file of a ledger: made for its owner only, on a local disk, and still the one that was opened.

use super::SqliteOpenError;
use semel_store::failpoints::{self, Failpoint};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A file that exists, and was this one when it was opened.
#[derive(Debug, Clone)]
pub(super) struct LedgerFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl LedgerFile {
    /// The file at this path, which is made where it is missing.
    ///
    /// No file descriptor of an existing file is opened and closed here: that would take away the locks which another
    /// store of this process holds on it.
    pub(super) fn at(path: &Path) -> Result<Self, SqliteOpenError> {
        let path =
            std::path::absolute(path).map_err(|error| SqliteOpenError::of_system(path, &error))?;
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
        make_if_missing(&path, folder)
            .map_err(|error| SqliteOpenError::of_system(&path, &error))?;
        // By its real name, because beside that the WAL lies.
        let path = path
            .canonicalize()
            .map_err(|error| SqliteOpenError::of_system(&path, &error))?;
        let metadata =
            fs::metadata(&path).map_err(|error| SqliteOpenError::of_system(&path, &error))?;
        if !metadata.is_file() {
            return Err(SqliteOpenError::NotAFile(path));
        }
        // SQLite takes a file of a single byte for an empty one, and would write over it.
        if metadata.len() == 1 {
            return Err(SqliteOpenError::NotADatabase(path));
        }
        lies_on_a_local_disk(&path)?;
        Ok(Self {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fault(&self, error: &rusqlite::Error) -> SqliteOpenError {
        SqliteOpenError::of_sqlite(&self.path, error)
    }

    /// Fails if the path names another file by now, or none: others would find another ledger there, and send what
    /// this one says was sent.
    pub(super) fn is_in_place(&self) -> Result<(), SqliteOpenError> {
        match fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == (self.device, self.inode) => Ok(()),
            _ => Err(SqliteOpenError::Gone(self.path.clone())),
        }
    }

    /// The WAL, if anything lies in it. SQLite keeps no locks on that file, so that it may be opened and closed.
    pub(super) fn wal(&self) -> Result<Option<File>, SqliteOpenError> {
        let path = self.wal_path();
        match File::open(&path).and_then(|wal| Ok((wal.metadata()?.len() > 0).then_some(wal))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map_err(|error| SqliteOpenError::of_system(&path, &error)),
        }
    }

    /// Makes durable what lies in the WAL, whoever wrote it, unless a sync of it has failed before: see `leftover`.
    pub(super) fn sync_wal(&self) -> Result<(), SqliteOpenError> {
        // To sync an empty file that was just made would cost as much as a commit.
        let Some(wal) = self.wal()? else {
            return Ok(());
        };
        wal.sync_all()
            .map_err(|error| SqliteOpenError::of_system(&self.wal_path(), &error))
    }

    fn wal_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }
}

fn make_if_missing(path: &Path, folder: &Path) -> io::Result<()> {
    failpoints::before(Failpoint::MakeFile);
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    failpoints::after(Failpoint::MakeFile);
    match opened {
        // The name of the new file is durable before anything in it is.
        Ok(file) => file
            .sync_all()
            .and_then(|()| File::open(folder)?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// File systems that another machine may write to at the same time, by the numbers that `statfs` gives.
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
fn lies_on_a_local_disk(path: &Path) -> Result<(), SqliteOpenError> {
    let found = rustix::fs::statfs(path)
        .map_err(|error| SqliteOpenError::of_system(path, &error.into()))?;
    match network_file_system(found.f_type as u32) {
        Some(kind) => Err(SqliteOpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn network_file_system(number: u32) -> Option<&'static str> {
    NETWORK_FILE_SYSTEMS
        .into_iter()
        .find(|(network, _)| *network == number)
        .map(|(_, kind)| kind)
}

/// Only Linux is asked.
#[cfg(not(target_os = "linux"))]
fn lies_on_a_local_disk(_: &Path) -> Result<(), SqliteOpenError> {
    Ok(())
}
