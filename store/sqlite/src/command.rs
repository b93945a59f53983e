//! The conditional writes of one row, and the purge.
//!
//! They run inside a transaction that holds the write lock, so each read sees every earlier write.

use super::row::{EntryRow, NewRow, to_column};
use rusqlite::{Connection, named_params};
use semel_core::model::{Stamp, StoreKey};
use semel_store::Version;

/// The result of a conditional write.
#[derive(Debug)]
pub(super) enum WriteResult<Current> {
    /// The row is written, at this time.
    Written(Stamp),
    /// The condition failed: the current content of the key, and the present time.
    Current(Current, Stamp),
}

pub(super) fn create(
    at: &Connection,
    now: Stamp,
    key: StoreKey,
    new: &NewRow,
) -> rusqlite::Result<WriteResult<EntryRow>> {
    // Most keys are free, so reading first would cost most creations a second statement.
    if insert(at, INSERT_IF_ABSENT, now, key, new)? > 0 {
        return Ok(WriteResult::Written(now));
    }
    if let Some(row) = EntryRow::find(at, key)?.filter(|row| !row.is_expired(now)) {
        return Ok(WriteResult::Current(row, now));
    }
    // An expired row counts as absent.
    insert(at, INSERT_IN_PLACE, now, key, new)?;
    Ok(WriteResult::Written(now))
}

/// The statement that inserts a row. Its first words decide on a conflict with an existing row.
macro_rules! insertion {
    ($on_conflict:literal) => {
        concat!(
            $on_conflict,
            " INTO entry (
                 key, version, entry, sum, keep_until_ms, tenant, state, due_in_ms,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             ) VALUES (
                 :key, :version, :entry, :sum, :keep_until_ms, :tenant, :state, :due_in_ms,
                 :wall_ms, :steady_ms, :boot, :incarnation,
                 :wall_ms, :steady_ms, :boot, :incarnation
             )"
        )
    };
}

const INSERT_IF_ABSENT: &str = insertion!("INSERT OR IGNORE");
const INSERT_IN_PLACE: &str = insertion!("REPLACE");

/// Runs an insert statement, and returns the number of rows that it wrote.
fn insert(
    at: &Connection,
    statement: &str,
    now: Stamp,
    key: StoreKey,
    new: &NewRow,
) -> rusqlite::Result<usize> {
    at.prepare_cached(statement)?.execute(named_params! {
        ":key": key.as_bytes(),
        ":version": new.version.as_bytes(),
        ":entry": new.entry,
        ":sum": new.checksum(key, now),
        ":keep_until_ms": new.keep_until_ms(now),
        ":tenant": new.labels.tenant.as_ref().map(|tenant| tenant.as_str()),
        ":state": new.labels.state.word(),
        ":due_in_ms": new.due_in_ms(),
        ":wall_ms": to_column(now.wall_ms),
        ":steady_ms": to_column(now.steady_ms),
        ":boot": now.boot.0.cast_signed(),
        ":incarnation": now.incarnation.0.cast_signed(),
    })
}

pub(super) fn replace(
    at: &Connection,
    now: Stamp,
    key: StoreKey,
    expected: Version,
    new: &NewRow,
) -> rusqlite::Result<WriteResult<Option<EntryRow>>> {
    let replaced = at
        .prepare_cached(
            "UPDATE entry SET
                 version = :version, entry = :entry, sum = :sum, keep_until_ms = :keep_until_ms,
                 tenant = :tenant, state = :state, due_in_ms = :due_in_ms,
                 written_wall_ms = :wall_ms, written_steady_ms = :steady_ms,
                 written_boot = :boot, written_incarnation = :incarnation
             WHERE key = :key AND version = :expected AND (keep_until_ms IS NULL OR keep_until_ms > :wall_ms)",
        )?
        .execute(named_params! {
            ":key": key.as_bytes(),
            ":expected": expected.as_bytes(),
            ":version": new.version.as_bytes(),
            ":entry": new.entry,
            ":sum": new.checksum(key, now),
            ":keep_until_ms": new.keep_until_ms(now),
            ":tenant": new.labels.tenant.as_ref().map(|tenant| tenant.as_str()),
            ":state": new.labels.state.word(),
            ":due_in_ms": new.due_in_ms(),
            ":wall_ms": to_column(now.wall_ms),
            ":steady_ms": to_column(now.steady_ms),
            ":boot": now.boot.0.cast_signed(),
            ":incarnation": now.incarnation.0.cast_signed(),
        })?;
    written_or_current(replaced, at, now, key)
}

pub(super) fn remove(
    at: &Connection,
    now: Stamp,
    key: StoreKey,
    expected: Version,
) -> rusqlite::Result<WriteResult<Option<EntryRow>>> {
    let removed = at
        .prepare_cached(
            "DELETE FROM entry
             WHERE key = :key AND version = :expected AND (keep_until_ms IS NULL OR keep_until_ms > :now)",
        )?
        .execute(named_params! {
            ":key": key.as_bytes(),
            ":expected": expected.as_bytes(),
            ":now": to_column(now.wall_ms),
        })?;
    written_or_current(removed, at, now, key)
}

/// Deletes expired rows, at most `at_most`, and returns their number.
///
/// The condition is checked in the index and again in the row: a damaged index must not delete a live row.
pub(super) fn purge(at: &Connection, now: Stamp, at_most: usize) -> rusqlite::Result<usize> {
    at.prepare_cached(
        "DELETE FROM entry WHERE rowid IN (
             SELECT rowid FROM entry INDEXED BY entry_ending WHERE keep_until_ms <= :now LIMIT :at_most
         ) AND keep_until_ms <= :now",
    )?
    .execute(named_params! {
        ":now": to_column(now.wall_ms),
        ":at_most": i64::try_from(at_most).unwrap_or(i64::MAX),
    })
}

fn written_or_current(
    changed: usize,
    at: &Connection,
    now: Stamp,
    key: StoreKey,
) -> rusqlite::Result<WriteResult<Option<EntryRow>>> {
    if changed > 0 {
        return Ok(WriteResult::Written(now));
    }
    Ok(WriteResult::Current(
        EntryRow::find(at, key)?.filter(|row| !row.is_expired(now)),
        now,
    ))
}
