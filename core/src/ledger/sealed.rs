//! A record with its confidential parts sealed: the open part, and the sealed text. This module
//! does not know how to seal or open.

use super::record::Record;
use serde::{Deserialize, Serialize};

/// A record with its confidential parts sealed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SealedEnvelope")]
pub struct SealedRecord {
    /// INVARIANT: the JSON text of `record`. What is authenticated is this text, byte by byte, so that no later way to
    /// write a record makes it another.
    open: String,
    key_id: String,
    sealed: String,
    #[serde(skip_serializing)]
    record: Box<Record>,
}

#[derive(Deserialize)]
struct SealedEnvelope {
    open: String,
    key_id: String,
    sealed: String,
}

impl TryFrom<SealedEnvelope> for SealedRecord {
    type Error = serde_json::Error;

    fn try_from(
        SealedEnvelope {
            open,
            key_id,
            sealed,
        }: SealedEnvelope,
    ) -> Result<Self, Self::Error> {
        let record = Box::new(serde_json::from_str(&open)?);
        Ok(Self {
            open,
            key_id,
            sealed,
            record,
        })
    }
}

impl SealedRecord {
    /// Seals the confidential parts of `record` with `seal`, which gets the text of the open part.
    pub fn new<Fault: From<serde_json::Error>>(
        record: Record,
        key_id: String,
        seal: impl FnOnce(&str) -> Result<String, Fault>,
    ) -> Result<Self, Fault> {
        let open = serde_json::to_string(&record)?;
        let sealed = seal(&open)?;
        Ok(Self {
            open,
            key_id,
            sealed,
            record: Box::new(record),
        })
    }

    /// Returns the open part of the record: state, times and digests. It must be opened before
    /// anything rests on it.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Which key it is sealed under.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The text of the parts in the clear.
    pub fn open(&self) -> &str {
        &self.open
    }

    /// Returns the sealed text.
    pub fn sealed(&self) -> &str {
        &self.sealed
    }
}

impl std::fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}
