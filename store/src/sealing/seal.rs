//! Sealing and opening of a record's confidential part: XChaCha20-Poly1305 with a random nonce of
//! 192 bits.
//!
//! The associated data, each part preceded by its length: the purpose and version of this layout,
//! the name of the sealing key, the store key, the version of the write, and the text of the open
//! part (tenant, name space, state, generation, attempts and times among it).

use super::key::{SealingKey, SealingKeys};
use crate::Version;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    XNonce,
    aead::{self, Aead, Payload},
};
use semel_core::{
    ledger::{EntryError, Record, RecordSecrets, SealedRecord},
    model::StoreKey,
};
use zeroize::Zeroizing;

/// The version of the layout of associated data and sealed text.
const LAYOUT: &str = "semel sealed record 1";

const NONCE_BYTES: usize = 24;

/// The reason why a record could not be sealed. No message reveals the record's content.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    /// The record could not be written as JSON.
    #[error("the record could not be sealed: {0}")]
    Json(#[from] serde_json::Error),
    /// The operating system returned no random nonce.
    #[error("the record could not be sealed: {0}")]
    Nonce(#[from] getrandom::Error),
    /// The cipher refused the record.
    #[error("the record could not be sealed: {0}")]
    Cipher(#[from] aead::Error),
}

/// Seals a record for the write `version` at the store key `at`.
pub(super) fn seal_record(
    key: &SealingKey,
    at: StoreKey,
    version: Version,
    record: &Record,
) -> Result<SealedRecord, SealError> {
    let mut open = record.clone();
    let secrets = RecordSecrets::take(&mut open);
    let secrets = Zeroizing::new(serde_json::to_vec(&secrets)?);
    SealedRecord::new(open, key.id().to_owned(), |open| {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let data = associated_data(key.id(), at, version, open);
        let payload = Payload {
            msg: &secrets,
            aad: &data,
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload)?;
        Ok::<_, SealError>(BASE64.encode([&nonce[..], &sealed].concat()))
    })
}

/// Opens the record that was read at the store key `at` in this version.
pub(super) fn open_record(
    keys: &SealingKeys,
    at: StoreKey,
    version: Version,
    sealed: &SealedRecord,
) -> Result<Record, EntryError> {
    let id = sealed.key_id();
    let key = keys
        .find(id)
        .ok_or_else(|| EntryError::NoKey { id: id.to_owned() })?;
    let unsealable = || EntryError::Unsealable { id: id.to_owned() };
    let bytes = BASE64.decode(sealed.sealed()).map_err(|_| unsealable())?;
    let (nonce, text) = bytes
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(unsealable)?;
    let payload = Payload {
        msg: text,
        aad: &associated_data(id, at, version, sealed.open()),
    };
    let secrets = key
        .cipher()
        .decrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| unsealable())?;
    let secrets: RecordSecrets =
        serde_json::from_slice(&Zeroizing::new(secrets)).map_err(|_| unsealable())?;
    let mut record = sealed.record().clone();
    secrets.put(&mut record).map_err(|_| unsealable())?;
    Ok(record)
}

/// Returns the associated data of a sealed text.
fn associated_data(key_id: &str, at: StoreKey, version: Version, open: &str) -> Vec<u8> {
    let parts = [
        LAYOUT.as_bytes(),
        key_id.as_bytes(),
        at.as_bytes(),
        version.as_bytes(),
        open.as_bytes(),
    ];
    let mut data = Vec::with_capacity(open.len() + 256);
    for part in parts {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}
