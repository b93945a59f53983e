//! A file: what lies at a key, and what a store has to know of it.

use semel_core::{
    ledger::{Entry, EntryError, Retention},
    model::Stamp,
};
use semel_store::{EntryQuery, StoredEntry, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What lies at a key.
#[derive(Debug)]
pub(crate) struct File {
    head: Head,
    entry: Arc<Entry>,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: Version,
    created: Stamp,
    written: Stamp,
    /// By the wall clock; none: kept until somebody removes it.
    end_ms: Option<u64>,
}

impl File {
    pub(crate) fn new(
        entry: Arc<Entry>,
        version: Version,
        keep: Retention,
        created: Stamp,
        written: Stamp,
    ) -> Self {
        let end_ms = match keep {
            Retention::UntilRemoved => None,
            Retention::Seconds(seconds) => {
                Some(written.wall_ms.saturating_add(seconds.saturating_mul(1000)))
            }
        };
        Self {
            head: Head {
                version,
                created,
                written,
                end_ms,
            },
            entry,
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let (Some(head), Some(entry)) = (lines.next(), lines.next()) else {
            return Err(EntryError::Damaged("it has no first line".to_owned()));
        };
        let head =
            serde_json::from_slice(head).map_err(|fault| EntryError::Damaged(fault.to_string()))?;
        Ok(Self {
            head,
            entry: Arc::new(Entry::from_bytes(entry)?),
        })
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = serde_json::to_vec(&self.head)
            .map_err(|fault| EntryError::Damaged(fault.to_string()))?;
        bytes.push(b'\n');
        bytes.extend(self.entry.to_bytes()?);
        Ok(bytes)
    }

    pub(crate) fn into_stored(self) -> StoredEntry {
        let Head {
            version,
            created,
            written,
            ..
        } = self.head;
        StoredEntry {
            entry: self.entry,
            version,
            created,
            written,
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.head.version
    }

    pub(crate) fn created(&self) -> Stamp {
        self.head.created
    }

    pub(crate) fn is_past_end(&self, now: Stamp) -> bool {
        self.head.end_ms.is_some_and(|end_ms| end_ms <= now.wall_ms)
    }

    /// Whether it is to be listed. To list too much is no fault, to list too little is.
    pub(crate) fn matches(&self, query: &EntryQuery, now: Stamp) -> bool {
        let labels = self.entry.labels();
        (query.tenant.is_none() || query.tenant == labels.tenant)
            && (query.states.is_empty() || query.states.contains(&labels.state))
            && (!query.due
                || labels
                    .due_in_seconds
                    .is_some_and(|seconds| self.is_due(seconds, now)))
    }

    /// By either clock, or because the machine was started anew.
    fn is_due(&self, in_seconds: u32, now: Stamp) -> bool {
        let written = self.head.written;
        let due_in_ms = u64::from(in_seconds) * 1000;
        written.boot != now.boot
            || written.wall_ms.saturating_add(due_in_ms) <= now.wall_ms
            || written.steady_ms.saturating_add(due_in_ms) <= now.steady_ms
    }
}
