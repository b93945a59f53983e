//! What a store keeps under a key: the record of an operation, a handle, or the scheme of the ledger.

use super::{
    handle::Handle,
    record::{Person, Record, State},
    sealed::SealedRecord,
    tally::Tally,
};
use crate::model::Tenant;
use serde::{Deserialize, Serialize};

/// The newest format that this release writes and reads. An entry is written in the oldest that can hold it, so that
/// hosts of an older release go on with what they understand. Older ones still read.
pub const FORMAT: u16 = 2;

/// The format of the first release: records in the clear, handles, the scheme.
const FIRST_FORMAT: u16 = 1;

/// The usual size of an entry, in bytes; a buffer grows beyond it.
const USUAL_BYTES: usize = 2 << 10;

/// The largest entry that is read or written, in bytes.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// An entry of a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The record of an operation.
    Operation(Box<Record>),
    /// The same, sealed.
    Sealed(Box<SealedRecord>),
    /// The owners of a handle.
    Handle(Handle),
    /// The key scheme of this ledger.
    Scheme(SchemeRecord),
    /// The shadow outcomes of a watched tool.
    Tally(Box<Tally>),
}

/// The key scheme of a ledger. A host with another scheme does not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemeRecord {
    /// The format of the keys.
    pub key_format: u16,
    /// Which secret they are made with; none: without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<String>,
    /// The key epoch of each policy with operations in this ledger, by name.
    pub key_epochs: std::collections::BTreeMap<String, u32>,
    /// The longest attempt and window together that an operation ever asked for, in seconds; 0: not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub horizon_seconds: u64,
    /// For so many seconds from this write on nothing is sent, because what was acknowledged may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_seconds: Option<u64>,
    /// The person who ended the last quarantine early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<Person>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The labels by which a store lists entries. They never decide anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLabels {
    /// The tenant, or `None` for the ledger itself.
    pub tenant: Option<Tenant>,
    /// The state.
    pub state: StateLabel,
    /// The seconds after this write in which the record may need attention again.
    pub due_in_seconds: Option<u32>,
}

impl EntryLabels {
    fn of(record: &Record) -> Self {
        Self {
            tenant: Some(record.tenant.clone()),
            state: record.state.label(),
            due_in_seconds: record
                .lease_seconds()
                .or(record.has_open_undoes().then_some(0)),
        }
    }
}

/// A state as a store lists by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateLabel {
    /// An attempt, or a retry of one, is in progress.
    Running,
    /// It continues elsewhere.
    Waiting,
    /// The effect is unknown.
    InDoubt,
    /// A probe is in progress.
    Probing,
    /// A person must decide.
    Held,
    /// There was no effect.
    Released,
    /// It was turned away.
    Refused,
    /// It took effect.
    Landed,
    /// It landed and was undone.
    Undone,
    /// It landed, and its outcome is no longer kept.
    Tombstone,
    /// The record lies under another key.
    Alias,
    /// A handle.
    Handle,
    /// The scheme.
    Scheme,
    /// The tally of a watched tool.
    Tally,
}

impl StateLabel {
    /// Every label, in the order of a record's life.
    pub const ALL: [Self; 14] = [
        Self::Running,
        Self::Waiting,
        Self::InDoubt,
        Self::Probing,
        Self::Held,
        Self::Released,
        Self::Refused,
        Self::Landed,
        Self::Undone,
        Self::Tombstone,
        Self::Alias,
        Self::Handle,
        Self::Scheme,
        Self::Tally,
    ];

    /// The labels of operations: all but those of what the ledger keeps beside them.
    pub fn of_operations() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|label| !matches!(label, Self::Handle | Self::Scheme | Self::Tally))
    }

    /// The word for it, in stores, messages and tables alike.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::InDoubt => "in-doubt",
            Self::Probing => "probing",
            Self::Held => "held",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Landed => "landed",
            Self::Undone => "undone",
            Self::Tombstone => "tombstone",
            Self::Alias => "alias",
            Self::Handle => "handle",
            Self::Scheme => "scheme",
            Self::Tally => "tally",
        }
    }

    /// Returns true if a person or a host has yet to end this state.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::Running | Self::Waiting | Self::InDoubt | Self::Probing | Self::Held
        )
    }

    /// The label of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.word() == word)
    }
}

