//! One entry as bytes: a header, what was found out about the component, and its code, under one tag.
//!
//! ```text
//!   0  format          16
//!  16  component       32   digest
//!  48  engine          32   digest
//!  80  limits          32   digest
//! 112  bytes of facts   8   big-endian
//! 120  bytes of code    8
//! 128  tag             32   HMAC-SHA-256 of all that is not the tag
//! 160  facts (JSON), code
//! ```

use super::{ComponentFacts, EntryName, key::CacheKey};
use crate::engine::code::MachineCode;
use hmac::Mac;
use std::io;

const FORMAT: &[u8; 16] = b"semel code 1\n\0\0\0";
const TAG_AT: usize = 128;
const HEADER_BYTES: usize = 160;
/// The names in a component make its facts as long as they like, up to this.
const FACTS_BYTES_MAX: u64 = 4 << 20;

/// The longest entry that is read.
pub(super) fn bytes_max(code_bytes: u64) -> u64 {
    HEADER_BYTES as u64 + FACTS_BYTES_MAX + code_bytes
}

/// A cache entry with a verified tag.
pub(super) struct CacheEntry {
    bytes: Vec<u8>,
    facts_bytes: usize,
}

impl CacheEntry {
    /// The bytes of an entry.
    pub(super) fn seal(
        name: &EntryName,
        facts: &ComponentFacts,
        code: &MachineCode,
        key: &CacheKey,
    ) -> io::Result<Vec<u8>> {
        let facts = serde_json::to_vec(facts)?;
        let head = header(name, facts.len(), code.as_bytes().len());
        let tag = tag_of(key, &head, &[&facts, code.as_bytes()])
            .finalize()
            .into_bytes();
        Ok([head.as_slice(), &tag, &facts, code.as_bytes()].concat())
    }

    /// Takes bytes for the entry of this name.
    ///
    /// # Errors
    /// If they are not what was kept under it, with this key, to the last byte.
    pub(super) fn open(bytes: Vec<u8>, name: &EntryName, key: &CacheKey) -> io::Result<Self> {
        let altered = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it was altered, cut short, or kept with another key",
            )
        };
        let (head, rest) = bytes.split_at_checked(TAG_AT).ok_or_else(altered)?;
        let (tag, body) = rest
            .split_at_checked(HEADER_BYTES - TAG_AT)
            .ok_or_else(altered)?;
        tag_of(key, head, &[body])
            .verify_slice(tag)
            .map_err(|_| altered())?;
        // From here on it is what a process of ours wrote; but perhaps under another name.
        let facts_bytes = head
            .get(112..120)
            .and_then(|length| length.try_into().ok())
            .map(u64::from_be_bytes);
        let facts_bytes = facts_bytes
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(altered)?;
        let code_bytes = body.len().checked_sub(facts_bytes).ok_or_else(altered)?;
        if head != header(name, facts_bytes, code_bytes) {
            return Err(altered());
        }
        Ok(Self { bytes, facts_bytes })
    }

    pub(super) fn into_parts(mut self) -> io::Result<(ComponentFacts, MachineCode)> {
        let code = self.bytes.split_off(HEADER_BYTES + self.facts_bytes);
        let facts = serde_json::from_slice(self.bytes.get(HEADER_BYTES..).unwrap_or_default())?;
        Ok((facts, MachineCode::vouched_for(code)))
    }
}

fn header(name: &EntryName, facts_bytes: usize, code_bytes: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(TAG_AT);
    header.extend(FORMAT);
    name.bytes().for_each(|part| header.extend(part));
    for length in [facts_bytes, code_bytes] {
        header.extend((length as u64).to_be_bytes());
    }
    header
}

fn tag_of(key: &CacheKey, head: &[u8], body: &[&[u8]]) -> hmac::Hmac<sha2::Sha256> {
    let mut tag = key.mac();
    tag.update(head);
    body.iter().for_each(|part| tag.update(part));
    tag
}
