//! How an entry lies in its row, and the times in it.

use crate::{
    ledger::{Entry, EntryFault, Labels},
    store::{Clock, Keep, Stored, Version},
    words::{Boot, Incarnation, Stamp, StoreKey},
};
use rusqlite::{Connection, OptionalExtension, named_params};
use std::sync::Arc;

/// The time of a ledger.
#[derive(Debug, Clone)]
pub(super) struct Time {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) incarnation: Incarnation,
}

impl Time {
    pub(super) fn now(&self) -> Stamp {
        self.clock.now().stamp(self.incarnation)
    }
}

/// What is to be written, made ready in the caller's thread.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) entry: Vec<u8>,
    pub(super) version: Version,
    pub(super) keep: Keep,
    pub(super) labels: Labels,
}

impl NewRow {
    pub(super) fn of(entry: &Entry, version: Version, keep: Keep) -> Result<Self, EntryFault> {
        Ok(Self { entry: entry.to_bytes()?, version, keep, labels: entry.labels() })
    }

    pub(super) fn due_in_ms(&self) -> Option<i64> {
        self.labels.due_in_seconds.map(|seconds| i64::from(seconds) * 1000)
    }

    pub(super) fn keep_until_ms(&self, written: Stamp) -> Option<i64> {
        self.keep.end_ms(written).map(number)
    }
}

/// What was found, to be understood in the caller's thread: one damaged row harms nobody else.
#[derive(Debug)]
pub(super) struct Row {
    entry: Vec<u8>,
    version: Vec<u8>,
    created: Stamp,
    written: Stamp,
    keep_until_ms: Option<i64>,
}

impl Row {
    /// Whatever lies at the key, past its end or not.
    pub(super) fn find(at: &Connection, key: StoreKey) -> rusqlite::Result<Option<Self>> {
        at.prepare_cached(
            "SELECT entry, version, keep_until_ms,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             FROM entry WHERE key = :key",
        )?
        .query_row(named_params! {":key": key.as_bytes()}, Self::read)
        .optional()
    }

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            entry: row.get(0)?,
            version: row.get(1)?,
            keep_until_ms: row.get(2)?,
            created: read_stamp(row, 3)?,
            written: read_stamp(row, 7)?,
        })
    }

    pub(super) fn is_past_end(&self, now: Stamp) -> bool {
        self.keep_until_ms.is_some_and(|end_ms| end_ms <= number(now.wall_ms))
    }

    /// Whether this version still lies at the key.
    pub(super) fn still_lies(at: &Connection, key: StoreKey, version: Version, now: Stamp) -> rusqlite::Result<bool> {
        at.prepare_cached(
            "SELECT 1 FROM entry
             WHERE key = :key AND version = :version AND (keep_until_ms IS NULL OR keep_until_ms > :now)",
        )?
        .exists(named_params! {
            ":key": key.as_bytes(),
            ":version": version.as_bytes(),
            ":now": number(now.wall_ms),
        })
    }

    pub(super) fn into_stored(self) -> Result<Stored, EntryFault> {
        let version = <[u8; 16]>::try_from(self.version)
            .map_err(|version| EntryFault::Damaged(format!("a version of {} bytes", version.len())))?;
        Ok(Stored {
            entry: Arc::new(Entry::from_bytes(&self.entry)?),
            version: Version::from_bytes(version),
            created: self.created,
            written: self.written,
        })
    }
}

fn read_stamp(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Stamp> {
    let number = |column: usize| row.get::<_, i64>(first + column).map(i64::cast_unsigned);
    Ok(Stamp {
        wall_ms: number(0)?,
        steady_ms: number(1)?,
        boot: Boot(number(2)?),
        incarnation: Incarnation(number(3)?),
    })
}

/// Milliseconds as SQLite keeps them. What lies past its range, 292 million years, is as good as never.
pub(super) fn number(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
