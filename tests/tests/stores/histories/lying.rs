//! Stores that lie now and then, which the histories must give away.

use async_trait::async_trait;
use semel::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
    store::{
        CreateResult, EntryQuery, KeyPage, MemoryStore, RemoveResult, ReplaceResult, Retention,
        Store, StoreError, StoredEntry, Version,
    },
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    /// A read returns the state of the last read.
    StaleGet,
    /// A creation or a replacement is acknowledged, and not made.
    LostWrite,
    /// A replacement takes the place of any version.
    BlindWrite,
    /// A write is made, and said not to be.
    HiddenWrite,
}

/// One call in so many meets the lie.
const ONE_IN: usize = 10;

/// A ledger in memory that lies so.
#[derive(Debug)]
pub struct Lying {
    inner: MemoryStore,
    lie: Lie,
    calls: AtomicUsize,
    seen: Mutex<HashMap<StoreKey, Option<StoredEntry>>>,
}

impl Lying {
    pub fn new(lie: Lie) -> Self {
        Self {
            inner: MemoryStore::new(),
            lie,
            calls: AtomicUsize::new(0),
            seen: Mutex::default(),
        }
    }

    /// Returns true if this call meets the lie.
    fn tells(&self, lie: Lie) -> bool {
        self.lie == lie && self.calls.fetch_add(1, Ordering::Relaxed) % ONE_IN == ONE_IN - 1
    }
}

fn hidden<T>() -> Result<T, StoreError> {
    Err(StoreError::not_executed("nothing was written"))
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for Lying {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        // Calls overlap, as those of a server do.
        tokio::task::yield_now().await;
        let (lying, now) = self.inner.get(key).await?;
        if lying.is_none() && self.tells(Lie::LostWrite) {
            return Ok(CreateResult::Created(now));
        }
        let told = self.inner.create(key, entry, version, keep).await;
        tokio::task::yield_now().await;
        if self.tells(Lie::HiddenWrite) {
            hidden()
        } else {
            told
        }
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        tokio::task::yield_now().await;
        let (lying, now) = self.inner.get(key).await?;
        let lies = lying.map(|stored| stored.version);
        if lies == Some(expected) && self.tells(Lie::LostWrite) {
            return Ok(ReplaceResult::Replaced(now));
        }
        let expected = lies
            .filter(|_| self.tells(Lie::BlindWrite))
            .unwrap_or(expected);
        let told = self
            .inner
            .replace(key, expected, entry, version, keep)
            .await;
        tokio::task::yield_now().await;
        if self.tells(Lie::HiddenWrite) {
            hidden()
        } else {
            told
        }
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        self.replace(key, expected, entry, version, keep)
            .await
            .map(drop)
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        tokio::task::yield_now().await;
        let told = self.inner.remove(key, expected).await;
        tokio::task::yield_now().await;
        told
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        tokio::task::yield_now().await;
        let (lies, now) = self.inner.get(key).await?;
        let before = self.seen.lock().unwrap().insert(key, lies.clone());
        tokio::task::yield_now().await;
        Ok((
            before.filter(|_| self.tells(Lie::StaleGet)).unwrap_or(lies),
            now,
        ))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        self.inner.list(query).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        self.inner.purge(at_most).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.inner.scrub().await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        self.inner.wait_for_change(key, since, at_most).await;
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn reads_cheaply(&self) -> bool {
        self.inner.reads_cheaply()
    }
}
