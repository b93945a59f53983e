//! An example for the extension point [`Store`]: a ledger in a folder, shared by all processes of one machine.
//!
//! ```
//! use semel_folder_store::FolderStore;
//! use semel_store::Store;
//!
//! # let folder = tempfile::tempdir()?;
//! let store = FolderStore::open(folder.path())?;
//! println!("a write survives: {:?}", store.durability());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each entry is a file with the key as its name: a header line with version, times and retention,
//! and then the entry. Each request locks the folder, which makes a read and the write after it one
//! step (compare-and-swap). A file is written under another name and renamed, so that neither a
//! reader nor a crash sees half of it.
//!
//! [`Store`] is the whole contract between host and store. `tests.rs` runs `semel_conformance`,
//! which tests each of its sentences. The store never interprets an entry: it filters lists by the
//! labels that the core derives.
//!
//! **Errors.** Before the rename nothing is written, so the error is *not executed*. A failed
//! rename may have been executed, so its error is *unknown*.
//!
//! Absent: speed, and durability beyond a crash of the process. To survive power loss, a store
//! syncs the file before its rename and the folder after it, and readers wait for the second sync.

mod entry_file;
mod ledger_folder;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use entry_file::EntryFile;
use ledger_folder::LedgerFolder;
use semel_core::{
    ledger::{Entry, Retention},
    model::{Durability, Stamp, StoreKey},
};
use semel_store::{
    Backoff, Clock, CreateResult, EntryQuery, KeyPage, PAGE_MAX, RemoveResult, ReplaceResult,
    Store, StoreError, StoredEntry, SystemClock, Version,
};
use std::{io, path::Path, sync::Arc, time::Duration};

/// The polling of waiters: no notification reaches other processes.
const POLL_BACKOFF: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(64));

/// A ledger in a folder.
#[derive(Debug, Clone)]
pub struct FolderStore(Arc<LedgerFolder>);

impl FolderStore {
    /// Opens the ledger in a folder, which is created if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be created, read or written.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with_clock(path, Arc::new(SystemClock::new()))
    }

    /// Opens the ledger as [`Self::open`] does, with this clock. All stores on one folder must use
    /// the same clock.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self(Arc::new(LedgerFolder::open(path.as_ref(), clock)?)))
    }

    /// Runs `work` under the lock of the folder, in a thread that may block. A blocking task runs
    /// to its end even if its caller is gone, as the contract asks.
    async fn with_lock<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LedgerFolder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || {
            let _lock = folder.lock()?;
            work(&folder)
        });
        working.await.unwrap_or_else(|_| {
            Err(StoreError::unknown(
                "the task that uses the folder ended early",
            ))
        })
    }

    /// Returns false once the entry certainly has another version.
    async fn may_have_version(&self, key: StoreKey, version: Version) -> bool {
        self.get(key).await.map_or(true, |(stored, _)| {
            stored.is_some_and(|stored| stored.version == version)
        })
    }
}

#[async_trait]
impl Store for FolderStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let entry = Arc::clone(entry);
        self.with_lock(move |folder| {
            let now = folder.now();
            if let Some(current) = folder.read(key, now)? {
                return Ok(CreateResult::Exists(current.into_stored(), now));
            }
            folder.write(key, &EntryFile::new(entry, version, keep, now, now))?;
            Ok(CreateResult::Created(now))
        })
        .await
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let entry = Arc::clone(entry);
        self.with_lock(move |folder| {
            let now = folder.now();
            match folder.read(key, now)? {
                Some(current) if current.version() == expected => {
                    folder.write(
                        key,
                        &EntryFile::new(entry, version, keep, current.created(), now),
                    )?;
                    Ok(ReplaceResult::Replaced(now))
                }
                other => Ok(ReplaceResult::Changed(
                    other.map(EntryFile::into_stored),
                    now,
                )),
            }
        })
        .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        self.with_lock(move |folder| {
            let now = folder.now();
            match folder.read(key, now)? {
                Some(current) if current.version() == expected => {
                    folder.remove(key).map(|()| RemoveResult::Removed)
                }
                other => Ok(RemoveResult::Changed(
                    other.map(EntryFile::into_stored),
                    now,
                )),
            }
        })
        .await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        self.with_lock(move |folder| {
            let now = folder.now();
            Ok((folder.read(key, now)?.map(EntryFile::into_stored), now))
        })
        .await
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let query = query.clone();
        self.with_lock(move |folder| {
            let now = folder.now();
            let limit = query.limit.min(PAGE_MAX);
            let mut page = KeyPage::default();
            for key in folder
                .keys()?
                .into_iter()
                .filter(|key| query.after.is_none_or(|after| *key > after))
            {
                if !folder
                    .read(key, now)?
                    .is_some_and(|current| current.matches(&query, now))
                {
                    continue;
                }
                if page.keys.len() == limit {
                    page.more = true;
                    break;
                }
                page.keys.push(key);
            }
            Ok(page)
        })
        .await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        self.with_lock(move |folder| {
            let now = folder.now();
            let mut purged = 0;
            for key in folder.keys()? {
                if purged < at_most && folder.read(key, now)?.is_none() {
                    folder.remove(key)?;
                    purged += 1;
                }
            }
            Ok(purged)
        })
        .await
    }

    /// Replaced and removed entries have no file. Only a process that was killed as it wrote leaves
    /// one.
    async fn scrub(&self) -> Result<(), StoreError> {
        self.with_lock(LedgerFolder::delete_unfinished).await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let change = async {
            for pause in POLL_BACKOFF.pauses() {
                if !self.may_have_version(key, since).await {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        };
        // The caller reads again after a change and after the time limit.
        let _ = tokio::time::timeout(at_most, change).await;
    }

    fn durability(&self) -> Durability {
        Durability::ProcessCrash
    }

    fn reads_cheaply(&self) -> bool {
        true
    }
}
