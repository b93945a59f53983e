//! A ledger's store, with a watch beside it.

use super::Metrics;
use async_trait::async_trait;
use semel::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
    store::{Created, Keep, Page, Query, Removed, Replaced, Store, StoreError, Stored, Version},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Times what a call waits for; what nobody waits for, or an operator does, is not timed.
#[derive(Debug)]
pub struct TimedStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl TimedStore {
    /// A store that tells how long this one takes.
    #[must_use]
    pub fn over(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn timed<T>(&self, work: impl Future<Output = T> + Send) -> T {
        let began = Instant::now();
        let done = work.await;
        self.metrics.ledger_took(began.elapsed());
        done
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
        keep: Keep,
    ) -> Result<Created, StoreError> {
        self.timed(self.store.create(key, entry, version, keep))
            .await
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Keep,
    ) -> Result<Replaced, StoreError> {
        self.timed(self.store.replace(key, expected, entry, version, keep))
            .await
    }

    async fn replace_soon(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Keep,
    ) -> Result<(), StoreError> {
        self.store
            .replace_soon(key, expected, entry, version, keep)
            .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<Removed, StoreError> {
        self.timed(self.store.remove(key, expected)).await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<Stored>, Stamp), StoreError> {
        self.timed(self.store.get(key)).await
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        self.store.list(query).await
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        self.store.purge(at_most).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }

    async fn changed(&self, key: StoreKey, since: Version, at_most: Duration) {
        self.store.changed(key, since, at_most).await;
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn reads_cheaply(&self) -> bool {
        self.store.reads_cheaply()
    }
}
