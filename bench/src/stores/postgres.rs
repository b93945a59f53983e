//! The ledger in PostgreSQL, beside `pgbench` with the same two statements on a table of the same form.

use crate::{
    callers,
    row::{Reach, Rows},
    sample::{self, Sample},
    world,
};
use anyhow::{Context, Result, ensure};
use semel::{
    ledger::conformance,
    runtime::Semel,
    store::{Created, Keep, PostgresStore, Server, Store},
};
use semel_servers::postgres::Postgres;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

const CALLERS: usize = 64;
const ROUND: Duration = Duration::from_millis(2_000);
const ROUNDS: usize = 3;

/// How many clients `pgbench` has where it may choose what suits it best.
const CLIENTS: [usize; 3] = [16, 32, 64];

/// What a settled row weighs here, in bytes.
const ENTRY_BYTES: usize = 1_200;

/// How often a waiter waits.
const WAITS: usize = 40;

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    let runtime = world::runtime(2)?;
    let server = Postgres::start_in(folder, &[]);
    let ledger = runtime.block_on(server.ledger("ledger"));
    runtime.block_on(server.ledger("bare"));
    let store = runtime.block_on(PostgresStore::open(&ledger))?;
    let policy = world::policy(&runtime, "intent", world::refunding_without_handles())?;
    let host = world::host(&runtime, Arc::new(store), policy)?;
    let bare = Bare::new(&server, folder)?;
    let at = Placed { runtime, server, ledger, host, bare };
    at.one_caller(rows)?;
    at.many_callers(rows)?;
    at.replays(rows)?;
    at.waiters(rows)
}

struct Placed {
    runtime: Runtime,
    server: Postgres,
    ledger: Server,
    host: Semel,
    bare: Bare,
}

impl Placed {
    fn one_caller(&self, rows: &mut Rows) -> Result<()> {
        let mut executed = || {
            let host = self.host.clone();
            self.runtime.block_on(async move { world::execute(&host, world::fresh_call()?).await })
        };
        let [executed] = sample::microseconds([&mut executed])?;
        let floor = self.bare.run(&self.server, &self.bare.both, 1)?.map(|per_second| 1e6 / per_second);
        let title = "PostgreSQL, one caller, executed (floor: pgbench, two prepared statements)";
        rows.add(title, "µs", executed, Some(floor), &[Reach::TimesAtMost(1.15)]);
        Ok(())
    }

    fn many_callers(&self, rows: &mut Rows) -> Result<()> {
        let calls = self.rate(None)?;
        let floor = self.bare.best(&self.server, &self.bare.both)?;
        let title = "PostgreSQL, 64 callers, executed (floor: pgbench's best, the same two statements)";
        rows.add(title, "calls/s", calls, Some(floor), &[Reach::TimesAtLeast(1.5)]);
        Ok(())
    }

    fn replays(&self, rows: &mut Rows) -> Result<()> {
        let call = world::fresh_call()?;
        self.runtime.block_on(world::execute(&self.host, call.clone()))?;
        let calls = self.rate(Some(&call))?;
        let floor = self.bare.best(&self.server, &self.bare.look)?;
        let title = "PostgreSQL, 64 callers, replayed (floor: pgbench's best, the bare look)";
        rows.add(title, "calls/s", calls, Some(floor), &[Reach::TimesAtLeast(0.8)]);
        Ok(())
    }

