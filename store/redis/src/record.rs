//! The encoding of an entry as a record, and the names of records and lists.
//!
//! A record is one string. Scripts read its fields at fixed offsets, so one read and one write are enough.
//!
//! INVARIANT: the scripts use the same offsets. `scripts/record.lua` and `scripts/list.lua` change with this
//! file, and with the schema.

use semel_core::{
    ledger::{Entry, EntryError, EntryLabels, StateLabel},
    model::{Incarnation, Stamp, StoreKey, Tenant},
};
use semel_store::{ClockReading, Retention, StoredEntry, Version};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The number of buckets. A key's first bits decide on its bucket, and a bucket is in one slot of a cluster.
pub(super) const BUCKETS: u16 = 1 << 12;

/// The largest exact integer in Lua. A time beyond it, of 285,000 years, means never.
pub(super) const NEVER_MS: u64 = 1 << 53;

/// The length that stands for an absent tenant.
const NO_TENANT: u16 = u16::MAX;

/// Returns the number of a key's bucket. The order of buckets is that of keys.
pub(super) fn bucket(key: StoreKey) -> u16 {
    let [first, second, ..] = key.as_bytes();
    u16::from_be_bytes([*first, *second]) >> 4
}

/// A bucket, which names its keys in Redis. The text in braces decides on the slot of a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket(pub(super) u16);

impl Bucket {
    fn part_key(self, part: &str) -> String {
        format!("semel:{{{:03x}}}:{part}", self.0)
    }

    /// Returns the text that decides on its slot.
    pub(super) fn hash_tag(self) -> String {
        format!("{:03x}", self.0)
    }

    /// Returns the key of its epoch.
    pub(super) fn epoch_key(self) -> String {
        self.part_key("life")
    }

    /// Returns the key of its list of all records.
    pub(super) fn all_list(self) -> String {
        self.part_key("all")
    }

    /// Returns the key of its list of open records.
    pub(super) fn open_list(self) -> String {
        self.part_key("open")
    }

    /// Returns the key of its list of records with an end, ordered by the end.
    pub(super) fn ending_list(self) -> String {
        self.part_key("ending")
    }

    /// Returns the prefix of its records' keys. The ledger's own key follows.
    pub(super) fn record_prefix(self) -> String {
        self.part_key("r:")
    }

    /// Returns the key of a record.
    pub(super) fn record_key(self, key: StoreKey) -> Vec<u8> {
        [self.record_prefix().as_bytes(), key.as_bytes()].concat()
    }
}

/// A record to write, prepared in the caller's task.
#[derive(Debug)]
pub(super) struct NewRecord {
    pub(super) version: Version,
    pub(super) keep_ms: u64,
    /// The flag of open records, the due time, labels, a checksum, and the entry.
    pub(super) content: Vec<u8>,
}

impl NewRecord {
    pub(super) fn new(
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
        let tenant = encode_tenant(labels.tenant.as_ref());
        let due_ms = labels
            .due_in_seconds
            .map_or(NEVER_MS, |seconds| u64::from(seconds) * 1000);
        // INVARIANT: `write.lua` reads the first byte, and `list.lua` the fields before the checksum.
        let mut content = Vec::with_capacity(18 + tenant.len() + bytes.len());
        content.push(u8::from(is_open_entry(&labels)));
        content.extend(due_ms.to_be_bytes());
        content.push(encode_state(labels.state));
        content.extend(checksum(key, version.as_bytes(), &content, &tenant, &bytes));
        content.extend(tenant);
        content.extend(bytes);
        Ok(Self {
            version,
            keep_ms,
            content,
        })
    }
}

/// Returns true if a person or a host has yet to settle or check the entry.
fn is_open_entry(labels: &EntryLabels) -> bool {
    labels.state.is_open() || labels.due_in_seconds.is_some()
}

/// Returns a tenant's name with its length in front, as in a record.
pub(super) fn encode_tenant(tenant: Option<&Tenant>) -> Vec<u8> {
    let Some(tenant) = tenant else {
        return NO_TENANT.to_be_bytes().to_vec();
    };
    // Names have at most 256 bytes.
    let length = u16::try_from(tenant.as_str().len()).unwrap_or(NO_TENANT);
    [&length.to_be_bytes()[..], tenant.as_str().as_bytes()].concat()
}

/// Returns the byte of a state, as in a record.
pub(super) fn encode_state(state: StateLabel) -> u8 {
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

/// Returns the checksum of a record, which detects damage by the disk. It excludes the times, which the
/// server writes.
fn checksum(key: StoreKey, version: &[u8], head: &[u8], tenant: &[u8], entry: &[u8]) -> [u8; 8] {
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

/// Decodes a record.
pub(super) fn decode_record(key: StoreKey, record: &[u8]) -> Result<StoredEntry, EntryError> {
    let fields = RecordFields::parse(record).ok_or_else(|| damaged_record("it is cut off"))?;
    if fields.sum
        != checksum(
            key,
            &fields.version,
            &fields.head,
            fields.tenant,
            fields.entry,
        )
    {
        return Err(damaged_record("its checksum does not match its content"));
    }
    Ok(StoredEntry {
        entry: Arc::new(Entry::from_bytes(fields.entry)?),
        version: Version::from_bytes(fields.version),
        created: fields.created,
        written: fields.written,
    })
}

/// Returns the version of a record.
pub(super) fn record_version(record: &[u8]) -> Option<Version> {
    record.first_chunk().copied().map(Version::from_bytes)
}

fn damaged_record(how: &str) -> EntryError {
    EntryError::Damaged(how.to_owned())
}

struct RecordFields<'a> {
    version: [u8; 16],
    created: Stamp,
    written: Stamp,
    head: [u8; 10],
    sum: [u8; 8],
    tenant: &'a [u8],
    entry: &'a [u8],
}

impl<'a> RecordFields<'a> {
    fn parse(record: &'a [u8]) -> Option<Self> {
        let (version, rest) = record.split_first_chunk()?;
        let (created, rest) = parse_stamp(rest)?;
        let (written, rest) = parse_stamp(rest)?;
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

fn parse_stamp(bytes: &[u8]) -> Option<(Stamp, &[u8])> {
    let (wall_ms, rest) = bytes.split_first_chunk()?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let incarnation = Incarnation(u64::from_be_bytes(*incarnation));
    Some((
        ClockReading::from_wall(u64::from_be_bytes(*wall_ms)).stamp(incarnation),
        rest,
    ))
}
