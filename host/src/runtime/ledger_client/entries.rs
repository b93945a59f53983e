//! Single entries of a store: reading them, and writing them by compare-and-swap.
//!
//! A reply may be lost after its write took effect. Each writer gives its version a random value of its own, so a read
//! decides afterwards: the entry carries that version, or the write did not take effect.

use super::error::{LedgerError, TRIES_MAX};
use crate::{
    ledger::{Entry, Handle, HandleOwner, State, Tally},
    model::{Stamp, StoreKey, Tenant},
    store::{CreateResult, ReplaceResult, Retention, Store, StoreError, StoredEntry, Version},
};
use semel_store::{
    failpoints::{self, Failpoint},
    fresh_nonce,
};
use std::{sync::Arc, time::Duration};

/// The reads that search for a write with a lost reply.
const SEARCHES_MAX: u32 = 5;

/// The first pause between two searches; each next is twice as long.
const SEARCH_PAUSE: Duration = Duration::from_millis(20);

/// The owners that a handle lists before those that are gone are removed from it.
const OWNERS_KEPT: usize = 8;

/// The retention of a day's tally, in seconds.
const TALLY_SECONDS: u64 = 90 * 24 * 3_600;

/// A conditional write of one entry.
pub(super) struct EntryWrite<'a> {
    pub(super) key: StoreKey,
    /// The version to replace, or `None` to create the entry.
    pub(super) expected: Option<Version>,
    pub(super) entry: &'a Arc<Entry>,
    pub(super) version: Version,
    pub(super) retention: Retention,
    pub(super) failpoint: Option<Failpoint>,
}

/// The result of a conditional write.
pub(super) enum WriteOutcome {
    /// The entry was written at this time.
    Written(Stamp),
    /// Another version is in its place.
    Changed(Option<StoredEntry>, Stamp),
    /// The store gave no certain answer, and the entry is not in its place now.
    Lost(StoreError, Option<StoredEntry>, Stamp),
}

/// A store, as a ledger reads and writes its entries.
#[derive(Debug, Clone)]
pub(crate) struct EntryClient {
    store: Arc<dyn Store>,
}

impl EntryClient {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the entry at `key`, unless it is sealed.
    pub(super) async fn read_entry(
        &self,
        key: StoreKey,
    ) -> Result<Option<(StoredEntry, Stamp)>, LedgerError> {
        let (stored, now) = self.store.get(key).await?;
        match stored.as_ref().map(|stored| &*stored.entry) {
            Some(sealed @ Entry::Sealed(_)) => Err(LedgerError::misplaced(sealed, "an operation")),
            _ => Ok(stored.map(|stored| (stored, now))),
        }
    }

    /// Returns a handle.
    pub(super) async fn read_handle(&self, key: StoreKey) -> Result<Option<Handle>, LedgerError> {
        let (stored, _) = self.store.get(key).await?;
        match stored.as_ref().map(|stored| &*stored.entry) {
            None => Ok(None),
            Some(Entry::Handle(handle)) => Ok(Some(handle.clone())),
            Some(other) => Err(LedgerError::misplaced(other, "a handle")),
        }
    }

