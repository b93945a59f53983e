//! A ledger in PostgreSQL with a long history, beside a short one on the same server.

use super::{Guarded, in_turn};
use crate::{
    machine,
    row::{Reach, Rows},
    world,
};
use anyhow::Result;
use semel_postgres::PostgresStore;
use semel_servers::postgres::PostgresServer;
use std::{path::Path, sync::Arc};

/// The settled operations of the short history.
const SHORT: u32 = 10_000;

pub(crate) fn measure(rows: &mut Rows, folder: &Path, length: u32) -> Result<()> {
    // As a server is set that holds so much: checkpoints of the making would otherwise go on into the measurement.
    let server =
        PostgresServer::start_in_folder(folder, &["shared_buffers=1GB", "max_wal_size=16GB"]);
    let usual = machine::sync(folder)?;
    let short = history(&server, "short", SHORT)?;
    let long = history(&server, "long", length)?;
    server.run_sql("long", "CHECKPOINT");
    machine::wait_until_quiet(folder, usual)?;
    let [executed, floor] = in_turn(|| long.alone(), || short.alone())?;
    let title =
        format!("PostgreSQL, {length} settled operations, one caller, executed (floor: {SHORT})");
    rows.add(
        &title,
        "µs",
        executed,
        Some(floor),
        &[Reach::TimesAtMost(1.3)],
    );
    Ok(())
}

/// A ledger with so many settled operations: copies of one under keys of their own.
fn history(server: &PostgresServer, name: &str, length: u32) -> Result<Guarded> {
    let runtime = world::runtime(2)?;
    let ledger = runtime.block_on(server.create_ledger(name));
    let store = runtime.block_on(PostgresStore::open(&ledger))?;
    let guarded = Guarded::on(runtime, Arc::new(store))?;
    guarded.settled()?;
    server.run_sql(name, &fill(length));
    // What the server would otherwise begin by itself, in the midst of the measurement.
    server.run_sql(name, "VACUUM ANALYZE semel.entry");
    Ok(guarded)
}

/// The indices are rebuilt afterwards, which takes a tenth of the time of keeping them.
fn fill(count: u32) -> String {
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
