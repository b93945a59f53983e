//! The ledger in PostgreSQL. Its floor is `pgbench` with the same two statements on a table of the same form.

use super::{CALLERS, GuardedHost, TURN, highest_rate, measure_in_turn, time_wakeups};
use crate::{
    fixtures,
    results::{FigureGoal, ResultTable},
    sample::Sample,
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

/// The numbers of `pgbench` clients to try, for its highest rate.
const CLIENTS: [usize; 4] = [8, 16, 32, CALLERS];

/// The size of an entry in the floor's table, in bytes: about that of a settled call.
const ENTRY_BYTES: usize = 1_200;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path) -> Result<()> {
    let runtime = fixtures::start_runtime(2)?;
    let server = PostgresServer::start_in_folder(folder, &[]);
    let ledger = runtime.block_on(server.create_ledger("ledger"));
    runtime.block_on(server.create_ledger("bare"));
    let store = runtime.block_on(PostgresStore::open(&ledger))?;
    let guarded = GuardedHost::open(runtime, Arc::new(store))?;
    let bare = PgbenchFloor::new(&server, folder)?;
    let bench = PostgresBench {
        server,
        ledger,
        guarded,
        bare,
    };
    bench.measure_one_caller(rows)?;
    bench.measure_many_callers(rows)?;
    bench.measure_replays(rows)?;
    bench.measure_wakeups(rows)
}

struct PostgresBench {
    server: PostgresServer,
    ledger: ServerAddress,
    guarded: GuardedHost,
    bare: PgbenchFloor,
}

impl PostgresBench {
    fn measure_one_caller(&self, rows: &mut ResultTable) -> Result<()> {
        let floor = || {
            Ok(1e6
                / self
                    .bare
                    .transaction_rate(&self.server, &self.bare.write_script, 1)?)
        };
        let [executed, floor] = measure_in_turn(|| self.guarded.time_one_caller(), floor)?;
        let title = "PostgreSQL, one caller, executed (floor: pgbench, two prepared statements)";
        rows.add_row(
            title,
            "µs",
            executed,
            Some(floor),
            &[FigureGoal::RatioAtMost(1.15)],
        );
        Ok(())
    }

    fn measure_many_callers(&self, rows: &mut ResultTable) -> Result<()> {
        let before = self.count_commits()?;
        let mut made = 0.0;
        let [calls, floor] = self.measure_beside_pgbench(&self.bare.write_script, || {
            let rate = self.guarded.rate_of_callers(None)?;
            made += rate * TURN.as_secs_f64();
            Ok(rate)
        })?;
        let title = "PostgreSQL, 64 callers, executed (floor: pgbench's highest_rate, the same two statements)";
        rows.add_row(
            title,
            "calls/s",
            calls,
            Some(floor),
            &[FigureGoal::RatioAtLeast(1.5)],
        );
        let commits = Sample::from_value((self.count_commits()? - before) / made);
        rows.add_row(
            "PostgreSQL, 64 callers, commits a call",
            "commits",
            commits,
            None,
            &[],
        );
        Ok(())
    }

    fn measure_replays(&self, rows: &mut ResultTable) -> Result<()> {
        let call = self.guarded.settle_call()?;
        let [calls, floor] = self.measure_beside_pgbench(&self.bare.read_script, || {
            self.guarded.rate_of_callers(Some(&call))
        })?;
        let title = "PostgreSQL, 64 callers, replayed (floor: pgbench's highest_rate, a bare read)";
        rows.add_row(
            title,
            "calls/s",
            calls,
            Some(floor),
            &[FigureGoal::RatioAtLeast(0.8)],
        );
        Ok(())
    }

    /// Measures calls per second in turn with `pgbench` at its highest rate.
    fn measure_beside_pgbench(
        &self,
        script: &Path,
        calls: impl FnMut() -> Result<f64>,
    ) -> Result<[Sample; 2]> {
        let clients = highest_rate(&CLIENTS, |clients| {
            self.bare.transaction_rate(&self.server, script, clients)
        })?;
        measure_in_turn(calls, || {
            self.bare.transaction_rate(&self.server, script, clients)
        })
    }

    /// Returns the number of transactions that the ledger's database has committed.
    fn count_commits(&self) -> Result<f64> {
        // A server reports the work of a session once the session is idle for a second.
        std::thread::sleep(Duration::from_millis(1_500));
        let count = self.server.run_sql(
            "ledger",
            "SELECT xact_commit FROM pg_stat_database WHERE datname = 'ledger'",
        );
        count.trim().parse().context("no count of commits")
    }

    fn measure_wakeups(&self, rows: &mut ResultTable) -> Result<()> {
        let open = || PostgresStore::open(&self.ledger);
        let runtime = &self.guarded.runtime;
        let one = runtime.block_on(open())?;
        let other = runtime.block_on(open())?;
        let waits = time_wakeups(runtime, Arc::new(one), Arc::new(other))?;
        let title = "PostgreSQL, a waiter of another host learns of a settlement";
        rows.add_row(title, "ms", waits, None, &[FigureGoal::AtMost(5.0)]);
        Ok(())
    }
}

/// The scripts of `pgbench`.
struct PgbenchFloor {
    write_script: PathBuf,
    read_script: PathBuf,
}

impl PgbenchFloor {
    fn new(server: &PostgresServer, folder: &Path) -> Result<Self> {
        let write_script = folder.join("both.sql");
        let read_script = folder.join("look.sql");
        std::fs::write(&write_script, format!(
            "\\set a random(1, 9223372036854775806)
INSERT INTO semel.entry VALUES (decode(md5(:a::text) || md5(:a::text), 'hex'), decode(md5('a'), 'hex'), 1, 1, 1, 1, NULL, 'tenant', 'running', 15000, decode(repeat('37', {ENTRY_BYTES}), 'hex')) ON CONFLICT (key) DO NOTHING;
UPDATE semel.entry SET version = decode(md5('b'), 'hex'), written_ms = 2, keep_until_ms = 3, state = 'landed', due_in_ms = NULL, entry = decode(repeat('38', {ENTRY_BYTES}), 'hex') WHERE key = decode(md5(:a::text) || md5(:a::text), 'hex') AND version = decode(md5('a'), 'hex');
"
        ))?;
        server.run_sql("bare", &format!("INSERT INTO semel.entry VALUES ('\\x01', '\\x02', 1, 1, 1, 1, NULL, 'tenant', 'landed', NULL, decode(repeat('37', {ENTRY_BYTES}), 'hex'))"));
        std::fs::write(
            &read_script,
            "SELECT * FROM semel.entry WHERE key = '\\x01';\n",
        )?;
        Ok(Self {
            write_script,
            read_script,
        })
    }

    /// Returns the executions of a script per second.
    fn transaction_rate(
        &self,
        server: &PostgresServer,
        script: &Path,
        clients: usize,
    ) -> Result<f64> {
        let threads = clients.min(2).to_string();
        let clients = clients.to_string();
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
