//! The folder: its lock, its files, and which life of the ledger lies in it.

use crate::file::File;
use semel_core::model::{Incarnation, Stamp, StoreKey};
use semel_store::{Clock, SharedError, StoreError};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is locked.
const LOCK: &str = "lock";
/// Which life of the ledger this is, in hexadecimal digits. Who empties the folder begins another.
const LIFE: &str = "life";
/// How names end of files that are not yet written to their end.
const UNFINISHED: &str = "unfinished";

/// A folder that is a ledger.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    incarnation: Incarnation,
}

impl Folder {
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let mut folder = Self {
            path: path.to_owned(),
            clock,
            incarnation: Incarnation(0),
        };
        let _lock = folder.lock_file()?;
        folder.incarnation = folder.life()?;
        Ok(folder)
    }

    /// Of whoever came first.
    fn life(&self) -> io::Result<Incarnation> {
        let path = self.path.join(LIFE);
        if let Ok(digits) = fs::read_to_string(&path) {
            let number = u64::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?;
            return Ok(Incarnation(number));
        }
        let number = getrandom::u64().map_err(io::Error::other)?;
        self.put(&path, format!("{number:x}").as_bytes())?;
        Ok(Incarnation(number))
    }

    /// Nobody else asks or writes before this is dropped, in whatever process.
    pub(crate) fn lock(&self) -> Result<fs::File, StoreError> {
        self.lock_file().map_err(|error| self.not_executed(error))
    }

    fn lock_file(&self) -> io::Result<fs::File> {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    pub(crate) fn now(&self) -> Stamp {
        self.clock.now().stamp(self.incarnation)
    }

    /// What lies at the key and is not past its end.
    pub(crate) fn read(&self, key: StoreKey, now: Stamp) -> Result<Option<File>, StoreError> {
        match fs::read(self.path_of(key)) {
            Ok(bytes) => Ok(Some(File::from_bytes(&bytes)?).filter(|file| !file.is_past_end(now))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.not_executed(error)),
        }
    }

    /// Writes it, whatever lies there.
    pub(crate) fn write(&self, key: StoreKey, file: &File) -> Result<(), StoreError> {
        let path = self.path_of(key);
        let bytes = file.to_bytes()?;
        let unfinished = path.with_extension(UNFINISHED);
        fs::write(&unfinished, bytes).map_err(|error| self.not_executed(error))?;
        fs::rename(&unfinished, &path).map_err(|error| self.unknown(error))
    }

    pub(crate) fn remove(&self, key: StoreKey) -> Result<(), StoreError> {
        fs::remove_file(self.path_of(key)).map_err(|error| self.unknown(error))
    }

    /// Every key, in order, past its end or not.
    pub(crate) fn keys(&self) -> Result<Vec<StoreKey>, StoreError> {
        let names = self.names().map_err(|error| self.not_executed(error))?;
        let mut keys: Vec<StoreKey> = names
            .iter()
            .filter_map(|name| StoreKey::from_hex(name))
            .collect();
        keys.sort();
        Ok(keys)
    }

    /// Drops what was left by whoever was killed as he wrote.
    pub(crate) fn drop_unfinished(&self) -> Result<(), StoreError> {
        let names = self.names().map_err(|error| self.not_executed(error))?;
        for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
            fs::remove_file(self.path.join(name)).map_err(|error| self.unknown(error))?;
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?
            .map(|inside| Ok(inside?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let unfinished = path.with_extension(UNFINISHED);
        fs::write(&unfinished, bytes)?;
        fs::rename(unfinished, path)
    }

    fn path_of(&self, key: StoreKey) -> PathBuf {
        self.path.join(key.to_hex())
    }

    fn not_executed(&self, error: io::Error) -> StoreError {
        StoreError::NotExecuted(self.explain(error))
    }

    fn unknown(&self, error: io::Error) -> StoreError {
        StoreError::Unknown(self.explain(error))
    }

    /// Adds the folder's path to an error of the operating system.
    fn explain(&self, error: io::Error) -> SharedError {
        let message = format!("the folder `{}`: {error}", self.path.display());
        SharedError::with_message(message, error)
    }
}
