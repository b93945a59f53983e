//! What a ledger knows of watched tools: what would have become of their calls.

use crate::runtime::{
    ledger_client::LedgerError,
    operator::{Ledger, PAGE},
};
use crate::{
    ledger::{Entry, Tally},
    model::StoreKey,
    store::{EntryQuery, StoreError},
};
use std::{collections::BTreeMap, time::Duration};

impl Ledger {
    /// Returns the tallies of the watched tools, in the order of their names: of the days (in UTC)
    /// within `since` of now, the first of them as a whole. A tally of more than one day is dated
    /// by its first.
    ///
    /// # Errors
    ///
    /// If the ledger does not answer.
    pub async fn report(&self, since: Duration) -> Result<Vec<Tally>, LedgerError> {
        const DAY_MS: u64 = 24 * 3_600 * 1_000;
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut tools: BTreeMap<String, Tally> = BTreeMap::new();
        let mut query = EntryQuery {
            states: vec![crate::ledger::StateLabel::Tally],
            limit: PAGE,
            ..EntryQuery::default()
        };
        loop {
            let page = self.table.store().list(&query).await?;
            query.after = page.keys.last().copied();
            for key in &page.keys {
                let Some((tally, now_ms)) = self.tally(*key).await? else {
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
            if !page.more {
                return Ok(tools.into_values().collect());
            }
        }
    }

    async fn tally(&self, key: StoreKey) -> Result<Option<(Tally, u64)>, StoreError> {
        let (stored, now) = self.table.store().get(key).await?;
        Ok(match stored.as_ref().map(|stored| &*stored.entry) {
            Some(Entry::Tally(tally)) => Some(((**tally).clone(), now.wall_ms)),
            _ => None,
        })
    }
}
