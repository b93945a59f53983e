//! A store of one's own, as an example: a ledger in a folder, shared by any number of processes of one machine.
//!
//! Each entry is a file, named by its key: a line that says which version it is, when it was written and how long it is
//! kept, and then the entry. Whoever asks holds a lock on the folder meanwhile, so that what he looked at is still so when he
//! writes; a file is written under another name and renamed, so that no reader and no crash finds half of it.
//!
//! What is to be learnt here: what the host asks of a store is little, and [`Store`] says all of it; that this one keeps to it
//! is shown by `semel_conformance`, which `tests.rs` runs. What lies in an entry is no business of a store.
//!
//! **What an error means.** Until the rename is tried nothing was written. A rename that fails may have been carried out.
//!
//! Absent: speed, and everything that survives more than a crash of the process. For power loss each file would be synced
//! before its rename and the folder after it, and a reader would wait for the latter.

mod file;
mod folder;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use file::File;
use folder::Folder;
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
pub struct FolderStore(Arc<Folder>);

impl FolderStore {
    /// Opens the ledger in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made, read or written.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with_clock(path, Arc::new(SystemClock::new()))
    }

    /// As [`Self::open`], by this clock: all who share the folder must go by one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_clock(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self(Arc::new(Folder::open(path.as_ref(), clock)?)))
    }

    /// Does this with the folder, locked, in a thread where files may keep it waiting. It is done whether or not
    /// the caller still waits for it.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || {
            let _lock = folder.lock()?;
            work(&folder)
        });
        working
            .await
            .unwrap_or_else(|_| Err(StoreError::unknown("the work on the folder was broken off")))
    }

    /// Whether this version still lies there, as far as that can be told.
    async fn lies(&self, key: StoreKey, version: Version) -> bool {
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
        self.locked(move |folder| {
            let now = folder.now();
            if let Some(lying) = folder.read(key, now)? {
                return Ok(CreateResult::Exists(lying.into_stored(), now));
            }
            folder.write(key, &File::new(entry, version, keep, now, now))?;
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
        self.locked(move |folder| {
            let now = folder.now();
            match folder.read(key, now)? {
                Some(lying) if lying.version() == expected => {
                    folder.write(key, &File::new(entry, version, keep, lying.created(), now))?;
                    Ok(ReplaceResult::Replaced(now))
                }
                other => Ok(ReplaceResult::Changed(other.map(File::into_stored), now)),
            }
        })
        .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        self.locked(move |folder| {
            let now = folder.now();
            match folder.read(key, now)? {
                Some(lying) if lying.version() == expected => {
                    folder.remove(key).map(|()| RemoveResult::Removed)
                }
                other => Ok(RemoveResult::Changed(other.map(File::into_stored), now)),
            }
        })
        .await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        self.locked(move |folder| {
            let now = folder.now();
            Ok((folder.read(key, now)?.map(File::into_stored), now))
        })
        .await
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let query = query.clone();
        self.locked(move |folder| {
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
                    .is_some_and(|lying| lying.matches(&query, now))
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
        self.locked(move |folder| {
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

    /// What was replaced or removed has no file any more, but for what a process left that was killed as it wrote.
    async fn scrub(&self) -> Result<(), StoreError> {
        self.locked(Folder::drop_unfinished).await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let change = async {
            for pause in POLL_BACKOFF.pauses() {
                if !self.lies(key, since).await {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        };
        // Whether it changed or the time is up makes no difference: the caller looks again.
        let _ = tokio::time::timeout(at_most, change).await;
    }

    fn durability(&self) -> Durability {
        Durability::ProcessCrash
    }

    fn reads_cheaply(&self) -> bool {
        true
    }
}
