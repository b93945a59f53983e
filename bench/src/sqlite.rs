//! A guarded call on a SQLite ledger that survives power loss. Its floor is the bare commits that it needs.

use crate::{
    callers, fixtures,
    results::{FigureGoal, ResultTable},
    sample::{self, Sample},
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

/// The number of concurrent callers.
const CALLERS: usize = 64;
/// The time of a round with concurrent callers.
const ROUND: Duration = Duration::from_millis(1_000);
const ROUNDS: usize = 5;

/// A folder in memory, for figures without the disk: a sync does nothing there.
const MEMORY: &str = "/dev/shm";

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path) -> Result<()> {
    SqliteBench::open(folder, "this disk")?.measure_all(rows)?;
    let memory = tempfile::tempdir_in(MEMORY)
        .context("files in memory are needed to tell the disk's part")?;
    SqliteBench::open(memory.path(), "in memory, so without syncs")?.measure_all(rows)
}

/// A ledger, and a bare database of the same form.
struct SqliteBench {
    place: &'static str,
    runtime: Runtime,
    store: Arc<SqliteStore>,
    host: Semel,
    bare: BareDatabase,
}

impl SqliteBench {
    fn open(folder: &Path, place: &'static str) -> Result<Self> {
        let runtime = fixtures::start_runtime(2)?;
        let store = Arc::new(SqliteStore::open(folder.join("ledger.db"))?);
        let policy = fixtures::load_policy(
            &runtime,
            "intent",
            fixtures::refund_settings_without_handles(),
        )?;
        let host = fixtures::open_host(&runtime, store.clone(), policy)?;
        runtime.block_on(fixtures::execute_call(&host, fixtures::new_call()?))?;
        let bare = BareDatabase::create_like(&folder.join("ledger.db"), folder.join("bare.db"))?;
        Ok(Self {
            place,
            runtime,
            store,
            host,
            bare,
        })
    }

    fn measure_all(mut self, rows: &mut ResultTable) -> Result<()> {
        self.measure_one_caller(rows)?;
        self.measure_many_callers(rows)?;
        self.measure_replays(rows)
    }

    fn row_title(&self, what: &str) -> String {
        format!("SQLite FULL ({}), {what}", self.place)
    }

    fn measure_one_caller(&mut self, rows: &mut ResultTable) -> Result<()> {
        let Self {
            runtime,
            host,
            bare,
            ..
        } = self;
        let mut executed = || {
            let host = host.clone();
            runtime
                .block_on(async move { fixtures::execute_call(&host, fixtures::new_call()?).await })
        };
        let mut twice = || bare.commit_calls(1);
        let [executed, twice] = sample::measure_in_turn([&mut executed, &mut twice])?;
        let title = self.row_title("one caller, executed (floor: two bare commits)");
        rows.add_row(
            &title,
            "µs",
            executed,
            Some(twice),
            &[FigureGoal::RatioAtMost(1.15)],
        );
        Ok(())
    }

    fn measure_many_callers(&mut self, rows: &mut ResultTable) -> Result<()> {
        let mut calls = Vec::new();
        let mut floor = Vec::new();
        let mut commits = Vec::new();
        for _ in 0..ROUNDS {
            let before = self.store.commits();
            let done = callers::count_calls(&self.runtime, &self.host, CALLERS, ROUND, None)?;
            calls.push(done as f64 / ROUND.as_secs_f64());
            commits.push((self.store.commits() - before) as f64 / done as f64);
            floor.push(self.bare.calls_per_second()?);
        }
        let calls = Sample::from_values(calls);
        let floor = Sample::from_values(floor);
        let title =
            self.row_title("64 callers, executed (floor: the same writes in groups of 64, bare)");
        rows.add_row(
            &title,
            "calls/s",
            calls,
            Some(floor),
            &[FigureGoal::AtLeast(25_000.0), FigureGoal::RatioAtLeast(0.7)],
        );
        rows.add_row(
            &self.row_title("64 callers, commits a call"),
            "",
            Sample::from_values(commits),
            None,
            &[],
        );
        Ok(())
    }

    fn measure_replays(&self, rows: &mut ResultTable) -> Result<()> {
        let call = fixtures::new_call()?;
        self.runtime
            .block_on(fixtures::execute_call(&self.host, call.clone()))?;
        let mut replayed = || {
            let host = self.host.clone();
            let call = call.clone();
            self.runtime
                .block_on(async move { fixtures::replay_call(&host, call).await })
        };
        let [replayed] = sample::measure_in_turn([&mut replayed])?;
        rows.add_row(
            &self.row_title("one caller, replayed"),
            "µs",
            replayed,
            None,
            &[FigureGoal::AtMost(18.0)],
        );
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let done =
                callers::count_calls(&self.runtime, &self.host, CALLERS, ROUND, Some(&call))?;
            rates.push(done as f64 / ROUND.as_secs_f64());
        }
        rows.add_row(
            &self.row_title("64 callers, replayed"),
            "calls/s",
            Sample::from_values(rates),
            None,
            &[FigureGoal::AtLeast(80_000.0)],
        );
        Ok(())
    }
}

/// A database of the same form as the ledger, which is written without Semel: the floor.
struct BareDatabase {
    connection: Connection,
    entry: Vec<u8>,
}

impl BareDatabase {
    /// Creates a database at `path` with the schema of `ledger`, and an entry as large as the largest settled one there.
    fn create_like(ledger: &Path, path: PathBuf) -> Result<Self> {
        let bytes: i64 = Connection::open(ledger)?.query_row(
            "SELECT max(length(entry)) FROM entry WHERE state = 'landed'",
            [],
            |row| row.get(0),
        )?;
        drop(SqliteStore::open(&path)?);
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
        Ok(Self {
            connection,
            entry: vec![b'7'; usize::try_from(bytes)?],
        })
    }

    /// Commits the claims of so many calls at once, then their settlements.
    fn commit_calls(&mut self, calls: usize) -> Result<()> {
        let keys = (0..calls)
            .map(|_| Ok([fresh_nonce()?; 2]))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = keys
            .iter()
            .map(|[one, two]| [*one.as_bytes(), *two.as_bytes()].concat())
            .collect();
        self.commit_each(
            &keys,
            "INSERT INTO entry (
                 key, version, entry, sum, keep_until_ms, tenant, state, due_in_ms,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             ) VALUES (
                 :key, x'00112233445566778899aabbccddeeff', :entry, 1, NULL, 'tenant', 'running', 15000,
                 1, 1, 1, 1, 1, 1, 1, 1)",
        )?;
        self.commit_each(
            &keys,
            "UPDATE entry SET state = 'landed', due_in_ms = NULL, keep_until_ms = 1, entry = :entry WHERE key = :key",
        )
    }

    fn commit_each(&mut self, keys: &[Vec<u8>], statement: &str) -> Result<()> {
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
            self.commit_calls(CALLERS)?;
            calls += CALLERS;
        }
        Ok(calls as f64 / begun.elapsed().as_secs_f64())
    }
}
