//! The key of a cache's tags: random, made with the folder, and read from it.
//!
//! A reader of the key can read and write all else of this user, so it protects against altered
//! files, not against the user. A key that is missing, cut or open to others is replaced: then
//! every entry is compiled again.

use super::folder::CacheFolder;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use std::io;
use zeroize::Zeroizing;

/// The name of its file.
pub(super) const FILE: &str = "key";
const BYTES: usize = 32;

pub(super) struct CacheKey(Hmac<Sha256>);

impl CacheKey {
    pub(super) fn mac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }

    fn new(bytes: &[u8]) -> Option<Self> {
        let is_whole = bytes.len() == BYTES;
        is_whole
            .then(|| Hmac::new_from_slice(bytes).ok())
            .flatten()
            .map(Self)
    }
}

impl CacheFolder {
    /// Returns the folder's key, and creates one if it has no usable key.
    pub(super) fn key(&self) -> io::Result<CacheKey> {
        if let Some(key) = self.read_key()? {
            return Ok(key);
        }
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
        self.write(FILE, bytes.as_slice())?;
        // Another process may have made one at the same time: the last one counts, for both.
        self.read_key()?
            .ok_or_else(|| io::Error::other("its key cannot be read back"))
    }

    fn read_key(&self) -> io::Result<Option<CacheKey>> {
        match self.read(FILE, BYTES as u64) {
            Ok(bytes) => Ok(CacheKey::new(&Zeroizing::new(bytes))),
            // What may not be trusted is replaced; what the system does not let us read is not.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
