//! The ledger in PostgreSQL, beside `pgbench` with the same two statements on a table of the same form.

use super::{CALLERS, Guarded, TURN, best, in_turn, wakings};
use crate::{
    row::{Reach, Rows},
    sample::Sample,
    world,
};
use anyhow::{Context, Result};
use semel::store::ServerAddress;
use semel_postgres::PostgresStore;
use semel_servers::postgres::PostgresServer;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The clients of `pgbench` at its best.
const CLIENTS: [usize; 4] = [8, 16, 32, CALLERS];

/// The size of a settled row here, in bytes.
const ENTRY_BYTES: usize = 1_200;

pub(crate) fn measure(rows: &mut Rows, folder: &Path) -> Result<()> {
    let runtime = world::runtime(2)?;
    let server = PostgresServer::start_in_folder(folder, &[]);
    let ledger = runtime.block_on(server.create_ledger("ledger"));
    runtime.block_on(server.create_ledger("bare"));
    let store = runtime.block_on(PostgresStore::open(&ledger))?;
    let guarded = Guarded::on(runtime, Arc::new(store))?;
    let bare = Bare::new(&server, folder)?;
    let at = Placed {
        server,
        ledger,
        guarded,
        bare,
    };
    at.one_caller(rows)?;
    at.many_callers(rows)?;
    at.replays(rows)?;
    at.waiters(rows)
}

struct Placed {
    server: PostgresServer,
    ledger: ServerAddress,
    guarded: Guarded,
    bare: Bare,
}

impl Placed {
    fn one_caller(&self, rows: &mut Rows) -> Result<()> {
        let floor = || Ok(1e6 / self.bare.rate(&self.server, &self.bare.both, 1)?);
        let [executed, floor] = in_turn(|| self.guarded.alone(), floor)?;
        let title = "PostgreSQL, one caller, executed (floor: pgbench, two prepared statements)";
        rows.add(
            title,
            "µs",
            executed,
            Some(floor),
            &[Reach::TimesAtMost(1.15)],
        );
        Ok(())
    }

    fn many_callers(&self, rows: &mut Rows) -> Result<()> {
        let before = self.commits()?;
        let mut made = 0.0;
        let [calls, floor] = self.beside_the_best(&self.bare.both, || {
            let rate = self.guarded.crowd(None)?;
            made += rate * TURN.as_secs_f64();
            Ok(rate)
        })?;
        let title =
            "PostgreSQL, 64 callers, executed (floor: pgbench's best, the same two statements)";
        rows.add(
            title,
            "calls/s",
            calls,
            Some(floor),
            &[Reach::TimesAtLeast(1.5)],
        );
        let commits = Sample::exactly((self.commits()? - before) / made);
        rows.add(
            "PostgreSQL, 64 callers, commits a call",
            "commits",
            commits,
            None,
            &[],
        );
        Ok(())
    }

    fn replays(&self, rows: &mut Rows) -> Result<()> {
        let call = self.guarded.settled()?;
        let [calls, floor] =
            self.beside_the_best(&self.bare.look, || self.guarded.crowd(Some(&call)))?;
        let title = "PostgreSQL, 64 callers, replayed (floor: pgbench's best, the bare look)";
        rows.add(
            title,
            "calls/s",
            calls,
            Some(floor),
            &[Reach::TimesAtLeast(0.8)],
        );
        Ok(())
    }

    /// Calls in a second, in turn with as many clients of `pgbench` as do most.
    fn beside_the_best(
        &self,
        script: &Path,
        calls: impl FnMut() -> Result<f64>,
    ) -> Result<[Sample; 2]> {
        let clients = best(&CLIENTS, |clients| {
            self.bare.rate(&self.server, script, clients)
        })?;
        in_turn(calls, || self.bare.rate(&self.server, script, clients))
    }

    /// Returns the transactions committed in the ledger so far.
    fn commits(&self) -> Result<f64> {
        // A server reports the work of a session once the session is idle for a second.
        std::thread::sleep(Duration::from_millis(1_500));
        let told = self.server.run_sql(
            "ledger",
            "SELECT xact_commit FROM pg_stat_database WHERE datname = 'ledger'",
        );
        told.trim().parse().context("no count of commits")
    }

    fn waiters(&self, rows: &mut Rows) -> Result<()> {
        let open = || PostgresStore::open(&self.ledger);
        let runtime = &self.guarded.runtime;
        let one = runtime.block_on(open())?;
        let other = runtime.block_on(open())?;
        let waits = wakings(runtime, Arc::new(one), Arc::new(other))?;
        let title = "PostgreSQL, a waiter of another host learns of a settlement";
        rows.add(title, "ms", waits, None, &[Reach::AtMost(5.0)]);
        Ok(())
    }
}

/// `pgbench` and its scripts.
struct Bare {
    both: PathBuf,
    look: PathBuf,
}

impl Bare {
    fn new(server: &PostgresServer, folder: &Path) -> Result<Self> {
        let both = folder.join("both.sql");
        let look = folder.join("look.sql");
        std::fs::write(&both, format!(
            "\\set a random(1, 9223372036854775806)
INSERT INTO semel.entry VALUES (decode(md5(:a::text) || md5(:a::text), 'hex'), decode(md5('a'), 'hex'), 1, 1, 1, 1, NULL, 'tenant', 'running', 15000, decode(repeat('37', {ENTRY_BYTES}), 'hex')) ON CONFLICT (key) DO NOTHING;
UPDATE semel.entry SET version = decode(md5('b'), 'hex'), written_ms = 2, keep_until_ms = 3, state = 'landed', due_in_ms = NULL, entry = decode(repeat('38', {ENTRY_BYTES}), 'hex') WHERE key = decode(md5(:a::text) || md5(:a::text), 'hex') AND version = decode(md5('a'), 'hex');
"
        ))?;
        server.run_sql("bare", &format!("INSERT INTO semel.entry VALUES ('\\x01', '\\x02', 1, 1, 1, 1, NULL, 'tenant', 'landed', NULL, decode(repeat('37', {ENTRY_BYTES}), 'hex'))"));
        std::fs::write(&look, "SELECT * FROM semel.entry WHERE key = '\\x01';\n")?;
        Ok(Self { both, look })
    }

    /// Returns the executions of the script per second.
    fn rate(&self, server: &PostgresServer, script: &Path, clients: usize) -> Result<f64> {
        let (clients, threads) = (clients.to_string(), clients.min(2).to_string());
        let mut command = server.client_command("pgbench");
        command.args([
            "--no-vacuum",
            "--protocol=prepared",
            "--client",
            &clients,
            "--jobs",
            &threads,
        ]);
        command.args(["--time", &TURN.as_secs_f64().ceil().to_string()]);
        let output = command.arg("--file").arg(script).arg("bare").output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let rate = printed
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| {
            format!(
                "pgbench: {printed}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}
