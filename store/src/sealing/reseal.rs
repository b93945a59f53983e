//! Writing anew what is not sealed under the current key, while hosts go on.

use super::{SealingStore, seal};
use crate::fresh_nonce;
use crate::{EntryQuery, KeyPage, ReplaceResult, Store, StoreError};
use semel_core::{
    ledger::{self, Command, Entry, EntryError, PresentRecord, Transition},
    model::StoreKey,
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// How many keys are listed at a time.
const PAGE: usize = 256;

/// What became of one page of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResealReport {
    /// How many records were written anew, under the current key.
    pub resealed: u64,
    /// How many were left: another host wrote them at the same moment (under its own current key), or the clock went
    /// back. The next round looks at them again.
    pub left: u64,
    /// How many are sealed under keys that this host does not have, by the name of the key.
    pub no_key: BTreeMap<String, u64>,
    /// How many do not open, or cannot be read at all.
    pub damaged: u64,
    /// After which key the next page begins; none: there is no more.
    pub next: Option<StoreKey>,
}

/// How many records are sealed under which key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealCounts {
    /// In the clear.
    pub open: u64,
    /// By the name of the key.
    pub sealed: BTreeMap<String, u64>,
}

/// What became of one record.
enum Became {
    Resealed,
    /// It was sealed under the current key, or is gone, or is no record.
    Fine,
    Left,
    NoKey(String),
    Damaged,
}

impl SealingStore {
    /// Writes anew, sealed under the current key, those records of the next page after `after` that are not.
    ///
    /// Nothing else about them changes, and no right is gained or lost: whoever was about to write one of them finds it
    /// changed, and reads it again.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn reseal(&self, after: Option<StoreKey>) -> Result<ResealReport, StoreError> {
        let KeyPage { keys, more } = self.records_after(after).await?;
        let mut resealed = ResealReport {
            next: keys.last().copied().filter(|_| more),
            ..ResealReport::default()
        };
        for key in keys {
            match self.reseal_one(key).await? {
                Became::Resealed => resealed.resealed += 1,
                Became::Fine => {}
                Became::Left => resealed.left += 1,
                Became::NoKey(id) => *resealed.no_key.entry(id).or_default() += 1,
                Became::Damaged => resealed.damaged += 1,
            }
        }
        Ok(resealed)
    }

    /// How many records are sealed under which key.
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

    async fn reseal_one(&self, key: StoreKey) -> Result<Became, StoreError> {
        let (stored, now) = match self.inner.get(key).await {
            Ok((Some(stored), now)) => (stored, now),
            Ok((None, _)) => return Ok(Became::Fine),
            Err(StoreError::Entry(_)) => return Ok(Became::Damaged),
            Err(error) => return Err(error),
        };
        let opened = match &*stored.entry {
            Entry::Sealed(sealed) if sealed.key_id() == self.keys.current().id() => {
                return Ok(Became::Fine);
            }
            Entry::Sealed(sealed) => {
                seal::open(&self.keys, key, stored.version, sealed).map(Cow::Owned)
            }
            Entry::Operation(record) => Ok(Cow::Borrowed(&**record)),
            _ => return Ok(Became::Fine),
        };
        let record = match opened {
            Ok(record) => record,
            Err(EntryError::NoKey { id }) => return Ok(Became::NoKey(id)),
            Err(_) => return Ok(Became::Damaged),
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
            return Ok(Became::Left);
        };
        let version = fresh_nonce().map_err(StoreError::not_executed)?;
        let entry = Arc::new(Entry::Operation(record));
        match self.replace(key, expected, &entry, version, keep).await {
            Ok(ReplaceResult::Replaced(_)) => Ok(Became::Resealed),
            Ok(ReplaceResult::Changed(..)) | Err(StoreError::Unknown(_)) => Ok(Became::Left),
            Err(error) => Err(error),
        }
    }
}
