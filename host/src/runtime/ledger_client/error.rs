//! The reasons for which a ledger does not carry out a command.

use crate::{
    guard::GuardLedgerError,
    ledger::{Entry, EntryError, Refusal},
    store::StoreError,
};
use semel_store::RandomnessError;
use std::time::Duration;

/// The tries of a write to an entry that keeps changing.
pub(super) const TRIES_MAX: u32 = 64;

/// The reason why a ledger did not carry out a command.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table of transitions forbids the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The record changed before each try to write it.
    #[error(
        "the record changed {TRIES_MAX} times while it was about to be written: try again later"
    )]
    Contended,
    /// The key holds an entry of another kind.
    #[error("the ledger holds a {found} where {wanted} was expected: restore it from a backup")]
    Misplaced {
        /// The kind found.
        found: &'static str,
        /// The kind expected.
        wanted: &'static str,
    },
    /// The ledger may have lost acknowledged writes.
    #[error(
        "the ledger may have lost what it acknowledged, so that what was sent may be missing: nothing is sent for {}, unless a person ends that before (`semel ledger trust`)",
        humantime::format_duration(Duration::from_secs(left.as_secs() + 1))
    )]
    Quarantined {
        /// The rest of the quarantine.
        left: Duration,
    },
    /// The operating system returned no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl LedgerError {
    /// Returns the error for a key that holds `found` where an entry of the kind `wanted` belongs.
    pub(super) fn misplaced(found: &Entry, wanted: &'static str) -> Self {
        match found {
            // A host that has the sealing key unseals a record before it gets here.
            Entry::Sealed(sealed) => StoreError::Entry(EntryError::NoKey {
                id: sealed.key_id().to_owned(),
            })
            .into(),
            _ => Self::Misplaced {
                found: found.kind(),
                wanted,
            },
        }
    }
}

impl From<&LedgerError> for GuardLedgerError {
    fn from(error: &LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => Self::Refused(*refusal),
            LedgerError::Store(StoreError::Entry(_)) | LedgerError::Misplaced { .. } => {
                Self::Unreadable(error.to_string())
            }
            _ => Self::Away(error.to_string()),
        }
    }
}
