//! What a downstream key looks like to the system behind a tool.

use super::KeyError;
use crate::model::{KeyForm, to_hex};
use std::fmt;

/// The downstream key of one generation and series of an operation, before it has a form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DownstreamKey([u8; 32]);

impl DownstreamKey {
    pub(super) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In this form.
    ///
    /// # Errors
    /// If there is no such form.
    pub fn render(&self, form: KeyForm) -> Result<String, KeyError> {
        check_form(form)?;
        Ok(match form {
            KeyForm::Uuid(version) => self.uuid(version),
            KeyForm::Hex(digits) => to_hex(&self.0).chars().take(digits.into()).collect(),
        })
    }

    /// The first 16 bytes, with version and variant where RFC 9562 has them.
    fn uuid(&self, version: u8) -> String {
        let mut uuid: Vec<u8> = self.0.iter().copied().take(16).collect();
        for (index, byte) in uuid.iter_mut().enumerate() {
            match index {
                // The version's four bits, then the variant's two.
                6 => *byte = *byte & 0x0f | version << 4,
                8 => *byte = *byte & 0x3f | 0x80,
                _ => {}
            }
        }
        let parts: Vec<_> = [0..4, 4..6, 6..8, 8..10, 10..16]
            .map(|part| uuid.get(part).map_or_else(String::new, to_hex))
            .into();
        parts.join("-")
    }
}

impl fmt::Debug for DownstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DownstreamKey(…)")
    }
}

pub(super) fn check_form(form: KeyForm) -> Result<(), KeyError> {
    match form {
        KeyForm::Uuid(4 | 5 | 8) | KeyForm::Hex(32..=64) => Ok(()),
        KeyForm::Uuid(version) => Err(KeyError::Version(version)),
        KeyForm::Hex(digits) => Err(KeyError::Digits(digits)),
    }
}
