//! A SQLite ledger with a long history, compared with a short one.

use crate::{
    fixtures,
    results::{FigureGoal, ResultTable},
    sample::{self, Sample},
};
use anyhow::{Context, Result};
use rusqlite::{Connection, named_params};
use semel::{model::Call, runtime::Semel, store::SqliteStore};
use std::{cell::Cell, path::Path, sync::Arc};
use tokio::runtime::Runtime;

/// The settled operations of the short history.
const SHORT_HISTORY: u32 = 1_000;

/// The number of settled operations that are replayed, spread over the history.
const KNOWN_CALLS: u32 = 500;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path, length: u32) -> Result<()> {
    let runtime = fixtures::start_runtime(1)?;
    let short = LedgerHistory::create(&runtime, &folder.join("short.db"), SHORT_HISTORY)?;
    let long = LedgerHistory::create(&runtime, &folder.join("long.db"), length)?;
    let mut executed_long = || long.execute_new(&runtime);
    let mut executed_short = || short.execute_new(&runtime);
    let [executed, floor] = sample::measure_in_turn([&mut executed_long, &mut executed_short])?;
    let title = |what: &str| {
        format!("{length} settled operations, one caller, {what} (floor: {SHORT_HISTORY})")
    };
    rows.add_row(
        &title("executed"),
        "µs",
        executed,
        Some(floor),
        &[FigureGoal::RatioAtMost(1.3)],
    );
    let mut replayed_long = || long.replay_next(&runtime);
    let mut replayed_short = || short.replay_next(&runtime);
    let [replayed, floor] = sample::measure_in_turn([&mut replayed_long, &mut replayed_short])?;
    rows.add_row(
        &title("replayed"),
        "µs",
        replayed,
        Some(floor),
        &[FigureGoal::RatioAtMost(1.5)],
    );
    let before = fixtures::resident_memory_mib()?;
    sample::measure_in_turn([&mut executed_long, &mut replayed_long])?;
    let after = Sample::from_value(fixtures::resident_memory_mib()?);
    let before = Sample::from_value(before);
    let title = "memory of the process after as many calls again (floor: before them)";
    rows.add_row(
        title,
        "MiB",
        after,
        Some(before),
        &[FigureGoal::RatioAtMost(1.1)],
    );
    Ok(())
}

struct LedgerHistory {
    host: Semel,
    known: Vec<Call>,
    next: Cell<usize>,
}

impl LedgerHistory {
    /// Creates a ledger with known calls, and with copies between them that make up the length.
    fn create(runtime: &Runtime, file: &Path, length: u32) -> Result<Self> {
        let policy = fixtures::load_policy(
            runtime,
            "intent",
            fixtures::refund_settings_without_handles(),
        )?;
        let host = fixtures::open_host(runtime, Arc::new(SqliteStore::open(file)?), policy)?;
        let mut known = Vec::new();
        for part in 0..KNOWN_CALLS {
            let call = fixtures::new_call()?;
            runtime.block_on(fixtures::execute_call(&host, call.clone()))?;
            known.push(call);
            if part % 50 == 0 {
                insert_settled(
                    file,
                    length.saturating_sub(KNOWN_CALLS) / (KNOWN_CALLS / 50),
                )?;
            }
        }
        Ok(Self {
            host,
            known,
            next: Cell::new(0),
        })
    }

    fn execute_new(&self, runtime: &Runtime) -> Result<()> {
        let host = self.host.clone();
        runtime.block_on(async move { fixtures::execute_call(&host, fixtures::new_call()?).await })
    }

    /// Replays the next known call, in another order than the calls were made in.
    fn replay_next(&self, runtime: &Runtime) -> Result<()> {
        self.next.set((self.next.get() + 211) % self.known.len());
        let call = self
            .known
            .get(self.next.get())
            .cloned()
            .context("no call is known")?;
        let host = self.host.clone();
        runtime.block_on(async move { fixtures::replay_call(&host, call).await })
    }
}

/// Inserts `count` settled operations: copies of one under new keys.
fn insert_settled(file: &Path, count: u32) -> Result<()> {
    Connection::open(file)?.execute(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)
         INSERT INTO entry (
             key, version, entry, sum, keep_until_ms, tenant, state, due_in_ms,
             created_wall_ms, created_steady_ms, created_boot, created_incarnation,
             written_wall_ms, written_steady_ms, written_boot, written_incarnation
         )
         SELECT randomblob(32), randomblob(16), entry, sum, keep_until_ms, tenant, state, due_in_ms,
             created_wall_ms, created_steady_ms, created_boot, created_incarnation,
             written_wall_ms, written_steady_ms, written_boot, written_incarnation
         FROM number, (SELECT * FROM entry WHERE state = 'landed' LIMIT 1)",
        named_params! { ":count": count },
    )?;
    Ok(())
}
