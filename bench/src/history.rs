//! A ledger with a long history, beside a short one.

use crate::{
    row::{Reach, Rows},
    sample::{self, Sample},
    world,
};
use anyhow::{Context, Result};
use rusqlite::{Connection, named_params};
use semel::{model::Call, runtime::Semel, store::SqliteStore};
use std::{cell::Cell, path::Path, sync::Arc};
use tokio::runtime::Runtime;

/// The settled operations of the short history.
const SHORT: u32 = 1_000;

/// Those of them that are replayed in turn, spread over the history.
const KNOWN: u32 = 500;

pub(crate) fn measure(rows: &mut Rows, folder: &Path, length: u32) -> Result<()> {
    let runtime = world::runtime(1)?;
    let short = History::of(&runtime, &folder.join("short.db"), SHORT)?;
    let long = History::of(&runtime, &folder.join("long.db"), length)?;
    let mut executed_long = || long.execute(&runtime);
    let mut executed_short = || short.execute(&runtime);
    let [executed, floor] = sample::microseconds([&mut executed_long, &mut executed_short])?;
    let title =
        |what: &str| format!("{length} settled operations, one caller, {what} (floor: {SHORT})");
    rows.add(
        &title("executed"),
        "µs",
        executed,
        Some(floor),
        &[Reach::TimesAtMost(1.3)],
    );
    let mut replayed_long = || long.replay(&runtime);
    let mut replayed_short = || short.replay(&runtime);
    let [replayed, floor] = sample::microseconds([&mut replayed_long, &mut replayed_short])?;
    rows.add(
        &title("replayed"),
        "µs",
        replayed,
        Some(floor),
        &[Reach::TimesAtMost(1.5)],
    );
    let before = world::resident_mib()?;
    sample::microseconds([&mut executed_long, &mut replayed_long])?;
    let after = Sample::exactly(world::resident_mib()?);
    let before = Sample::exactly(before);
    let title = "memory of the process after as many calls again (floor: before them)";
    rows.add(
        title,
        "MiB",
        after,
        Some(before),
        &[Reach::TimesAtMost(1.1)],
    );
    Ok(())
}

struct History {
    host: Semel,
    known: Vec<Call>,
    next: Cell<usize>,
}

impl History {
    /// Known calls, with as many others before, between and after them as make up the length.
    fn of(runtime: &Runtime, file: &Path, length: u32) -> Result<Self> {
        let policy = world::policy(runtime, "intent", world::refunding_without_handles())?;
        let host = world::host(runtime, Arc::new(SqliteStore::open(file)?), policy)?;
        let mut known = Vec::new();
        for part in 0..KNOWN {
            let call = world::fresh_call()?;
            runtime.block_on(world::execute(&host, call.clone()))?;
            known.push(call);
            if part % 50 == 0 {
                fill(file, length.saturating_sub(KNOWN) / (KNOWN / 50))?;
            }
        }
        Ok(Self {
            host,
            known,
            next: Cell::new(0),
        })
    }

    fn execute(&self, runtime: &Runtime) -> Result<()> {
        let host = self.host.clone();
        runtime.block_on(async move { world::execute(&host, world::fresh_call()?).await })
    }

    /// In another order than they were made in.
    fn replay(&self, runtime: &Runtime) -> Result<()> {
        self.next.set((self.next.get() + 211) % self.known.len());
        let call = self
            .known
            .get(self.next.get())
            .cloned()
            .context("no call is known")?;
        let host = self.host.clone();
        runtime.block_on(async move { world::replay(&host, call).await })
    }
}

/// So many settled operations more: copies of one under keys of their own.
fn fill(file: &Path, count: u32) -> Result<()> {
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
