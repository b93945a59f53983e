//! How an entry lies in its record, and where records lie.
//!
//! A record is one string: what a script reads lies at fixed places in it, and one look and one write are enough.
//!
//! INVARIANT: the places are known to the scripts, too. `scripts/record.lua` and `scripts/list.lua` change with this file,
//! and with the schema.

use semel_core::{
    ledger::{Entry, EntryError, EntryLabels, StateLabel},
    model::{Incarnation, Stamp, StoreKey, Tenant},
};
use semel_store::{ClockReading, Retention, StoredEntry, Version};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Into how many buckets the keys are divided, by their first bits. All of a bucket lies in one slot of a cluster.
pub(super) const BUCKETS: u16 = 1 << 12;

/// Past this, a Lua number is not exact. What is due or ends beyond it (285,000 years) is never due and does not end.
pub(super) const NEVER_MS: u64 = 1 << 53;

/// The length of an absent tenant's name.
const NO_TENANT: u16 = u16::MAX;

/// The bucket of a key. Buckets follow each other in the order of keys.
pub(super) fn bucket(key: StoreKey) -> u16 {
    let [first, second, ..] = key.as_bytes();
    u16::from_be_bytes([*first, *second]) >> 4
}

/// The keys of a bucket's parts. The text in braces decides on the slot of a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket(pub(super) u16);

impl Bucket {
    fn part(self, part: &str) -> String {
        format!("semel:{{{:03x}}}:{part}", self.0)
    }

    /// Returns the text that decides on its slot.
    pub(super) fn tag(self) -> String {
        format!("{:03x}", self.0)
    }

    /// Which life of the ledger its records belong to.
    pub(super) fn life(self) -> String {
        self.part("life")
    }

    /// The keys of all records.
    pub(super) fn all(self) -> String {
        self.part("all")
    }

    /// Returns the key of its list of open records.
    pub(super) fn open(self) -> String {
        self.part("open")
    }

    /// The keys of what has an end, by it.
    pub(super) fn ending(self) -> String {
        self.part("ending")
    }

    /// Returns the prefix of its records' names. The key itself follows.
    pub(super) fn records(self) -> String {
        self.part("r:")
    }

    /// Returns the name of a key's record.
    pub(super) fn record(self, key: StoreKey) -> Vec<u8> {
        [self.records().as_bytes(), key.as_bytes()].concat()
    }
}

/// A record to write, prepared in the caller's task.
#[derive(Debug)]
pub(super) struct NewRecord {
    pub(super) version: Version,
    pub(super) keep_ms: u64,
    /// Whether it is open, its due time, its labels, a checksum, and the entry.
    pub(super) made: Vec<u8>,
}

impl NewRecord {
    pub(super) fn of(
        key: StoreKey,
        entry: &Entry,
        version: Version,
        keep: Retention,
    ) -> Result<Self, EntryError> {
        let labels = entry.labels();
        let keep_ms = match keep {
            Retention::UntilRemoved => NEVER_MS,
            Retention::Seconds(seconds) => seconds.saturating_mul(1000).min(NEVER_MS),
        };
        let bytes = entry.to_bytes()?;
        let tenant = tenant(labels.tenant.as_ref());
        let due_ms = labels
            .due_in_seconds
            .map_or(NEVER_MS, |seconds| u64::from(seconds) * 1000);
        let mut made = Vec::with_capacity(18 + tenant.len() + bytes.len());
        made.push(u8::from(is_open(&labels)));
        made.extend(due_ms.to_be_bytes());
        made.push(state(labels.state));
        made.extend(sum(key, version.as_bytes(), &made, &tenant, &bytes));
        made.extend(tenant);
        made.extend(bytes);
        Ok(Self {
            version,
            keep_ms,
            made,
        })
    }
}

/// Returns true if a person or a host has yet to end or to check it.
fn is_open(labels: &EntryLabels) -> bool {
    labels.state.is_open() || labels.due_in_seconds.is_some()
}

