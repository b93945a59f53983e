//! How an entry lies in its row.

use semel_core::{
    ledger::{Entry, EntryError, EntryLabels},
    model::{Incarnation, Stamp, StoreKey},
};
use semel_store::{ClockReading, Retention, StoredEntry, Version};
use std::sync::{Arc, OnceLock};
use tokio_postgres::types::FromSql;

/// The longest that anything is kept, and the latest time, in milliseconds: half of what a column holds, so that the
/// server can add the two.
const MS_MAX: u64 = i64::MAX as u64 / 2;

/// An entry to write, prepared in the caller's task.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) entry: Vec<u8>,
    pub(super) version: Version,
    /// From the time of the write; none: until it is removed.
    pub(super) keep_ms: Option<i64>,
    pub(super) labels: EntryLabels,
}

impl NewRow {
    pub(super) fn of(entry: &Entry, version: Version, keep: Retention) -> Result<Self, EntryError> {
        let keep_ms = match keep {
            Retention::UntilRemoved => None,
            Retention::Seconds(seconds) => Some(number(seconds.saturating_mul(1000))),
        };
        Ok(Self {
            entry: entry.to_bytes()?,
            version,
            keep_ms,
            labels: entry.labels(),
        })
    }

    pub(super) fn due_in_ms(&self) -> Option<i64> {
        self.labels
            .due_in_seconds
            .map(|seconds| i64::from(seconds) * 1000)
    }
}

/// A row that was read, parsed in the task of its caller: one damaged row harms no other caller.
/// Where many asked for the same row, the first of them parses it for all.
#[derive(Debug)]
pub(super) struct Row {
    version: Vec<u8>,
    entry: Vec<u8>,
    understood: OnceLock<Result<Arc<Entry>, EntryError>>,
    created: Stamp,
    written: Stamp,
    keep_until_ms: Option<i64>,
}

impl Row {
    /// Reads the columns from `first` on; `None` where there is no entry.
    pub(super) fn read(
        row: &tokio_postgres::Row,
        first: usize,
    ) -> Result<Option<Self>, tokio_postgres::Error> {
        let Some(version) = row.try_get::<_, Option<Vec<u8>>>(first)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            version,
            entry: row.try_get(first + 1)?,
            understood: OnceLock::new(),
            created: stamp(row, first + 2)?,
            written: stamp(row, first + 4)?,
            keep_until_ms: row.try_get(first + 6)?,
        }))
    }

    pub(super) fn is_past_end(&self, now: Stamp) -> bool {
        self.keep_until_ms
            .is_some_and(|end_ms| end_ms <= number(now.wall_ms))
    }

    pub(super) fn version(&self) -> Result<Version, EntryError> {
        let bytes = <[u8; 16]>::try_from(self.version.as_slice()).map_err(|_| {
            EntryError::Damaged(format!("a version of {} bytes", self.version.len()))
        })?;
        Ok(Version::from_bytes(bytes))
    }

    pub(super) fn stored(&self) -> Result<StoredEntry, EntryError> {
        let entry = self
            .understood
            .get_or_init(|| Entry::from_bytes(&self.entry).map(Arc::new));
        Ok(StoredEntry {
            version: self.version()?,
            entry: entry.clone()?,
            created: self.created,
            written: self.written,
        })
    }
}

fn stamp(row: &tokio_postgres::Row, first: usize) -> Result<Stamp, tokio_postgres::Error> {
    let life = row.try_get::<_, i64>(first + 1)?;
    Ok(moment(row.try_get(first)?).stamp(Incarnation(life.cast_unsigned())))
}

/// Returns the moment of a column.
pub(super) fn moment(ms: i64) -> ClockReading {
    ClockReading::from_wall(u64::try_from(ms).unwrap_or_default())
}

/// Milliseconds as a column holds them. What lies past its range, 146 million years, is as good as never.
pub(super) fn number(milliseconds: u64) -> i64 {
    milliseconds.min(MS_MAX).cast_signed()
}

/// The key in a column.
pub(super) fn key(row: &tokio_postgres::Row, at: usize) -> Result<StoreKey, tokio_postgres::Error> {
    row.try_get::<_, Key>(at).map(|key| key.0)
}

struct Key(StoreKey);

impl<'a> FromSql<'a> for Key {
    fn from_sql(
        of: &tokio_postgres::types::Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let bytes = <&[u8]>::from_sql(of, raw)?;
        Ok(Self(StoreKey::from_bytes(bytes.try_into()?)))
    }

    fn accepts(of: &tokio_postgres::types::Type) -> bool {
        <&[u8]>::accepts(of)
    }
}
