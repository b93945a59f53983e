//! Key rotation: records that are not sealed under the current key are rewritten, while hosts go
//! on.

use super::{SealingStore, seal};
use crate::fresh_nonce;
use crate::{EntryQuery, KeyPage, ReplaceResult, Store, StoreError};
use semel_core::{
    ledger::{self, Command, Entry, EntryError, PresentRecord, Transition},
    model::StoreKey,
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// The keys of a page.
const PAGE: usize = 256;

/// The result of resealing one page of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResealReport {
    /// The records that were rewritten under the current key.
    pub resealed: u64,
    /// The records that were left for the next round: another host wrote them at the same moment,
    /// or the clock went back.
    pub left: u64,
    /// The records under keys that this host does not have, by the name of the key.
    pub no_key: BTreeMap<String, u64>,
    /// The records that do not open, or cannot be read.
    pub damaged: u64,
    /// The key after which the next page begins, or `None` after the last page.
    pub next: Option<StoreKey>,
}

/// The number of records under each key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// The records in the clear.
    pub open: u64,
    /// The sealed records, by the name of the key.
    pub sealed: BTreeMap<String, u64>,
}

/// The result of resealing one record.
enum ResealOutcome {
    Resealed,
    /// The entry is sealed under the current key, or was removed, or is not a record.
    NothingToDo,
    Left,
    NoKey(String),
    Damaged,
}

impl SealingStore {
    /// Rewrites those records of the next page after `after` that are not sealed under the current
    /// key.
    ///
    /// Nothing else in a record changes, and no right is gained or lost: a concurrent writer finds
    /// another version, and reads again.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn reseal(&self, after: Option<StoreKey>) -> Result<ResealReport, StoreError> {
        let KeyPage { keys, more } = self.records_after(after).await?;
        let mut resealed = ResealReport::default();
        if more {
            resealed.next = keys.last().copied();
        }
        for key in keys {
            match self.reseal_one(key).await? {
                ResealOutcome::Resealed => resealed.resealed += 1,
                ResealOutcome::NothingToDo => {}
                ResealOutcome::Left => resealed.left += 1,
                ResealOutcome::NoKey(id) => *resealed.no_key.entry(id).or_default() += 1,
                ResealOutcome::Damaged => resealed.damaged += 1,
            }
        }
        Ok(resealed)
    }

    /// Counts the records under each key.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn count(&self) -> Result<SealCounts, StoreError> {
        let mut counts = SealCounts::default();
        let mut after = None;
        loop {
            let KeyPage { keys, more } = self.records_after(after).await?;
            after = keys.last().copied();
            for key in keys {
                let (stored, _) = self.inner.get(key).await?;
                match stored.as_ref().map(|stored| &*stored.entry) {
                    Some(Entry::Operation(_)) => counts.open += 1,
                    Some(Entry::Sealed(sealed)) => {
                        *counts.sealed.entry(sealed.key_id().to_owned()).or_default() += 1;
                    }
                    _ => {}
                }
            }
            if !more {
                return Ok(counts);
            }
        }
    }

    async fn records_after(&self, after: Option<StoreKey>) -> Result<KeyPage, StoreError> {
        let states = ledger::StateLabel::of_operations().collect();
        self.inner
            .list(&EntryQuery {
                states,
                after,
                limit: PAGE,
                ..EntryQuery::default()
            })
            .await
    }

    async fn reseal_one(&self, key: StoreKey) -> Result<ResealOutcome, StoreError> {
        let (stored, now) = match self.inner.get(key).await {
            Ok((Some(stored), now)) => (stored, now),
            Ok((None, _)) => return Ok(ResealOutcome::NothingToDo),
            Err(StoreError::Entry(_)) => return Ok(ResealOutcome::Damaged),
            Err(error) => return Err(error),
        };
        let opened = match &*stored.entry {
            Entry::Sealed(sealed) if sealed.key_id() == self.keys.current().id() => {
                return Ok(ResealOutcome::NothingToDo);
            }
            Entry::Sealed(sealed) => {
                seal::open_record(&self.keys, key, stored.version, sealed).map(Cow::Owned)
            }
            Entry::Operation(record) => Ok(Cow::Borrowed(&**record)),
            _ => return Ok(ResealOutcome::NothingToDo),
        };
        let record = match opened {
            Ok(record) => record,
            Err(EntryError::NoKey { id }) => return Ok(ResealOutcome::NoKey(id)),
            Err(_) => return Ok(ResealOutcome::Damaged),
        };
        let expected = stored.version;
        let present = Some(PresentRecord {
            record: &record,
            written: stored.written,
        });
        let Ok(Transition {
            write: Some((record, keep)),
            ..
        }) = ledger::apply(present, &Command::Rewrite, now)
        else {
            return Ok(ResealOutcome::Left);
        };
        let version = fresh_nonce().map_err(StoreError::not_executed)?;
        let entry = Arc::new(Entry::Operation(record));
        match self.replace(key, expected, &entry, version, keep).await {
            Ok(ReplaceResult::Replaced(_)) => Ok(ResealOutcome::Resealed),
            Ok(ReplaceResult::Changed(..)) | Err(StoreError::Unknown(_)) => Ok(ResealOutcome::Left),
            Err(error) => Err(error),
        }
    }
}
