//! Encryption at rest: a store around another store, which seals the confidential part of each
//! record: calls, outcomes, reasons, evidence, facts, identities, handles and people's words. The
//! open part has the operation's state, name, tenant, times and digests: enough to list it and to
//! apply the ledger's rules, without the content.
//!
//! The open part, the store key and the version of the write are authenticated with the sealed
//! part. A sealed part of another record, tenant, generation or time therefore does not open. An
//! attacker who can write to the storage can still restore a whole older row, drop one, or write
//! one in the clear: sealing keeps secrets, and does not replace a durable ledger.
//!
//! Key rotation: each write is sealed under the current key, and older keys only open.
//! [`SealingStore::reseal`] rewrites the records that are in the clear or under an older key, a
//! page at a time, while hosts go on. An older key can be dropped once no record is left under it.
//!
//! **Measured** (two shared cores, test profile, a record with 2 KB of content): sealing and
//! serialising take 19 µs, serialising in the clear 4 µs; parsing and opening take 10 µs, parsing
//! alone 7 µs. A host without sealing keys has no such store, and no cost.
//!
//! Absent: keys for each tenant, and sealing of handles and of the scheme, which contain digests
//! only.

mod key;
mod reseal;
mod seal;

#[cfg(test)]
mod tests;

use super::{
    CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store, StoreError,
    StoredEntry, Version,
};
use async_trait::async_trait;
use semel_core::{
    ledger::{Entry, EntryError},
    model::{Durability, Stamp, StoreKey},
};
use std::{sync::Arc, time::Duration};

pub use key::{SealingError, SealingKey, SealingKeys};
pub use reseal::{ResealReport, SealCounts};

/// A store around another store that encrypts the confidential part of each record.
#[derive(Debug)]
pub struct SealingStore {
    inner: Arc<dyn Store>,
    keys: SealingKeys,
}

impl SealingStore {
    /// Wraps a store, and seals what is written to it.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, keys: SealingKeys) -> Self {
        Self { inner, keys }
    }

    fn seal_entry(
        &self,
        key: StoreKey,
        version: Version,
        entry: &Arc<Entry>,
    ) -> Result<Arc<Entry>, StoreError> {
        match &**entry {
            Entry::Operation(record) => {
                let sealed = seal::seal_record(self.keys.current(), key, version, record)
                    .map_err(StoreError::not_executed)?;
                Ok(Arc::new(Entry::Sealed(Box::new(sealed))))
            }
            _ => Ok(Arc::clone(entry)),
        }
    }

    /// Opens a sealed record. A record under a key that this host does not have stays sealed: an
    /// operator can read its open part, and no caller takes it for a record.
    fn open_entry(&self, key: StoreKey, stored: StoredEntry) -> Result<StoredEntry, StoreError> {
        let Entry::Sealed(sealed) = &*stored.entry else {
            return Ok(stored);
        };
        match seal::open_record(&self.keys, key, stored.version, sealed) {
            Ok(record) => Ok(StoredEntry {
                entry: Arc::new(Entry::Operation(Box::new(record))),
                ..stored
            }),
            Err(EntryError::NoKey { .. }) => Ok(stored),
            Err(fault) => Err(fault.into()),
        }
    }

    fn open_if_any(
        &self,
        key: StoreKey,
        stored: Option<StoredEntry>,
    ) -> Result<Option<StoredEntry>, StoreError> {
        stored
            .map(|stored| self.open_entry(key, stored))
            .transpose()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for SealingStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let entry = self.seal_entry(key, version, entry)?;
        Ok(match self.inner.create(key, &entry, version, keep).await? {
            CreateResult::Exists(stored, now) => {
                CreateResult::Exists(self.open_entry(key, stored)?, now)
            }
            created @ CreateResult::Created(_) => created,
        })
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let entry = self.seal_entry(key, version, entry)?;
        Ok(
            match self
                .inner
                .replace(key, expected, &entry, version, keep)
                .await?
            {
                ReplaceResult::Changed(stored, now) => {
                    ReplaceResult::Changed(self.open_if_any(key, stored)?, now)
                }
                replaced @ ReplaceResult::Replaced(_) => replaced,
            },
        )
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        let entry = self.seal_entry(key, version, entry)?;
        self.inner
            .replace_deferred(key, expected, &entry, version, keep)
            .await
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        Ok(match self.inner.remove(key, expected).await? {
            RemoveResult::Changed(stored, now) => {
                RemoveResult::Changed(self.open_if_any(key, stored)?, now)
            }
            removed @ RemoveResult::Removed => removed,
        })
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        let (stored, now) = self.inner.get(key).await?;
        Ok((self.open_if_any(key, stored)?, now))
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
