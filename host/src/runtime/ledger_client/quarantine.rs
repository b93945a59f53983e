//! Quarantine: the time for which nothing is sent on a ledger that may have lost acknowledged writes.
//!
//! A store's stamps name its [`Incarnation`]: the time through which it kept every write. Where the scheme record was
//! written in another incarnation than the present one, a missing record proves nothing: the operation may have been sent.
//! The first host that notices it begins a quarantine, in the scheme record itself, so that all hosts respect it. No right
//! to send is granted until the longest attempt and window that were ever in use are over, or a person ends the
//! quarantine. Replays, settlements and decisions, which send nothing, go on.
//!
//! It costs a comparison a grant, and one more write when an operation has a longer window than any before it.

use super::{
    entries::EntryClient,
    error::{LedgerError, TRIES_MAX},
};
use crate::{
    ledger::{Claim, Entry, Person, SchemeRecord},
    model::{Incarnation, Stamp, StoreKey},
    store::StoredEntry,
};
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The quarantine where a ledger of an older release does not name the longest window in use.
const UNKNOWN_SECONDS: u64 = 86_400;

/// A host's knowledge of a ledger's quarantine.
#[derive(Debug)]
pub(crate) struct Quarantine {
    /// The key of the scheme record.
    key: StoreKey,
    /// The scheme that the host agreed on, to restore it if the ledger lost it.
    scheme: SchemeRecord,
    /// The incarnation that is known to have lost nothing, or `None` before one was found.
    intact: Mutex<Option<Incarnation>>,
    /// The longest attempt and window that the scheme record names, in seconds.
    horizon: AtomicU64,
}

impl Quarantine {
    /// Starts from the scheme as the host found it. Where `intact` is `None`, the first grant checks the ledger.
    pub(super) fn new(key: StoreKey, scheme: SchemeRecord, intact: Option<Incarnation>) -> Self {
        Self {
            key,
            horizon: AtomicU64::new(scheme.horizon_seconds),
            scheme,
            intact: Mutex::new(intact),
        }
    }

    /// Returns an error where nothing may be sent now.
    pub(super) async fn ensure_not_quarantined(
        &self,
        entries: &EntryClient,
        now: Stamp,
    ) -> Result<(), LedgerError> {
        // The usual case, and all that a grant costs.
        if *self.intact.lock() == Some(now.incarnation) {
            return Ok(());
        }
        match self.check_scheme(entries).await? {
            LedgerHealth::Intact(incarnation) => {
                *self.intact.lock() = Some(incarnation);
                Ok(())
            }
            LedgerHealth::Quarantined { left } => Err(LedgerError::Quarantined { left }),
        }
    }

    /// Raises the horizon in the scheme record where `claim` has a longer attempt and window than any before it.
    pub(super) async fn raise_horizon(
        &self,
        entries: &EntryClient,
        claim: &Claim,
    ) -> Result<(), LedgerError> {
        let seconds =
            u64::from(claim.terms.window_seconds) + u64::from(claim.terms.attempt_seconds);
        if seconds <= self.horizon.load(Ordering::Relaxed) {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            let Some((stored, _)) = entries.read_entry(self.key).await? else {
                return Ok(());
            };
            let Some(scheme) = scheme_of(&stored) else {
                return Ok(());
            };
            if scheme.horizon_seconds >= seconds {
                self.horizon
                    .fetch_max(scheme.horizon_seconds, Ordering::Relaxed);
                return Ok(());
            }
            let raised = SchemeRecord {
                horizon_seconds: seconds,
                ..scheme
            };
            // Written or not, the next turn reads what the record holds.
            entries
                .write_scheme(self.key, Some(stored.version), Entry::Scheme(raised))
                .await?;
        }
        Err(LedgerError::Contended)
    }

    async fn check_scheme(&self, entries: &EntryClient) -> Result<LedgerHealth, LedgerError> {
        for _ in 0..TRIES_MAX {
            let (stored, now) = entries.store().get(self.key).await?;
            let found = stored
                .as_ref()
                .and_then(|stored| Some((scheme_of(stored)?, stored)));
            let (scheme, expected) = match found {
                // Where the scheme record is lost, any other record may be lost too.
                None => {
                    let horizon = self.horizon.load(Ordering::Relaxed);
                    (begin_quarantine(self.scheme.clone(), horizon), None)
                }
                Some((scheme, stored)) => match next_check(scheme, stored, now) {
                    SchemeCheck::Done(health) => return Ok(health),
                    SchemeCheck::Write(scheme) => (scheme, Some(stored.version)),
                },
            };
            entries
                .write_scheme(self.key, expected, Entry::Scheme(scheme))
                .await?;
        }
        Err(LedgerError::Contended)
    }
}

/// The condition of a ledger, by its scheme record.
enum LedgerHealth {
    /// This incarnation lost nothing.
    Intact(Incarnation),
    Quarantined {
        left: Duration,
    },
}

/// The result of one reading of the scheme record.
enum SchemeCheck {
    Done(LedgerHealth),
    /// The record is to be written so, and read again.
    Write(SchemeRecord),
}

fn next_check(scheme: SchemeRecord, stored: &StoredEntry, now: Stamp) -> SchemeCheck {
    if stored.written.incarnation != now.incarnation {
        let horizon = scheme.horizon_seconds;
        return SchemeCheck::Write(begin_quarantine(scheme, horizon));
    }
    let Some(seconds) = scheme.quarantine_seconds else {
        return SchemeCheck::Done(LedgerHealth::Intact(now.incarnation));
    };
    let quarantine_ms = seconds.saturating_mul(1000);
    let past_ms = now.shortest_since(&stored.written);
    if past_ms >= quarantine_ms {
        return SchemeCheck::Write(SchemeRecord {
            quarantine_seconds: None,
            ..scheme
        });
    }
    SchemeCheck::Done(LedgerHealth::Quarantined {
        left: Duration::from_millis(quarantine_ms - past_ms),
    })
}

/// Returns the scheme record with which a quarantine begins.
pub(super) fn begin_quarantine(scheme: SchemeRecord, horizon_seconds: u64) -> SchemeRecord {
    let seconds = if horizon_seconds == 0 {
        UNKNOWN_SECONDS
    } else {
        horizon_seconds
    };
    tracing::warn!(
        seconds,
        "semel.ledger may have lost what it acknowledged: nothing is sent for now"
    );
    SchemeRecord {
        horizon_seconds,
        quarantine_seconds: Some(seconds),
        trusted_by: None,
        ..scheme
    }
}

/// Returns the scheme record with which a person ends a quarantine.
pub(super) fn end_quarantine(scheme: SchemeRecord, person: Person) -> SchemeRecord {
    SchemeRecord {
        quarantine_seconds: None,
        trusted_by: Some(person),
        ..scheme
    }
}

pub(super) fn scheme_of(stored: &StoredEntry) -> Option<SchemeRecord> {
    match &*stored.entry {
        Entry::Scheme(scheme) => Some(scheme.clone()),
        _ => None,
    }
}