    /// Writes the entry if the expected version is in its place. After a lost reply, the stored entry decides.
    pub(super) async fn write(&self, write: EntryWrite<'_>) -> Result<WriteOutcome, LedgerError> {
        failpoints::before(write.failpoint);
        let outcome = self.compare_and_swap(&write).await;
        failpoints::after(write.failpoint);
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(unknown @ StoreError::Unknown(_)) => self.find_write(&write, unknown).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn compare_and_swap(&self, write: &EntryWrite<'_>) -> Result<WriteOutcome, StoreError> {
        let EntryWrite {
            key,
            entry,
            version,
            retention,
            ..
        } = *write;
        Ok(match write.expected {
            None => match self.store.create(key, entry, version, retention).await? {
                CreateResult::Created(at) => WriteOutcome::Written(at),
                CreateResult::Exists(stored, now) => WriteOutcome::Changed(Some(stored), now),
            },
            Some(expected) => {
                let replaced = self
                    .store
                    .replace(key, expected, entry, version, retention)
                    .await?;
                match replaced {
                    ReplaceResult::Replaced(at) => WriteOutcome::Written(at),
                    ReplaceResult::Changed(stored, now) => WriteOutcome::Changed(stored, now),
                }
            }
        })
    }

    async fn find_write(
        &self,
        write: &EntryWrite<'_>,
        unknown: StoreError,
    ) -> Result<WriteOutcome, LedgerError> {
        let mut pause = SEARCH_PAUSE;
        for _ in 0..SEARCHES_MAX {
            if let Ok((stored, now)) = self.store.get(write.key).await {
                return Ok(match stored {
                    Some(stored) if stored.version == write.version => {
                        WriteOutcome::Written(stored.written)
                    }
                    stored => WriteOutcome::Lost(unknown, stored, now),
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(unknown.into())
    }

    /// Writes the scheme record in place of the version `expected`, or creates it. Returns true if it was written.
    pub(super) async fn write_scheme(
        &self,
        key: StoreKey,
        expected: Option<Version>,
        scheme: Entry,
    ) -> Result<bool, LedgerError> {
        let outcome = self
            .write(EntryWrite {
                key,
                expected,
                entry: &Arc::new(scheme),
                version: fresh_nonce()?,
                retention: Retention::UntilRemoved,
                failpoint: Some(Failpoint::Scheme),
            })
            .await?;
        match outcome {
            WriteOutcome::Written(_) => Ok(true),
            WriteOutcome::Changed(..) => Ok(false),
            WriteOutcome::Lost(error, ..) => Err(error.into()),
        }
    }

    /// Adds an owner to the handle at `key`. A long list is cleared first of the owners that are gone.
    pub(super) async fn add_owner(
        &self,
        key: StoreKey,
        tenant: &Tenant,
        owner: HandleOwner,
    ) -> Result<(), LedgerError> {
        let (mut stored, _) = self.store.get(key).await?;
        for _ in 0..TRIES_MAX {
            let handle = match stored.as_ref().map(|stored| &*stored.entry) {
                None => Handle::new(tenant.clone()),
                Some(Entry::Handle(handle)) => handle.clone(),
                Some(other) => return Err(LedgerError::misplaced(other, "a handle")),
            };
            let Some(handle) = self.without_gone_owners(handle).await?.with_owner(owner) else {
                return Ok(());
            };
            let outcome = self
                .write(EntryWrite {
                    key,
                    expected: stored.as_ref().map(|stored| stored.version),
                    entry: &Arc::new(Entry::Handle(handle)),
                    version: fresh_nonce()?,
                    retention: Retention::UntilRemoved,
                    failpoint: Some(Failpoint::Handle),
                })
                .await?;
            match outcome {
                WriteOutcome::Written(_) => return Ok(()),
                WriteOutcome::Changed(changed, _) => stored = changed,
                WriteOutcome::Lost(error, ..) => return Err(error.into()),
            }
        }
        Err(LedgerError::Contended)
    }

    /// Returns the handle without the owners whose records are gone or of a later generation, if the
    /// list is long.
    async fn without_gone_owners(&self, handle: Handle) -> Result<Handle, LedgerError> {
        if handle.owners.len() < OWNERS_KEPT {
            return Ok(handle);
        }
        let mut gone = Vec::new();
        for owner in &handle.owners {
            let (stored, _) = self.store.get(owner.of.key).await?;
            let is_current = match stored.as_ref().map(|stored| &*stored.entry) {
                Some(Entry::Operation(record)) => {
                    record.generation == owner.of.generation
                        && !matches!(record.state, State::Undone { .. } | State::Tombstone { .. })
                }
                // A sealed record says its state to hosts with its key only.
                Some(Entry::Sealed(_)) => true,
                _ => false,
            };
            if !is_current {
                gone.push(*owner);
            }
        }
        Ok(handle.without(|owner| gone.contains(owner)))
    }

    /// Writes a tally in place of the version `expected`, or creates it. Returns true if it was written. An unknown
    /// result counts as written: a call that is missing from a count is better than one counted twice.
    pub(crate) async fn write_tally(
        &self,
        key: StoreKey,
        expected: Option<Version>,
        tally: Box<Tally>,
    ) -> Result<bool, StoreError> {
        let version = fresh_nonce().map_err(StoreError::not_executed)?;
        let outcome = self
            .compare_and_swap(&EntryWrite {
                key,
                expected,
                entry: &Arc::new(Entry::Tally(tally)),
                version,
                retention: Retention::Seconds(TALLY_SECONDS),
                failpoint: None,
            })
            .await;
        match outcome {
            Ok(outcome) => Ok(matches!(outcome, WriteOutcome::Written(_))),
            Err(StoreError::Unknown(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
