//! The report of shadow mode: what would have become of the calls of observed tools.

use super::{Ledger, pages::KeyPages};
use crate::{
    ledger::{Entry, StateLabel, Tally},
    model::StoreKey,
    runtime::ledger_client::error::LedgerError,
    store::{EntryQuery, StoreError},
};
use std::{collections::BTreeMap, time::Duration};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

impl Ledger {
    /// Returns the tallies of the tools in shadow mode, in the order of their names: of the days (in UTC)
    /// within `since` of now, the first of them as a whole. A tally of more than one day is dated
    /// by its first.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn report(&self, since: Duration) -> Result<Vec<Tally>, LedgerError> {
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut tools: BTreeMap<String, Tally> = BTreeMap::new();
        let mut pages = KeyPages::new(EntryQuery {
            states: vec![StateLabel::Tally],
            ..EntryQuery::default()
        });
        while let Some(keys) = pages.next_page(self.store()).await? {
            for key in keys {
                let Some((tally, now_ms)) = self.read_tally(key).await? else {
                    continue;
                };
                if tally.day_ms.saturating_add(DAY_MS) <= now_ms.saturating_sub(since_ms) {
                    continue;
                }
                let tool = tally.tool.clone();
                let sum = tools
                    .entry(tool.clone())
                    .or_insert_with(|| Tally::new(tool, tally.day_ms));
                sum.day_ms = sum.day_ms.min(tally.day_ms);
                sum.add(&tally.counts, &tally.examples);
            }
        }
        Ok(tools.into_values().collect())
    }

    /// Returns the tally at `key`, and the ledger's time in milliseconds.
    async fn read_tally(&self, key: StoreKey) -> Result<Option<(Tally, u64)>, StoreError> {
        let (stored, now) = self.store().get(key).await?;
        Ok(match stored.as_ref().map(|stored| &*stored.entry) {
            Some(Entry::Tally(tally)) => Some(((**tally).clone(), now.wall_ms)),
            _ => None,
        })
    }
}
