//! A store that records the duration of its reads and writes.

use super::Metrics;
use async_trait::async_trait;
use semel::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
    store::{
        CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store,
        StoreError, StoredEntry, Version,
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A store around another one that times the operations a call waits for. Deferred writes and an
/// operator's queries are not timed.
#[derive(Debug)]
pub struct TimedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl TimedStore {
    /// Times the operations of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn measure<T>(&self, operation: impl Future<Output = T> + Send) -> T {
        let started = Instant::now();
        let result = operation.await;
        self.metrics.observe_ledger(started.elapsed());
        result
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for TimedStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        self.measure(self.store.create(key, entry, version, keep))
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
        self.measure(self.store.replace(key, expected, entry, version, keep))
            .await
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        self.store
            .replace_deferred(key, expected, entry, version, keep)
            .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        self.measure(self.store.remove(key, expected)).await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        self.measure(self.store.get(key)).await
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        self.store.list(query).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        self.store.purge(at_most).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        self.store.wait_for_change(key, since, at_most).await;
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn reads_cheaply(&self) -> bool {
        self.store.reads_cheaply()
    }
}
