//! How an entry lies in its row, and the times in it.

use rusqlite::{Connection, OptionalExtension, named_params};
use semel_core::{
    ledger::{Entry, EntryError, EntryLabels},
    model::{Boot, Incarnation, Stamp, StoreKey},
};
use semel_store::{Clock, Retention, StoredEntry, Version};
use std::sync::Arc;

/// An odd number without a pattern.
const SUM_FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

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
    pub(super) keep: Retention,
    pub(super) labels: EntryLabels,
}

impl NewRow {
    pub(super) fn of(entry: &Entry, version: Version, keep: Retention) -> Result<Self, EntryError> {
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
        self.keep.end_ms(written).map(number)
    }

    /// The sum of the row that this becomes.
    pub(super) fn sum(&self, key: StoreKey, written: Stamp) -> i64 {
        sum(
            key,
            self.version.as_bytes(),
            self.keep_until_ms(written),
            written,
            &self.entry,
        )
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
    key: StoreKey,
    sum: i64,
}

impl Row {
    /// Whatever lies at the key, past its end or not.
    pub(super) fn find(at: &Connection, key: StoreKey) -> rusqlite::Result<Option<Self>> {
        at.prepare_cached(
            "SELECT entry, version, keep_until_ms, sum,
                 created_wall_ms, created_steady_ms, created_boot, created_incarnation,
                 written_wall_ms, written_steady_ms, written_boot, written_incarnation
             FROM entry WHERE key = :key",
        )?
        .query_row(named_params! {":key": key.as_bytes()}, |row| {
            Self::read(row, key)
        })
        .optional()
    }

    fn read(row: &rusqlite::Row<'_>, key: StoreKey) -> rusqlite::Result<Self> {
        Ok(Self {
            entry: row.get(0)?,
            version: row.get(1)?,
            keep_until_ms: row.get(2)?,
            sum: row.get(3)?,
            created: read_stamp(row, 4)?,
            written: read_stamp(row, 8)?,
            key,
        })
    }

    /// What is damaged has no end that could be believed.
    pub(super) fn is_past_end(&self, now: Stamp) -> bool {
        self.keep_until_ms
            .is_some_and(|end_ms| end_ms <= number(now.wall_ms))
            && self.is_whole()
    }

    fn is_whole(&self) -> bool {
        self.sum
            == sum(
                self.key,
                &self.version,
                self.keep_until_ms,
                self.written,
                &self.entry,
            )
    }

    /// Whether this version still lies at the key.
    pub(super) fn still_lies(
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
            ":now": number(now.wall_ms),
        })
    }

    pub(super) fn into_stored(self) -> Result<StoredEntry, EntryError> {
        if !self.is_whole() {
            return Err(EntryError::Damaged("it is not what was written".to_owned()));
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

/// Tells a row from one of which the disk changed a part: every change of a single word changes the sum. It is no
/// protection against who changes a row on purpose.
fn sum(
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
    // No end lies before 1970.
    let end = keep_until_ms.unwrap_or(-1).cast_unsigned();
    let times = [
        end,
        wall_ms,
        steady_ms,
        boot.0,
        incarnation.0,
        entry.len() as u64,
    ]
    .into_iter();
    let words = [key.as_bytes(), version, entry].into_iter().flat_map(words);
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(SUM_FACTOR).rotate_left(29);
    times.chain(words).fold(SUM_FACTOR, mix).cast_signed()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let last = rest
        .iter()
        .fold(0, |word, byte| (word << 8) | u64::from(*byte));
    whole
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain((!rest.is_empty()).then_some(last))
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
