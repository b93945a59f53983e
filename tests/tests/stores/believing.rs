//! A store that takes what is unknown for something else: what a client does that knows no doubt.

use async_trait::async_trait;
use semel::{
    ledger::{Entry, Retention},
    model::{Durability, Stamp, StoreKey},
    store::{
        CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Store, StoreError,
        StoredEntry, Version,
    },
};
use std::{sync::Arc, time::Duration};

/// For what it takes a write without an answer.
#[derive(Debug, Clone, Copy)]
pub enum Belief {
    NotDone,
    Done,
    /// It asks again, as if nothing had been asked before.
    NeverAsked,
}

/// A store that believes something.
#[derive(Debug)]
pub struct Believing {
    pub inner: Arc<dyn Store>,
    pub belief: Belief,
}

impl Believing {
    /// The time, as soon as the store returns it.
    async fn now(&self, key: StoreKey) -> Stamp {
        loop {
            match self.inner.get(key).await {
                Ok((_, now)) => return now,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for Believing {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        match (
            self.inner.create(key, entry, version, keep).await,
            self.belief,
        ) {
            (Err(StoreError::Unknown(told)), Belief::NotDone) => Err(StoreError::NotExecuted(told)),
            (Err(StoreError::Unknown(_)), Belief::Done) => {
                Ok(CreateResult::Created(self.now(key).await))
            }
            (Err(StoreError::Unknown(_)), Belief::NeverAsked) => {
                self.now(key).await;
                self.inner.create(key, entry, version, keep).await
            }
            (told, _) => told,
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
        match (
            self.inner
                .replace(key, expected, entry, version, keep)
                .await,
            self.belief,
        ) {
            (Err(StoreError::Unknown(told)), Belief::NotDone) => Err(StoreError::NotExecuted(told)),
            (Err(StoreError::Unknown(_)), Belief::Done) => {
                Ok(ReplaceResult::Replaced(self.now(key).await))
            }
            (Err(StoreError::Unknown(_)), Belief::NeverAsked) => {
                self.now(key).await;
                self.inner
                    .replace(key, expected, entry, version, keep)
                    .await
            }
            (told, _) => told,
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
        self.inner.remove(key, expected).await
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        self.inner.get(key).await
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
