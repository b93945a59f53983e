//! The folder: its lock, its files, and the incarnation of the ledger.

use crate::entry_file::EntryFile;
use semel_core::model::{Incarnation, Stamp, StoreKey};
use semel_store::{Clock, SharedError, StoreError};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file that is locked.
const LOCK_FILE: &str = "lock";
/// The file with the incarnation, in hexadecimal digits. An emptied folder gets another
/// incarnation, so that hosts detect the loss.
const INCARNATION_FILE: &str = "life";
/// The extension of files that are not completely written.
const UNFINISHED: &str = "unfinished";

/// A folder with a ledger.
#[derive(Debug)]
pub(crate) struct LedgerFolder {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    incarnation: Incarnation,
}

impl LedgerFolder {
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let mut folder = Self {
            path: path.to_owned(),
            clock,
            incarnation: Incarnation(0),
        };
        // Processes that open a new folder at once must agree on one incarnation.
        let _lock = folder.lock_file()?;
        folder.incarnation = folder.load_incarnation()?;
        Ok(folder)
    }

    /// Returns the incarnation, and creates it in a new folder.
    fn load_incarnation(&self) -> io::Result<Incarnation> {
        let path = self.path.join(INCARNATION_FILE);
        if let Ok(digits) = fs::read_to_string(&path) {
            let number = u64::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?;
            return Ok(Incarnation(number));
        }
        let number = getrandom::u64().map_err(io::Error::other)?;
        self.write_atomically(&path, format!("{number:x}").as_bytes())?;
        Ok(Incarnation(number))
    }

    /// Locks the folder for this process and all others, until the result is dropped.
    pub(crate) fn lock(&self) -> Result<fs::File, StoreError> {
        self.lock_file().map_err(|error| self.not_executed(error))
    }

    fn lock_file(&self) -> io::Result<fs::File> {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join(LOCK_FILE))?;
        file.lock()?;
        Ok(file)
    }

    pub(crate) fn now(&self) -> Stamp {
        self.clock.now().stamp(self.incarnation)
    }

    /// Returns the entry at the key, unless it has expired.
    pub(crate) fn read(&self, key: StoreKey, now: Stamp) -> Result<Option<EntryFile>, StoreError> {
        match fs::read(self.entry_path(key)) {
            Ok(bytes) => {
                Ok(Some(EntryFile::from_bytes(&bytes)?).filter(|file| !file.is_expired(now)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.not_executed(error)),
        }
    }

    /// Writes the entry. The caller has checked the version under the lock.
    pub(crate) fn write(&self, key: StoreKey, file: &EntryFile) -> Result<(), StoreError> {
        let path = self.entry_path(key);
        let bytes = file.to_bytes()?;
        let unfinished = path.with_extension(UNFINISHED);
        fs::write(&unfinished, bytes).map_err(|error| self.not_executed(error))?;
        fs::rename(&unfinished, &path).map_err(|error| self.unknown(error))
    }

    /// Deletes the entry. The caller has checked the version under the lock.
    pub(crate) fn remove(&self, key: StoreKey) -> Result<(), StoreError> {
        fs::remove_file(self.entry_path(key)).map_err(|error| self.unknown(error))
    }

    /// Returns all keys in order, those of expired entries included.
    pub(crate) fn keys(&self) -> Result<Vec<StoreKey>, StoreError> {
        let names = self
            .file_names()
            .map_err(|error| self.not_executed(error))?;
        let mut keys: Vec<StoreKey> = names
            .iter()
            .filter_map(|name| StoreKey::from_hex(name))
            .collect();
        keys.sort();
        Ok(keys)
    }

    /// Deletes the files of processes that were killed as they wrote.
    pub(crate) fn delete_unfinished(&self) -> Result<(), StoreError> {
        let names = self
            .file_names()
            .map_err(|error| self.not_executed(error))?;
        for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
            fs::remove_file(self.path.join(name)).map_err(|error| self.unknown(error))?;
        }
        Ok(())
    }

    fn file_names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?
            .map(|inside| Ok(inside?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn write_atomically(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let unfinished = path.with_extension(UNFINISHED);
        fs::write(&unfinished, bytes)?;
        fs::rename(unfinished, path)
    }

    fn entry_path(&self, key: StoreKey) -> PathBuf {
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
