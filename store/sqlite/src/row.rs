//! An entry as a row of the table, with its checksum and times.

use rusqlite::{Connection, OptionalExtension, named_params};
use semel_core::{
    ledger::{Entry, EntryError, EntryLabels},
    model::{Boot, Incarnation, Stamp, StoreKey},
};
use semel_store::{Clock, Retention, StoredEntry, Version};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The clock of a ledger, which stamps its own incarnation.
#[derive(Debug, Clone)]
pub(super) struct LedgerClock {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) incarnation: Incarnation,
}

impl LedgerClock {
    pub(super) fn now(&self) -> Stamp {
        self.clock.now().stamp(self.incarnation)
    }
}

/// A row to write, encoded in the caller's thread.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) entry: Vec<u8>,
    pub(super) version: Version,
    pub(super) keep: Retention,
    pub(super) labels: EntryLabels,
}

impl NewRow {
    pub(super) fn new(
        entry: &Entry,
        version: Version,
        keep: Retention,
    ) -> Result<Self, EntryError> {
        Ok(Self {
            entry: entry.to_bytes()?,
            version,
            keep,
            labels: entry.labels(),
        })
    }

    pub(super) fn due_in_ms(&self) -> Option<i64> {
        self.labels
            .due_in_seconds
            .map(|seconds| i64::from(seconds) * 1000)
    }

    pub(super) fn keep_until_ms(&self, written: Stamp) -> Option<i64> {
        self.keep.end_ms(written).map(to_column)
    }

    /// The checksum of the row, once it is written at this key and time.
    pub(super) fn checksum(&self, key: StoreKey, written: Stamp) -> i64 {
        checksum(
            key,
            self.version.as_bytes(),
            self.keep_until_ms(written),
            written,
            &self.entry,
        )
    }
}

/// A row as it was read. The caller's thread decodes it, so that a damaged row fails no other
/// command of its group.
#[derive(Debug)]
pub(super) struct EntryRow {
    entry: Vec<u8>,
    version: Vec<u8>,
    created: Stamp,
    written: Stamp,
    keep_until_ms: Option<i64>,
    key: StoreKey,
    checksum: i64,
}

impl EntryRow {
    /// Reads the row at a key, even if it is expired.
    pub(super) fn find(at: &Connection, key: StoreKey) -> rusqlite::Result<Option<Self>> {
        at.prepare_cached(
            "SELECT entry, version, keep_until_ms, sum,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             FROM entry WHERE key = :key",
        )?
        .query_row(named_params! {":key": key.as_bytes()}, |row| {
            Self::from_columns(row, key)
        })
        .optional()
    }

    fn from_columns(row: &rusqlite::Row<'_>, key: StoreKey) -> rusqlite::Result<Self> {
        Ok(Self {
            entry: row.get(0)?,
            version: row.get(1)?,
            keep_until_ms: row.get(2)?,
            checksum: row.get(3)?,
            created: read_stamp(row, 4)?,
            written: read_stamp(row, 8)?,
            key,
        })
    }

    /// Returns true if the row counts as absent. A damaged row never does: its end may be wrong.
    pub(super) fn is_expired(&self, now: Stamp) -> bool {
        self.keep_until_ms
            .is_some_and(|end_ms| end_ms <= to_column(now.wall_ms))
            && self.checksum_matches()
    }

    fn checksum_matches(&self) -> bool {
        self.checksum
            == checksum(
                self.key,
                &self.version,
                self.keep_until_ms,
                self.written,
                &self.entry,
            )
    }

    /// Returns true if the key still holds this version.
    pub(super) fn is_unchanged(
        at: &Connection,
        key: StoreKey,
        version: Version,
        now: Stamp,
    ) -> rusqlite::Result<bool> {
        at.prepare_cached(
            "SELECT 1 FROM entry
             WHERE key = :key AND version = :version AND (keep_until_ms IS NULL OR keep_until_ms > :now)",
        )?
        .exists(named_params! {
            ":key": key.as_bytes(),
            ":version": version.as_bytes(),
            ":now": to_column(now.wall_ms),
        })
    }

    pub(super) fn into_entry(self) -> Result<StoredEntry, EntryError> {
        if !self.checksum_matches() {
            return Err(EntryError::Damaged(
                "its checksum does not match its content".to_owned(),
            ));
        }
        let version = <[u8; 16]>::try_from(self.version).map_err(|version| {
            EntryError::Damaged(format!("a version of {} bytes", version.len()))
        })?;
        Ok(StoredEntry {
            entry: Arc::new(Entry::from_bytes(&self.entry)?),
            version: Version::from_bytes(version),
            created: self.created,
            written: self.written,
        })
    }
}

/// Returns the checksum of a row, which detects damage by the disk: the first eight bytes of a SHA-256 digest. It has no
/// key, so it does not detect deliberate changes.
fn checksum(
    key: StoreKey,
    version: &[u8],
    keep_until_ms: Option<i64>,
    written: Stamp,
    entry: &[u8],
) -> i64 {
    let Stamp {
        wall_ms,
        steady_ms,
        boot,
        incarnation,
    } = written;
    // No end is before 1970, so -1 stands for none.
    let end = keep_until_ms.unwrap_or(-1).cast_unsigned();
    let digest = [end, wall_ms, steady_ms, boot.0, incarnation.0]
        .into_iter()
        .fold(Sha256::new(), |digest, time| {
            digest.chain_update(time.to_be_bytes())
        })
        .chain_update(key.as_bytes())
        .chain_update((version.len() as u64).to_be_bytes())
        .chain_update(version)
        .chain_update(entry)
        .finalize();
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.into();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn read_stamp(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Stamp> {
    let value = |column: usize| row.get::<_, i64>(first + column).map(i64::cast_unsigned);
    Ok(Stamp {
        wall_ms: value(0)?,
        steady_ms: value(1)?,
        boot: Boot(value(2)?),
        incarnation: Incarnation(value(3)?),
    })
}

/// Returns milliseconds as a column holds them. Values beyond its range of 292 million years mean
/// never.
pub(super) fn to_column(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
