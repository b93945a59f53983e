//! A ledger in PostgreSQL with a long history, beside a short one on the same server.

use super::{GuardedHost, measure_in_turn};
use crate::{
    fixtures, machine,
    results::{FigureGoal, ResultTable},
};
use anyhow::Result;
use semel_postgres::PostgresStore;
use semel_servers::postgres::PostgresServer;
use std::{path::Path, sync::Arc};

/// The settled operations of the short history.
const SHORT_HISTORY: u32 = 10_000;

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path, length: u32) -> Result<()> {
    // The settings of a server that holds so much. With the defaults, checkpoints of the inserts would last into the
    // measurement.
    let server =
        PostgresServer::start_in_folder(folder, &["shared_buffers=1GB", "max_wal_size=16GB"]);
    let usual = machine::measure_sync(folder)?;
    let short = open_history(&server, "short", SHORT_HISTORY)?;
    let long = open_history(&server, "long", length)?;
    server.run_sql("long", "CHECKPOINT");
    machine::wait_until_quiet(folder, usual)?;
    let [executed, floor] = measure_in_turn(|| long.time_one_caller(), || short.time_one_caller())?;
    let title = format!(
        "PostgreSQL, {length} settled operations, one caller, executed (floor: {SHORT_HISTORY})"
    );
    rows.add_row(
        &title,
        "µs",
        executed,
        Some(floor),
        &[FigureGoal::RatioAtMost(1.3)],
    );
    Ok(())
}

/// Opens a ledger with `length` settled operations: copies of one under new keys.
fn open_history(server: &PostgresServer, name: &str, length: u32) -> Result<GuardedHost> {
    let runtime = fixtures::start_runtime(2)?;
    let ledger = runtime.block_on(server.create_ledger(name));
    let store = runtime.block_on(PostgresStore::open(&ledger))?;
    let guarded = GuardedHost::open(runtime, Arc::new(store))?;
    guarded.settle_call()?;
    server.run_sql(name, &fill_statement(length));
    // Otherwise the server's autovacuum would begin in the middle of the measurement.
    server.run_sql(name, "VACUUM ANALYZE semel.entry");
    Ok(guarded)
}

/// Returns SQL that copies the settled operation. It drops the indices and creates them afterwards, which takes a tenth of
/// the time of maintaining them.
fn fill_statement(count: u32) -> String {
    format!(
        "SET synchronous_commit = off; SET maintenance_work_mem = '2GB';
         CREATE TEMPORARY TABLE made AS SELECT indexdef FROM pg_indexes
             WHERE schemaname = 'semel' AND tablename = 'entry' AND indexname <> 'entry_pkey';
         ALTER TABLE semel.entry DROP CONSTRAINT entry_pkey;
         DROP INDEX semel.entry_open, semel.entry_ending;
         INSERT INTO semel.entry (
             key, version, created_ms, created_life, written_ms, written_life,
             keep_until_ms, tenant, state, due_in_ms, entry
         )
         SELECT sha256(int8send(number)), version, created_ms, created_life, written_ms, written_life,
             keep_until_ms + number, tenant, state, due_in_ms, entry
         FROM generate_series(1, {count}) AS number, (SELECT * FROM semel.entry WHERE state = 'landed' LIMIT 1) AS one;
         ALTER TABLE semel.entry ADD PRIMARY KEY (key);
         DO $$ DECLARE one text; BEGIN FOR one IN SELECT indexdef FROM made LOOP EXECUTE one; END LOOP; END $$"
    )
}