impl State {
    /// The label of this state.
    #[must_use]
    pub fn label(&self) -> StateLabel {
        match self {
            Self::Started | Self::Retrying => StateLabel::Running,
            Self::Waiting { .. } => StateLabel::Waiting,
            Self::InDoubt { .. } => StateLabel::InDoubt,
            Self::Probing { .. } => StateLabel::Probing,
            Self::Held { .. } => StateLabel::Held,
            Self::Released { .. } => StateLabel::Released,
            Self::Refused { .. } => StateLabel::Refused,
            Self::Landed { .. } => StateLabel::Landed,
            Self::Undone { .. } => StateLabel::Undone,
            Self::Tombstone { .. } => StateLabel::Tombstone,
            Self::Alias { .. } => StateLabel::Alias,
        }
    }
}

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// They were written by a newer release.
    #[error(
        "the entry has format {found}, and this release reads up to {FORMAT}: use the release that wrote it, or a newer one"
    )]
    Newer {
        /// Its format.
        found: u16,
    },
    /// They are damaged.
    #[error("the entry is damaged ({0}): restore the ledger from a backup")]
    Damaged(String),
    /// They are too many.
    #[error("the entry is {0} bytes long, more than {ENTRY_BYTES_MAX}")]
    TooLarge(usize),
    /// They are sealed under a key that this host does not have.
    #[error(
        "the record is sealed under the key `{id}`, which this host does not have: add that key to `[sealing]`, to open with"
    )]
    NoKey {
        /// The key's name.
        id: String,
    },
    /// The sealed part does not open.
    #[error(
        "the sealed part of the record does not open with the key `{id}`: it was changed, it belongs to another record or write, or another key has this name: correct `[sealing]`, or restore the ledger from a backup"
    )]
    Unsealable {
        /// The key's name.
        id: String,
    },
}

#[derive(Serialize)]
struct EntryEnvelope<'a> {
    format: u16,
    entry: &'a Entry,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u16,
}

#[derive(Deserialize)]
struct OwnedEnvelope {
    format: u16,
    entry: Entry,
}

impl Entry {
    /// As bytes, for a store that keeps bytes.
    ///
    /// # Errors
    /// If it is larger than [`ENTRY_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(
            &mut bytes,
            &EntryEnvelope {
                format: self.format(),
                entry: self,
            },
        )
        .map_err(|error| EntryError::Damaged(error.to_string()))?;
        if bytes.len() > ENTRY_BYTES_MAX {
            Err(EntryError::TooLarge(bytes.len()))
        } else {
            Ok(bytes)
        }
    }

    /// From bytes.
    ///
    /// # Errors
    /// If they are damaged, too many, or of a newer release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        match serde_json::from_slice::<OwnedEnvelope>(bytes) {
            Ok(OwnedEnvelope { format, .. }) if format > FORMAT => {
                Err(EntryError::Newer { found: format })
            }
            Ok(envelope) => Ok(envelope.entry),
            Err(error) => Err(match serde_json::from_slice::<FormatOnly>(bytes) {
                Ok(FormatOnly { format }) if format > FORMAT => EntryError::Newer { found: format },
                _ => EntryError::Damaged(error.to_string()),
            }),
        }
    }

    /// The oldest format that can hold it.
    fn format(&self) -> u16 {
        match self {
            // An older release would take a later round's word for the whole attempt's.
            Self::Operation(record) if record.attempts.iter().any(|attempt| attempt.suspended) => {
                FORMAT
            }
            Self::Operation(_) | Self::Handle(_) | Self::Scheme(_) => FIRST_FORMAT,
            Self::Sealed(_) | Self::Tally(_) => FORMAT,
        }
    }

    /// Returns its kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Operation(_) => "operation",
            Self::Sealed(_) => "sealed operation",
            Self::Handle(_) => "handle",
            Self::Scheme(_) => "scheme",
            Self::Tally(_) => "tally",
        }
    }

    /// Returns the labels by which a store lists it.
    #[must_use]
    pub fn labels(&self) -> EntryLabels {
        match self {
            Self::Operation(record) => EntryLabels::of(record),
            Self::Sealed(sealed) => EntryLabels::of(sealed.record()),
            Self::Handle(handle) => EntryLabels {
                tenant: Some(handle.tenant.clone()),
                state: StateLabel::Handle,
                due_in_seconds: None,
            },
            Self::Scheme(_) => EntryLabels {
                tenant: None,
                state: StateLabel::Scheme,
                due_in_seconds: None,
            },
            Self::Tally(_) => EntryLabels {
                tenant: None,
                state: StateLabel::Tally,
                due_in_seconds: None,
            },
        }
    }
}
