//! Quarantine: the time for which nothing is sent on a ledger that may have lost what it acknowledged.
//!
//! A store's stamps name its life ([`Incarnation`]). The scheme record was written in one; where the present one is
//! another, a record that is missing proves nothing: the operation may have been sent, and forgotten. Then the first host
//! that sees it begins a *quarantine*, in the scheme record itself, so that all hosts keep it: no right to send is granted
//! until the longest attempt and window that were ever in use are over, or a person says otherwise. Whatever sends nothing
//! goes on: replays, settlements, decisions.
//!
//! What it costs: a comparison a grant, and one more write when an operation asks for a longer window than any before it.

use crate::runtime::ledger_client::{LedgerClient, LedgerError};
use crate::{
    ledger::{Claim, Entry, Person, SchemeRecord},
    model::{Incarnation, Stamp, StoreKey},
    store::StoredEntry,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The quarantine where a ledger of an older release does not say what was in use.
const UNKNOWN_SECONDS: u64 = 86_400;

/// The reads of a scheme that other hosts keep changing.
const TRIES_MAX: u32 = 64;

/// A host's knowledge of a ledger's quarantine.
#[derive(Debug)]
pub(crate) struct Quarantine {
    /// The key of the scheme.
    at: StoreKey,
    /// The scheme that was agreed on, in case it is gone.
    scheme: SchemeRecord,
    /// The life in which nothing is missing.
    whole: AtomicU64,
    /// The longest attempt and window that the scheme names, in seconds.
    horizon: AtomicU64,
}

impl Quarantine {
    /// Starts from the scheme as it was found; if it is not known to be whole, that is checked
    /// before the first grant.
    pub(crate) fn of(at: StoreKey, scheme: SchemeRecord, whole: Option<Incarnation>) -> Self {
        let horizon = AtomicU64::new(scheme.horizon_seconds);
        // No store reports the incarnation 0.
        let whole = AtomicU64::new(whole.map_or(0, |life| life.0));
        Self {
            at,
            scheme,
            whole,
            horizon,
        }
    }

    /// Ends in an error where nothing may be sent now.
    pub(crate) async fn ensure_not_quarantined(
        &self,
        table: &LedgerClient,
        now: Stamp,
    ) -> Result<(), LedgerError> {
        if now.incarnation.0 == self.whole.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.examine(table).await? {
            Standing::Whole(life) => {
                self.whole.store(life.0, Ordering::Relaxed);
                Ok(())
            }
            Standing::Quarantined { left } => Err(LedgerError::Quarantined { left }),
        }
    }

    /// Sees to it that the scheme knows how long what is about to be claimed may matter.
    pub(crate) async fn note(
        &self,
        table: &LedgerClient,
        claim: &Claim,
    ) -> Result<(), LedgerError> {
        let asked = u64::from(claim.terms.window_seconds) + u64::from(claim.terms.attempt_seconds);
        if asked <= self.horizon.load(Ordering::Relaxed) {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            let Some((stored, _)) = table.read(self.at).await? else {
                return Ok(());
            };
            let Some(scheme) = scheme_of(&stored) else {
                return Ok(());
            };
            if scheme.horizon_seconds >= asked {
                self.horizon
                    .fetch_max(scheme.horizon_seconds, Ordering::Relaxed);
                return Ok(());
            }
            let longer = SchemeRecord {
                horizon_seconds: asked,
                ..scheme
            };
            table
                .write_in_place(self.at, Some(stored.version), Entry::Scheme(longer))
                .await?;
        }
        Err(LedgerError::Contended)
    }

    async fn examine(&self, table: &LedgerClient) -> Result<Standing, LedgerError> {
        for _ in 0..TRIES_MAX {
            let (stored, now) = table.store().get(self.at).await?;
            let found = stored
                .as_ref()
                .and_then(|stored| Some((scheme_of(stored)?, stored)));
            let (next, expected) = match found {
                // It is gone, and so may be everything else.
                None => (
                    begun(self.scheme.clone(), self.horizon.load(Ordering::Relaxed)),
                    None,
                ),
                Some((scheme, stored)) => match standing(scheme, stored, now) {
                    Next::Stands(standing) => return Ok(standing),
                    Next::Write(scheme) => (scheme, Some(stored.version)),
                },
            };
            table
                .write_in_place(self.at, expected, Entry::Scheme(next))
                .await?;
        }
        Err(LedgerError::Contended)
    }
}

/// The result of checking the scheme.
enum Standing {
    Whole(Incarnation),
    Quarantined { left: Duration },
}

enum Next {
    Stands(Standing),
    Write(SchemeRecord),
}

fn standing(scheme: SchemeRecord, stored: &StoredEntry, now: Stamp) -> Next {
    if stored.written.incarnation != now.incarnation {
        let horizon = scheme.horizon_seconds;
        return Next::Write(begun(scheme, horizon));
    }
    let Some(seconds) = scheme.quarantine_seconds else {
        return Next::Stands(Standing::Whole(now.incarnation));
    };
    let whole_ms = seconds.saturating_mul(1000);
    let past_ms = now.shortest_since(&stored.written);
    if past_ms >= whole_ms {
        return Next::Write(SchemeRecord {
            quarantine_seconds: None,
            ..scheme
        });
    }
    Next::Stands(Standing::Quarantined {
        left: Duration::from_millis(whole_ms - past_ms),
    })
}

/// The scheme with which a quarantine begins.
pub(crate) fn begun(scheme: SchemeRecord, horizon_seconds: u64) -> SchemeRecord {
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

/// The scheme with which a person ends one.
pub(crate) fn trusted(scheme: SchemeRecord, person: Person) -> SchemeRecord {
    SchemeRecord {
        quarantine_seconds: None,
        trusted_by: Some(person),
        ..scheme
    }
}

pub(crate) fn scheme_of(stored: &StoredEntry) -> Option<SchemeRecord> {
    match &*stored.entry {
        Entry::Scheme(scheme) => Some(scheme.clone()),
        _ => None,
    }
}