/// A tenant's name as it lies in a record, its length before it.
pub(super) fn tenant(tenant: Option<&Tenant>) -> Vec<u8> {
    let Some(tenant) = tenant else {
        return NO_TENANT.to_be_bytes().to_vec();
    };
    // Names are no longer than 256 bytes.
    let length = u16::try_from(tenant.as_str().len()).unwrap_or(NO_TENANT);
    [&length.to_be_bytes()[..], tenant.as_str().as_bytes()].concat()
}

/// A state as it lies in a record.
pub(super) fn state(state: StateLabel) -> u8 {
    match state {
        StateLabel::Running => b'r',
        StateLabel::Waiting => b'w',
        StateLabel::InDoubt => b'd',
        StateLabel::Probing => b'p',
        StateLabel::Held => b'h',
        StateLabel::Released => b'e',
        StateLabel::Refused => b'f',
        StateLabel::Landed => b'l',
        StateLabel::Undone => b'u',
        StateLabel::Tombstone => b't',
        StateLabel::Alias => b'a',
        StateLabel::Handle => b'n',
        StateLabel::Scheme => b's',
        StateLabel::Tally => b'c',
    }
}

/// Returns the checksum of a record, which detects damage by the disk. It leaves out the times,
/// which the server writes.
fn sum(key: StoreKey, version: &[u8], head: &[u8], tenant: &[u8], entry: &[u8]) -> [u8; 8] {
    let digest = Sha256::new()
        .chain_update(key.as_bytes())
        .chain_update(version)
        .chain_update(head);
    let digest: [u8; 32] = digest
        .chain_update(tenant)
        .chain_update(entry)
        .finalize()
        .into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Parses a record.
pub(super) fn read(key: StoreKey, record: &[u8]) -> Result<StoredEntry, EntryError> {
    let parts = ByteReader::of(record).ok_or_else(|| damaged("it is cut off"))?;
    if parts.sum != sum(key, &parts.version, &parts.head, parts.tenant, parts.entry) {
        return Err(damaged("it is not what was written"));
    }
    Ok(StoredEntry {
        entry: Arc::new(Entry::from_bytes(parts.entry)?),
        version: Version::from_bytes(parts.version),
        created: parts.created,
        written: parts.written,
    })
}

/// The version of a record.
pub(super) fn version(record: &[u8]) -> Option<Version> {
    record.first_chunk().copied().map(Version::from_bytes)
}

fn damaged(how: &str) -> EntryError {
    EntryError::Damaged(how.to_owned())
}

struct ByteReader<'a> {
    version: [u8; 16],
    created: Stamp,
    written: Stamp,
    head: [u8; 10],
    sum: [u8; 8],
    tenant: &'a [u8],
    entry: &'a [u8],
}

impl<'a> ByteReader<'a> {
    fn of(record: &'a [u8]) -> Option<Self> {
        let (version, rest) = record.split_first_chunk()?;
        let (created, rest) = stamp(rest)?;
        let (written, rest) = stamp(rest)?;
        let (_end, rest) = rest.split_first_chunk::<8>()?;
        let (head, rest) = rest.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk::<2>()?;
        let length = match u16::from_be_bytes(*length) {
            NO_TENANT => 0,
            length => usize::from(length),
        };
        let (tenant, entry) = rest.split_at_checked(2 + length)?;
        Some(Self {
            version: *version,
            created,
            written,
            head: *head,
            sum: *sum,
            tenant,
            entry,
        })
    }
}

fn stamp(bytes: &[u8]) -> Option<(Stamp, &[u8])> {
    let (wall_ms, rest) = bytes.split_first_chunk()?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let incarnation = Incarnation(u64::from_be_bytes(*incarnation));
    Some((
        ClockReading::from_wall(u64::from_be_bytes(*wall_ms)).stamp(incarnation),
        rest,
    ))
}
