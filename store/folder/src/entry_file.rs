//! The file of an entry: a header that the store reads, and the entry.

use semel_core::{
    ledger::{Entry, EntryError, Retention},
    model::Stamp,
};
use semel_store::{EntryQuery, StoredEntry, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The file of an entry.
#[derive(Debug)]
pub(crate) struct EntryFile {
    header: FileHeader,
    entry: Arc<Entry>,
}

/// The first line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct FileHeader {
    version: Version,
    created: Stamp,
    written: Stamp,
    /// The end of the retention by the wall clock, or `None` for no end.
    end_ms: Option<u64>,
}

impl EntryFile {
    pub(crate) fn new(
        entry: Arc<Entry>,
        version: Version,
        keep: Retention,
        created: Stamp,
        written: Stamp,
    ) -> Self {
        Self {
            header: FileHeader {
                version,
                created,
                written,
                end_ms: keep.end_ms(written),
            },
            entry,
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let (Some(header), Some(entry)) = (lines.next(), lines.next()) else {
            return Err(EntryError::Damaged("it has no header line".to_owned()));
        };
        let header = serde_json::from_slice(header)
            .map_err(|fault| EntryError::Damaged(fault.to_string()))?;
        Ok(Self {
            header,
            entry: Arc::new(Entry::from_bytes(entry)?),
        })
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = serde_json::to_vec(&self.header)
            .map_err(|fault| EntryError::Damaged(fault.to_string()))?;
        bytes.push(b'\n');
        bytes.extend(self.entry.to_bytes()?);
        Ok(bytes)
    }

    pub(crate) fn into_stored(self) -> StoredEntry {
        let FileHeader {
            version,
            created,
            written,
            ..
        } = self.header;
        StoredEntry {
            entry: self.entry,
            version,
            created,
            written,
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.header.version
    }

    pub(crate) fn created(&self) -> Stamp {
        self.header.created
    }

    pub(crate) fn is_expired(&self, now: Stamp) -> bool {
        self.header
            .end_ms
            .is_some_and(|end_ms| end_ms <= now.wall_ms)
    }

    /// Returns whether a list contains the entry. A list may contain too much, never too little.
    pub(crate) fn matches(&self, query: &EntryQuery, now: Stamp) -> bool {
        let labels = self.entry.labels();
        (query.tenant.is_none() || query.tenant == labels.tenant)
            && (query.states.is_empty() || query.states.contains(&labels.state))
            && (!query.due
                || labels
                    .due_in_seconds
                    .is_some_and(|seconds| self.is_due(seconds, now)))
    }

    /// Returns whether the entry is due by either clock, or the machine was rebooted.
    fn is_due(&self, in_seconds: u32, now: Stamp) -> bool {
        let written = self.header.written;
        let due_in_ms = u64::from(in_seconds) * 1000;
        written.boot != now.boot
            || written.wall_ms.saturating_add(due_in_ms) <= now.wall_ms
            || written.steady_ms.saturating_add(due_in_ms) <= now.steady_ms
    }
}
