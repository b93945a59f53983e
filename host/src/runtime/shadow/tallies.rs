//! Counts the outcomes of observed calls, and writes the counts to the ledger. Observations during one write go with the
//! next, and counts that could not be written are kept for later.

use crate::{
    ledger::{Entry, ShadowOutcome, Tally, TallyExample},
    model::{Answer, Tenant},
    runtime::host::HostCore,
    store::StoreError,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// The most tools that are counted apart while nothing can be written. Further ones are counted
/// together.
const TOOLS_MAX: usize = 256;
const OTHERS: &str = "(others)";

/// The tries to write a tally that other hosts keep changing.
const TRIES_MAX: u32 = 64;

/// The time limit of writing one tally.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The shadow outcome of a call, with an example if it would not have been sent.
pub(super) struct Observation {
    would: ShadowOutcome,
    example: Option<TallyExample>,
}

impl Observation {
    pub(super) const UNOBSERVED: Self = Self {
        would: ShadowOutcome::Unobserved,
        example: None,
    };

    pub(super) fn from_answer(tenant: &Tenant, answer: &Answer) -> Self {
        let would = ShadowOutcome::from(answer);
        let example = match answer.about() {
            Some(about) if would.suppresses() => Some(TallyExample {
                tenant: tenant.clone(),
                operation: about.operation.clone(),
                key: about.key.clone(),
                would,
                times: 1,
                // The store's clock fills these in.
                first_ms: 0,
                last_ms: 0,
            }),
            _ => None,
        };
        Self { would, example }
    }
}

impl From<ShadowOutcome> for Observation {
    fn from(would: ShadowOutcome) -> Self {
        Self {
            would,
            example: None,
        }
    }
}

/// Observations that are not yet written, by tool.
#[derive(Debug, Default)]
pub(super) struct TallyBuffer {
    pending: Mutex<BTreeMap<String, Tally>>,
    /// Held by the one observer that writes.
    writing: tokio::sync::Mutex<()>,
}

impl TallyBuffer {
    pub(super) fn add(&self, tool: &str, observation: Observation) {
        let mut pending = self.pending.lock();
        let tool = if pending.len() < TOOLS_MAX || pending.contains_key(tool) {
            tool
        } else {
            OTHERS
        };
        let tally = pending
            .entry(tool.to_owned())
            .or_insert_with(|| Tally::new(tool.to_owned(), 0));
        tally.add(
            &BTreeMap::from([(observation.would, 1)]),
            observation.example.as_slice(),
        );
    }

    /// Writes all counts.
    pub(super) async fn write_all(&self, core: &HostCore) {
        let _one_writer = self.writing.lock().await;
        while let Some(counted) = self.take_first() {
            let written = timeout(WRITE_TIMEOUT, write_tally(core, &counted)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!("semel.shadow tally could not be written: it is kept for later");
                self.put_back(counted);
                return;
            }
        }
    }

    fn take_first(&self) -> Option<Tally> {
        self.pending.lock().pop_first().map(|(_, tally)| tally)
    }

    fn put_back(&self, counted: Tally) {
        let mut pending = self.pending.lock();
        let tally = pending
            .entry(counted.tool.clone())
            .or_insert_with(|| Tally::new(counted.tool.clone(), 0));
        tally.add(&counted.counts, &counted.examples);
    }
}

/// Adds the counts to the ledger's tally of the present day.
async fn write_tally(core: &HostCore, counted: &Tally) -> Result<(), StoreError> {
    let entries = core.ledger.entries();
    // The day is the store's, so the first read only asks for its time.
    let (_, now) = entries
        .store()
        .get(core.keys.tally_key(&counted.tool, 0))
        .await?;
    let day_ms = now.wall_ms - now.wall_ms % DAY_MS;
    let key = core.keys.tally_key(&counted.tool, day_ms);
    let examples: Vec<_> = counted
        .examples
        .iter()
        .map(|example| TallyExample {
            first_ms: now.wall_ms,
            last_ms: now.wall_ms,
            ..example.clone()
        })
        .collect();
    for _ in 0..TRIES_MAX {
        let (stored, _) = entries.store().get(key).await?;
        let expected = stored.as_ref().map(|stored| stored.version);
        let mut tally = match stored.as_ref().map(|stored| &*stored.entry) {
            Some(Entry::Tally(tally)) => tally.clone(),
            _ => Box::new(Tally::new(counted.tool.clone(), day_ms)),
        };
        tally.add(&counted.counts, &examples);
        if entries.write_tally(key, expected, tally).await? {
            return Ok(());
        }
    }
    Err(StoreError::not_executed(
        "other hosts keep changing the tally",
    ))
}
