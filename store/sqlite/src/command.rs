//! What the writer does to one row, inside a transaction that holds the lock: each look sees all that was written.

use super::row::{NewRow, Row, number};
use rusqlite::{Connection, named_params};
use semel_core::model::{Stamp, StoreKey};
use semel_store::Version;

/// What became of a conditional write.
#[derive(Debug)]
pub(super) enum Write<Other> {
    /// It is done, at this time.
    Done(Stamp),
    /// This lies there instead, and the time is now.
    Found(Other, Stamp),
}

pub(super) fn create(
    at: &Connection,
    now: Stamp,
    key: StoreKey,
    new: &NewRow,
) -> rusqlite::Result<Write<Row>> {
    // Mostly nothing lies there, so the look comes after the attempt.
    if insert(at, INSERT_IF_ABSENT, now, key, new)? > 0 {
        return Ok(Write::Done(now));
    }
    if let Some(row) = Row::find(at, key)?.filter(|row| !row.is_past_end(now)) {
        return Ok(Write::Found(row, now));
    }
    insert(at, INSERT_IN_PLACE, now, key, new)?;
    Ok(Write::Done(now))
}

/// A statement that inserts a row, and does as its first words say where one lies there already.
macro_rules! insertion {
    ($how:literal) => {
        concat!(
            $how,
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

/// Carries out one of them, and says how many rows it wrote.
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
        ":sum": new.sum(key, now),
        ":keep_until_ms": new.keep_until_ms(now),
        ":tenant": new.labels.tenant.as_ref().map(|tenant| tenant.as_str()),
        ":state": new.labels.state.word(),
        ":due_in_ms": new.due_in_ms(),
        ":wall_ms": number(now.wall_ms),
        ":steady_ms": number(now.steady_ms),
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
) -> rusqlite::Result<Write<Option<Row>>> {
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
            ":sum": new.sum(key, now),
            ":keep_until_ms": new.keep_until_ms(now),
            ":tenant": new.labels.tenant.as_ref().map(|tenant| tenant.as_str()),
            ":state": new.labels.state.word(),
            ":due_in_ms": new.due_in_ms(),
            ":wall_ms": number(now.wall_ms),
            ":steady_ms": number(now.steady_ms),
            ":boot": now.boot.0.cast_signed(),
            ":incarnation": now.incarnation.0.cast_signed(),
        })?;
    done_or_found(replaced, at, now, key)
}

pub(super) fn remove(
    at: &Connection,
    now: Stamp,
    key: StoreKey,
    expected: Version,
) -> rusqlite::Result<Write<Option<Row>>> {
    let removed = at
        .prepare_cached(
            "DELETE FROM entry
             WHERE key = :key AND version = :expected AND (keep_until_ms IS NULL OR keep_until_ms > :now)",
        )?
        .execute(named_params! {
            ":key": key.as_bytes(),
            ":expected": expected.as_bytes(),
            ":now": number(now.wall_ms),
        })?;
    done_or_found(removed, at, now, key)
}

/// Drops what is past its end, by the index and by the row itself, so many at the most.
pub(super) fn purge(at: &Connection, now: Stamp, at_most: usize) -> rusqlite::Result<usize> {
    at.prepare_cached(
        "DELETE FROM entry WHERE rowid IN (
             SELECT rowid FROM entry INDEXED BY entry_ending WHERE keep_until_ms <= :now LIMIT :at_most
         ) AND keep_until_ms <= :now",
    )?
    .execute(named_params! {
        ":now": number(now.wall_ms),
        ":at_most": i64::try_from(at_most).unwrap_or(i64::MAX),
    })
}

fn done_or_found(
    changed: usize,
    at: &Connection,
    now: Stamp,
    key: StoreKey,
) -> rusqlite::Result<Write<Option<Row>>> {
    if changed > 0 {
        return Ok(Write::Done(now));
    }
    Ok(Write::Found(
        Row::find(at, key)?.filter(|row| !row.is_past_end(now)),
        now,
    ))
}
