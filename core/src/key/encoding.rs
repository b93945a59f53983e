//! The digested bytes, such that no two different inputs give the same bytes: the length precedes
//! every text and list. `tests/vectors/README.md` in the repository specifies them for other
//! languages.

use super::{FORMAT, KeyMode, Secret};
use hmac::Mac as _;
use sha2::{Digest as _, Sha256};

/// The purpose of a digest. Digests for different purposes never meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum DigestPurpose {
    Operation,
    Handle,
    Content,
    Call,
    Downstream,
    SecretId,
    Tally,
}

impl DigestPurpose {
    fn word(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Handle => "handle",
            Self::Content => "content",
            Self::Call => "call",
            Self::Downstream => "downstream",
            Self::SecretId => "secret-id",
            Self::Tally => "tally",
        }
    }
}

/// A message that grows part by part and ends as a digest.
pub(super) struct DigestMessage(Vec<u8>);

impl DigestMessage {
    pub(super) fn new(purpose: DigestPurpose, mode: KeyMode) -> Self {
        Self(Vec::with_capacity(256))
            .text("semel")
            .text(purpose.word())
            .number(FORMAT.into())
            .text(mode.word())
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.number(length_prefix(bytes.len()));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// A list: how many items, then each.
    pub(super) fn list<T>(self, items: &[T], item: impl Fn(Self, &T) -> Self) -> Self {
        items
            .iter()
            .fold(self.number(length_prefix(items.len())), item)
    }

    pub(super) fn digest(self, secret: Option<&Secret>) -> [u8; 32] {
        match secret {
            None => Sha256::digest(&self.0).into(),
            Some(secret) => secret
                .mac()
                .chain_update(&self.0)
                .finalize()
                .into_bytes()
                .into(),
        }
    }
}

fn length_prefix(length: usize) -> u64 {
    // No platform's `usize` is wider than 64 bits.
    u64::try_from(length).unwrap_or(u64::MAX)
}