    fn rate(&self, call: Option<&semel::words::Call>) -> Result<Sample> {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let done = callers::make(&self.runtime, &self.host, CALLERS, ROUND, call)?;
            rates.push(done as f64 / ROUND.as_secs_f64());
        }
        Ok(Sample::of(rates))
    }

    /// From before a settlement is asked for in one store until a waiter of another has woken.
    fn waiters(&self, rows: &mut Rows) -> Result<()> {
        let waits = self.runtime.block_on(async {
            let (one, other) = (PostgresStore::open(&self.ledger).await?, PostgresStore::open(&self.ledger).await?);
            let (one, other, key) = (Arc::new(one), Arc::new(other), conformance::key(1));
            let mut version = conformance::fresh_version();
            let created = one.create(key, &conformance::entry(1), version, Keep::UntilRemoved).await?;
            ensure!(matches!(created, Created::Created(_)), "the ledger is not fresh");
            let mut waits = Vec::new();
            for number in 0..WAITS {
                let waiting = Arc::clone(&other);
                let waiter = tokio::spawn(async move {
                    waiting.changed(key, version, Duration::from_secs(10)).await;
                    Instant::now()
                });
                tokio::time::sleep(Duration::from_millis(100)).await;
                let (next, written) = (conformance::fresh_version(), Instant::now());
                let entry = conformance::entry(u32::try_from(number)?);
                one.replace(key, version, &entry, next, Keep::UntilRemoved).await?;
                waits.push((waiter.await? - written).as_secs_f64() * 1e3);
                version = next;
            }
            anyhow::Ok(waits)
        })?;
        let title = "PostgreSQL, a waiter of another host learns of a settlement";
        rows.add(title, "ms", Sample::of(waits), None, &[Reach::AtMost(5.0)]);
        Ok(())
    }
}

/// `pgbench` and its scripts.
struct Bare {
    both: PathBuf,
    look: PathBuf,
}

impl Bare {
    fn new(server: &Postgres, folder: &Path) -> Result<Self> {
        let (both, look) = (folder.join("both.sql"), folder.join("look.sql"));
        std::fs::write(&both, format!(
            "\\set a random(1, 9223372036854775806)
INSERT INTO semel.entry VALUES (decode(md5(:a::text) || md5(:a::text), 'hex'), decode(md5('a'), 'hex'), 1, 1, 1, 1, NULL, 'tenant', 'running', 15000, decode(repeat('37', {ENTRY_BYTES}), 'hex')) ON CONFLICT (key) DO NOTHING;
UPDATE semel.entry SET version = decode(md5('b'), 'hex'), written_ms = 2, keep_until_ms = 3, state = 'landed', due_in_ms = NULL, entry = decode(repeat('38', {ENTRY_BYTES}), 'hex') WHERE key = decode(md5(:a::text) || md5(:a::text), 'hex') AND version = decode(md5('a'), 'hex');
"
        ))?;
        server.sql("bare", &format!("INSERT INTO semel.entry VALUES ('\\x01', '\\x02', 1, 1, 1, 1, NULL, 'tenant', 'landed', NULL, decode(repeat('37', {ENTRY_BYTES}), 'hex'))"));
        std::fs::write(&look, "SELECT * FROM semel.entry WHERE key = '\\x01';\n")?;
        Ok(Self { both, look })
    }

    fn best(&self, server: &Postgres, script: &Path) -> Result<Sample> {
        let mut best: Option<Sample> = None;
        for clients in CLIENTS {
            let rate = self.run(server, script, clients)?;
            best = best.filter(|best| best.median >= rate.median).or(Some(rate));
        }
        best.context("no figure of pgbench")
    }

    /// How often it carries the script out in a second.
    fn run(&self, server: &Postgres, script: &Path, clients: usize) -> Result<Sample> {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let (clients, threads) = (clients.to_string(), clients.min(2).to_string());
            let mut command = server.client("pgbench");
            command.args(["--no-vacuum", "--protocol=prepared", "--time=2", "--client", &clients, "--jobs", &threads]);
            let output = command.arg("--file").arg(script).arg("bare").output()?;
            let printed = String::from_utf8_lossy(&output.stdout);
            let rate = printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
            rates.push(rate.with_context(|| format!("pgbench: {printed}{}", String::from_utf8_lossy(&output.stderr)))?);
        }
        Ok(Sample::of(rates))
    }
}
