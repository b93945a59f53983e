//! The secret that makes keys unguessable where identities are few.

use super::{
    KeyMode,
    encoding::{DigestMessage, DigestPurpose},
};
use crate::model::to_hex;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The shortest secret, in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// The longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Why this is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is too short.
    #[error(
        "the secret is {0} bytes long, and at least {SECRET_BYTES_MIN} are needed: make one with `openssl rand -hex 32`"
    )]
    TooShort(usize),
    /// It is too long.
    #[error(
        "the secret is longer than {SECRET_BYTES_MAX} bytes: make one with `openssl rand -hex 32`"
    )]
    TooLong,
}

/// A secret, made ready for HMAC-SHA-256. Neither printed nor compared; all hosts of a ledger have the same.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// These bytes, but for a line end after them (files have one).
    ///
    /// # Errors
    /// If they are too few or too many.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort(bytes.len()));
        }
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(SecretError::TooLong);
        }
        // HMAC takes keys of any length.
        Hmac::new_from_slice(bytes)
            .map(Self)
            .map_err(|_| SecretError::TooLong)
    }

    pub(super) fn mac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }

    /// Derives a key for another purpose, which reveals nothing of the secret.
    pub fn derived(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(
            self.mac()
                .chain_update(purpose.as_bytes())
                .finalize()
                .into_bytes()
                .into(),
        )
    }

    /// Returns the identifier of this secret, which reveals nothing of it: 16 hexadecimal digits,
    /// equal in every mode.
    pub(super) fn id(&self) -> String {
        // One fixed mode, because enforcing and watching hosts compare the same identifier.
        let digest =
            DigestMessage::new(DigestPurpose::SecretId, KeyMode::Enforce).digest(Some(self));
        to_hex(digest.get(..8).unwrap_or_default())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
