//! An entry as a row of the table.

use semel_core::{
    ledger::{Entry, EntryError, EntryLabels},
    model::{Incarnation, Stamp, StoreKey},
};
use semel_store::{ClockReading, Retention, StoredEntry, Version};
use std::sync::{Arc, OnceLock};
use tokio_postgres::types::FromSql;

/// The longest retention, and the latest time, in milliseconds: half the range of a column, so that the
/// server can add the two without an overflow.
const MS_MAX: u64 = i64::MAX as u64 / 2;

/// An entry to write, prepared in the caller's task.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) entry: Vec<u8>,
    pub(super) version: Version,
    /// The retention from the time of the write; `None` until removal.
    pub(super) keep_ms: Option<i64>,
    pub(super) labels: EntryLabels,
}

impl NewRow {
    pub(super) fn new(
        entry: &Entry,
        version: Version,
        keep: Retention,
    ) -> Result<Self, EntryError> {
        let keep_ms = match keep {
            Retention::UntilRemoved => None,
            Retention::Seconds(seconds) => Some(to_column(seconds.saturating_mul(1000))),
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

/// A row that was read. The caller's task decodes it, so that a damaged row fails no other caller. If
/// several callers read the same row, the first one decodes it for all.
#[derive(Debug)]
pub(super) struct EntryRow {
    version: Vec<u8>,
    entry: Vec<u8>,
    decoded: OnceLock<Result<Arc<Entry>, EntryError>>,
    created: Stamp,
    written: Stamp,
    keep_until_ms: Option<i64>,
}

impl EntryRow {
    /// Reads the columns from `first` on; `None` if they are null.
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
            decoded: OnceLock::new(),
            created: read_stamp(row, first + 2)?,
            written: read_stamp(row, first + 4)?,
            keep_until_ms: row.try_get(first + 6)?,
        }))
    }

    pub(super) fn is_expired(&self, now: Stamp) -> bool {
        self.keep_until_ms
            .is_some_and(|end_ms| end_ms <= to_column(now.wall_ms))
    }

    pub(super) fn version(&self) -> Result<Version, EntryError> {
        let bytes = <[u8; 16]>::try_from(self.version.as_slice()).map_err(|_| {
            EntryError::Damaged(format!("a version of {} bytes", self.version.len()))
        })?;
        Ok(Version::from_bytes(bytes))
    }

    pub(super) fn to_entry(&self) -> Result<StoredEntry, EntryError> {
        let entry = self
            .decoded
            .get_or_init(|| Entry::from_bytes(&self.entry).map(Arc::new));
        Ok(StoredEntry {
            version: self.version()?,
            entry: entry.clone()?,
            created: self.created,
            written: self.written,
        })
    }
}

fn read_stamp(row: &tokio_postgres::Row, first: usize) -> Result<Stamp, tokio_postgres::Error> {
    let incarnation = row.try_get::<_, i64>(first + 1)?;
    Ok(clock_reading(row.try_get(first)?).stamp(Incarnation(incarnation.cast_unsigned())))
}

/// Returns the time in a column.
pub(super) fn clock_reading(ms: i64) -> ClockReading {
    ClockReading::from_wall(u64::try_from(ms).unwrap_or_default())
}

/// Returns milliseconds as a column holds them. Values beyond 146 million years mean never.
pub(super) fn to_column(milliseconds: u64) -> i64 {
    milliseconds.min(MS_MAX).cast_signed()
}

/// Reads the key in a column.
pub(super) fn read_key(
    row: &tokio_postgres::Row,
    at: usize,
) -> Result<StoreKey, tokio_postgres::Error> {
    row.try_get::<_, KeyColumn>(at).map(|key| key.0)
}

struct KeyColumn(StoreKey);

impl<'a> FromSql<'a> for KeyColumn {
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
