//! The folder of a cache: opened once and looked at through what was opened, so that nothing can be put in its place
//! between a look and a use.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW,
        UTIME_OMIT,
    },
    io::Errno,
    process::{Uid, geteuid},
};
use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The extension of an entry's file.
pub(super) const ENTRY_ENDING: &str = ".code";
/// The extension of a file that is being written.
const UNFINISHED_ENDING: &str = ".new";
/// The age in seconds after which an unfinished file is stale, because its writer has died.
const UNFINISHED_SECONDS: i64 = 3600;
/// The precision of an entry's time of use, in seconds: writing it at each use would cost more than
/// it is worth.
const USE_SECONDS: i64 = 600;

/// The permission bits of all but the owner.
const OTHERS: u32 = 0o077;

/// A folder that is this user's alone.
#[derive(Debug)]
pub(super) struct CacheFolder {
    opened: OwnedFd,
    owner: Uid,
}

/// The file of an entry.
#[derive(Debug)]
pub(super) struct EntryFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    used_at: i64,
}

/// The folder belongs to another user, or others may write to it.
#[derive(Debug, thiserror::Error)]
#[error("it is not this user's alone")]
struct ForeignFolderError;

/// Returns true if the folder was refused because it is not this user's alone.
pub(super) fn is_not_ours(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<ForeignFolderError>())
}

impl CacheFolder {
    /// Opens it, and makes it where it is missing.
    ///
    /// # Errors
    /// If the folder is not owned by this user alone, is not a folder, or cannot be made.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_of(path, geteuid())
    }

    /// The same for this user.
    pub(super) fn open_of(path: &Path, owner: Uid) -> io::Result<Self> {
        let opened = match open_folder(path) {
            Err(Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                open_folder(path)
            }
            opened => opened,
        };
        let opened = opened.map_err(|error| match error {
            // A link, which may lead to where others write.
            Errno::LOOP | Errno::NOTDIR => io::Error::other(ForeignFolderError),
            error => error.into(),
        })?;
        let found = fs::fstat(&opened)?;
        if found.st_uid != owner.as_raw() || found.st_mode & OTHERS != 0 {
            return Err(io::Error::other(ForeignFolderError));
        }
        Ok(Self { opened, owner })
    }

    /// Reads a file of it, and notes that it was used.
    ///
    /// # Errors
    /// *Not found*; *invalid data* if the file is too long or another user may write it; otherwise the system's error.
    pub(super) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let unsound = || io::Error::from(io::ErrorKind::InvalidData);
        // It does not block on a pipe in place of the file.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.opened, name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NXIO) => return Err(unsound()),
            opened => File::from(opened?),
        };
        let found = fs::fstat(&file)?;
        let bytes = u64::try_from(found.st_size).unwrap_or(u64::MAX);
        if !self.is_sound(&found) || bytes > bytes_max {
            return Err(unsound());
        }
        // One byte more than expected shows that another process is writing.
        let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1);
        (&file).take(bytes + 1).read_to_end(&mut read)?;
        note_use(&file, &found);
        if read.len() as u64 == bytes {
            Ok(read)
        } else {
            Err(unsound())
        }
    }

    /// Puts a file in its place as a whole: a concurrent reader sees the old one or this one.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let unfinished = format!("{:016x}{UNFINISHED_ENDING}", u64::from_be_bytes(random));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(fs::openat(
            &self.opened,
            &unfinished,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        let written = file.write_all(bytes);
        let placed =
            written.and_then(|()| Ok(fs::renameat(&self.opened, &unfinished, &self.opened, name)?));
        if placed.is_err() {
            let _ = self.remove(&unfinished);
        }
        placed
    }

    /// The entries in it.
    pub(super) fn entries(&self) -> io::Result<Vec<EntryFile>> {
        Ok(self
            .files()?
            .into_iter()
            .filter(|file| file.name.ends_with(ENTRY_ENDING))
            .collect())
    }

    /// Removes entries, least recently used first, until the rest takes no more than this.
    /// Unfinished writes go too.
    pub(super) fn make_room(&self, bytes_max: u64) -> io::Result<()> {
        let (mut entries, others): (Vec<_>, Vec<_>) = self
            .files()?
            .into_iter()
            .partition(|file| file.name.ends_with(ENTRY_ENDING));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let is_left = |file: &EntryFile| {
            file.name.ends_with(UNFINISHED_ENDING)
                && file.used_at.saturating_add(UNFINISHED_SECONDS) < now.cast_signed()
        };
        others
            .iter()
            .filter(|file| is_left(file))
            .try_for_each(|file| self.remove(&file.name))?;
        entries.sort_by_key(|entry| entry.used_at);
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if bytes <= bytes_max {
                break;
            }
            self.remove(&entry.name)?;
            bytes = bytes.saturating_sub(entry.bytes);
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<EntryFile>> {
        let mut files = Vec::new();
        for listed in Dir::read_from(&self.opened)? {
            let Ok(name) = listed?.file_name().to_owned().into_string() else {
                continue;
            };
            match fs::statat(&self.opened, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {}
                Ok(found) => {
                    let bytes = u64::try_from(found.st_size).unwrap_or(0);
                    files.push(EntryFile {
                        name,
                        bytes,
                        used_at: used_at(&found),
                    });
                }
                // Another process made room.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(files)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.opened, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns true for a regular file of this user, closed to others, with no second link.
    fn is_sound(&self, found: &Stat) -> bool {
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        is_file
            && found.st_uid == self.owner.as_raw()
            && found.st_mode & OTHERS == 0
            && found.st_nlink == 1
    }
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    fs::openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// When a file was used last, in seconds since 1970.
#[expect(
    clippy::useless_conversion,
    reason = "it has other types on other machines"
)]
fn used_at(found: &Stat) -> i64 {
    i64::try_from(found.st_mtime).unwrap_or(i64::MAX)
}

fn note_use(file: impl AsFd, found: &Stat) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
        .cast_signed();
    if used_at(found).saturating_add(USE_SECONDS) < now {
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        // A time that is not noted lets this entry go earlier, and nothing else.
        let _ = fs::futimens(
            file,
            &Timestamps {
                last_access: omit,
                last_modification: now,
            },
        );
    }
}
