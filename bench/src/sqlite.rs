//! A guarded call on a SQLite ledger that survives power loss, beside the bare commits that it needs.

use crate::{
    callers,
    row::{Reach, Rows},
    sample::{self, Sample},
    world,
};
use anyhow::{Context, Result};
use rusqlite::{Connection, TransactionBehavior, named_params};
use semel::{runtime::Semel, store::SqliteStore};
use semel_store::fresh_nonce;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The number of callers where there are many.
const CALLERS: usize = 64;
/// The time of a round with many callers.
const ROUND: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 5;

/// A folder in memory, for figures of the processor alone: nothing is synced there.
const MEMORY: &str = "/dev/shm";

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    Placed::at(folder, "this disk")?.measure(rows)?;
    let memory = tempfile::tempdir_in(MEMORY)
        .context("files in memory are needed to tell the disk's part")?;
    Placed::at(memory.path(), "in memory, so without syncs")?.measure(rows)
}

/// A ledger, and a bare database of the same form beside it.
struct Placed {
    place: &'static str,
    runtime: Runtime,
    store: Arc<SqliteStore>,
    host: Semel,
    bare: Bare,
}

impl Placed {
    fn at(folder: &Path, place: &'static str) -> Result<Self> {
        let runtime = world::runtime(2)?;
        let store = Arc::new(SqliteStore::open(folder.join("ledger.db"))?);
        let policy = world::policy(&runtime, "intent", world::refunding_without_handles())?;
        let host = world::host(&runtime, store.clone(), policy)?;
        runtime.block_on(world::execute(&host, world::fresh_call()?))?;
        let bare = Bare::like(&folder.join("ledger.db"), folder.join("bare.db"))?;
        Ok(Self {
            place,
            runtime,
            store,
            host,
            bare,
        })
    }

    fn measure(mut self, rows: &mut Rows) -> Result<()> {
        self.one_caller(rows)?;
        self.many_callers(rows)?;
        self.replays(rows)
    }

    fn title(&self, what: &str) -> String {
        format!("SQLite FULL ({}), {what}", self.place)
    }

    fn one_caller(&mut self, rows: &mut Rows) -> Result<()> {
        let Self {
            runtime,
            host,
            bare,
            ..
        } = self;
        let mut executed = || {
            let host = host.clone();
            runtime.block_on(async move { world::execute(&host, world::fresh_call()?).await })
        };
        let mut twice = || bare.commits_of(1);
        let [executed, twice] = sample::microseconds([&mut executed, &mut twice])?;
        let title = self.title("one caller, executed (floor: two bare commits)");
        rows.add(
            &title,
            "µs",
            executed,
            Some(twice),
            &[Reach::TimesAtMost(1.15)],
        );
        Ok(())
    }

    fn many_callers(&mut self, rows: &mut Rows) -> Result<()> {
        let mut calls = Vec::new();
        let mut floor = Vec::new();
        let mut commits = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.store.commits();
            let done = callers::make(&self.runtime, &self.host, CALLERS, ROUND, None)?;
            calls.push(done as f64 / ROUND.as_secs_f64());
            commits.push((self.store.commits() - before) as f64 / done as f64);
            floor.push(self.bare.calls_per_second()?);
        }
        let calls = Sample::of(calls);
        let floor = Sample::of(floor);
        let title =
            self.title("64 callers, executed (floor: the same writes in groups of 64, bare)");
        rows.add(
            &title,
            "calls/s",
            calls,
            Some(floor),
            &[Reach::AtLeast(25_000.0), Reach::TimesAtLeast(0.7)],
        );
        rows.add(
            &self.title("64 callers, commits a call"),
            "",
            Sample::of(commits),
            None,
            &[],
        );
        Ok(())
    }

    fn replays(&self, rows: &mut Rows) -> Result<()> {
        let call = world::fresh_call()?;
        self.runtime
            .block_on(world::execute(&self.host, call.clone()))?;
        let mut replayed = || {
            let host = self.host.clone();
            let call = call.clone();
            self.runtime
                .block_on(async move { world::replay(&host, call).await })
        };
        let [replayed] = sample::microseconds([&mut replayed])?;
        rows.add(
            &self.title("one caller, replayed"),
            "µs",
            replayed,
            None,
            &[Reach::AtMost(18.0)],
        );
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let done = callers::make(&self.runtime, &self.host, CALLERS, ROUND, Some(&call))?;
            rates.push(done as f64 / ROUND.as_secs_f64());
        }
        rows.add(
            &self.title("64 callers, replayed"),
            "calls/s",
            Sample::of(rates),
            None,
            &[Reach::AtLeast(80_000.0)],
        );
        Ok(())
    }
}

/// A database of the same form, without Semel: what its writes cost by themselves.
struct Bare {
    connection: Connection,
    entry: Vec<u8>,
}

impl Bare {
    /// As the ledger at `ledger` lies there, with an entry as large as its own.
    fn like(ledger: &Path, at: PathBuf) -> Result<Self> {
        let bytes: i64 = Connection::open(ledger)?.query_row(
            "SELECT max(length(entry)) FROM entry WHERE state = 'landed'",
            [],
            |row| row.get(0),
        )?;
        drop(SqliteStore::open(&at)?);
        let connection = Connection::open(at)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
        Ok(Self {
            connection,
            entry: vec![b'7'; usize::try_from(bytes)?],
        })
    }

    /// One commit for so many claims, and one for their settlements.
    fn commits_of(&mut self, calls: usize) -> Result<()> {
        let keys = (0..calls)
            .map(|_| Ok([fresh_nonce()?; 2]))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = keys
            .iter()
            .map(|[one, two]| [*one.as_bytes(), *two.as_bytes()].concat())
            .collect();
        self.commit(
            &keys,
            "INSERT INTO entry (
                 key, version, entry, sum, keep_until_ms, tenant, state, due_in_ms,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             ) VALUES (
                 :key, x'00112233445566778899aabbccddeeff', :entry, 1, NULL, 'tenant', 'running', 15000,
                 1, 1, 1, 1, 1, 1, 1, 1)",
        )?;
        self.commit(
            &keys,
            "UPDATE entry SET state = 'landed', due_in_ms = NULL, keep_until_ms = 1, entry = :entry WHERE key = :key",
        )
    }

    fn commit(&mut self, keys: &[Vec<u8>], statement: &str) -> Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for key in keys {
            transaction
                .prepare_cached(statement)?
                .execute(named_params! { ":key": key, ":entry": self.entry })?;
        }
        Ok(transaction.commit()?)
    }

    fn calls_per_second(&mut self) -> Result<f64> {
        let begun = Instant::now();
        let mut calls = 0;
        while begun.elapsed() < ROUND {
            self.commits_of(CALLERS)?;
            calls += CALLERS;
        }
        Ok(calls as f64 / begun.elapsed().as_secs_f64())
    }
}
