//! Counts shadow outcomes and writes them to the ledger: observations during one write go with the
//! next, and failed writes are kept for later.

use crate::{
    ledger::{Entry, ShadowOutcome, Tally, TallyExample},
    model::{Answer, StoreKey, Tenant},
    runtime::semel::Semel,
    store::{CreateResult, ReplaceResult, Retention, Store, StoreError, Version},
};
use semel_store::fresh_nonce;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync, time::timeout};

/// The retention of a day's tally, in seconds.
const KEPT_SECONDS: u64 = 90 * 24 * 3_600;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// The most tools that are counted apart while nothing can be written. Further ones are counted
/// together.
const TOOLS_MAX: usize = 256;
const OTHERS: &str = "(others)";

/// The tries to write a tally that others change, and the time limit of a try.
const TRIES_MAX: u32 = 64;
const WRITE_AT_MOST: Duration = Duration::from_secs(10);

/// A call's shadow outcome, with an example if it would not have been sent.
pub(super) struct Seen {
    would: ShadowOutcome,
    example: Option<TallyExample>,
}

impl Seen {
    pub(super) const UNOBSERVED: Self = Self {
        would: ShadowOutcome::Unobserved,
        example: None,
    };

    /// Returns the shadow outcome of an answer.
    pub(super) fn of(tenant: &Tenant, answer: &Answer) -> Self {
        let would = ShadowOutcome::from(answer);
        let example = answer
            .about()
            .filter(|_| would.suppresses())
            .map(|about| TallyExample {
                tenant: tenant.clone(),
                operation: about.operation.clone(),
                key: about.key.clone(),
                would,
                times: 1,
                // The store's clock fills these in.
                first_ms: 0,
                last_ms: 0,
            });
        Self { would, example }
    }
}

impl From<ShadowOutcome> for Seen {
    fn from(would: ShadowOutcome) -> Self {
        Self {
            would,
            example: None,
        }
    }
}

/// Observations that are not yet written, by tool.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pending: Mutex<BTreeMap<String, Tally>>,
    /// One writes at a time.
    writing: sync::Mutex<()>,
}

impl Tallies {
    pub(super) fn note(&self, tool: &str, seen: Seen) {
        let mut pending = self.pending();
        let tool = if pending.len() < TOOLS_MAX || pending.contains_key(tool) {
            tool
        } else {
            OTHERS
        };
        let tally = pending
            .entry(tool.to_owned())
            .or_insert_with(|| Tally::new(tool.to_owned(), 0));
        tally.add(&BTreeMap::from([(seen.would, 1)]), seen.example.as_slice());
    }

    /// Writes all that was noted.
    pub(super) async fn write(&self, semel: &Semel) {
        let _one = self.writing.lock().await;
        while let Some(noted) = self.take() {
            let written = timeout(WRITE_AT_MOST, write(semel, &noted)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!("semel.shadow tally could not be written: it is kept for later");
                self.put_back(noted);
                return;
            }
        }
    }

    fn take(&self) -> Option<Tally> {
        self.pending().pop_first().map(|(_, tally)| tally)
    }

    fn put_back(&self, noted: Tally) {
        let mut pending = self.pending();
        let tally = pending
            .entry(noted.tool.clone())
            .or_insert_with(|| Tally::new(noted.tool.clone(), 0));
        tally.add(&noted.counts, &noted.examples);
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<String, Tally>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what was noted to what the ledger has of the present day.
async fn write(semel: &Semel, noted: &Tally) -> Result<(), StoreError> {
    let store = semel.inner.table.store();
    let keys = &semel.inner.keys;
    let (_, now) = store.get(keys.tally_key(&noted.tool, 0)).await?;
    let day_ms = now.wall_ms - now.wall_ms % DAY_MS;
    let at = keys.tally_key(&noted.tool, day_ms);
    let at_this_time = |example: &TallyExample| TallyExample {
        first_ms: now.wall_ms,
        last_ms: now.wall_ms,
        ..example.clone()
    };
    let examples: Vec<_> = noted.examples.iter().map(at_this_time).collect();
    for _ in 0..TRIES_MAX {
        let (stored, _) = store.get(at).await?;
        let expected = stored.as_ref().map(|stored| stored.version);
        let mut tally = match stored.as_ref().map(|stored| &*stored.entry) {
            Some(Entry::Tally(tally)) => (**tally).clone(),
            _ => Tally::new(noted.tool.clone(), day_ms),
        };
        tally.add(&noted.counts, &examples);
        if put(&**store, at, expected, Entry::Tally(Box::new(tally))).await? {
            return Ok(());
        }
    }
    Err(StoreError::not_executed(
        "others write the same tally all the time",
    ))
}

/// Writes the tally if it is as it was, and says whether it was. What may have been written counts as written: a count
/// too few is better than one made twice.
pub(crate) async fn put(
    store: &dyn Store,
    at: StoreKey,
    expected: Option<Version>,
    tally: Entry,
) -> Result<bool, StoreError> {
    let version = fresh_nonce().map_err(StoreError::not_executed)?;
    let tally = Arc::new(tally);
    let keep = Retention::Seconds(KEPT_SECONDS);
    let written = match expected {
        None => store
            .create(at, &tally, version, keep)
            .await
            .map(|done| matches!(done, CreateResult::Created(_))),
        Some(expected) => {
            let replaced = store.replace(at, expected, &tally, version, keep).await;
            replaced.map(|done| matches!(done, ReplaceResult::Replaced(_)))
        }
    };
    match written {
        Err(StoreError::Unknown(_)) => Ok(true),
        written => written,
    }
}
