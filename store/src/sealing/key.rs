//! The encryption keys of records, by name.

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use semel_core::{
    key::{Secret, SecretError},
    model::{IdentifierError, checked_name},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The reason to refuse sealing keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// A key's name is not valid.
    #[error("{0}")]
    Name(#[from] IdentifierError),
    /// A key's secret is too short or too long.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// Two keys have the same name.
    #[error("two sealing keys are named `{0}`: give each a name of its own")]
    DuplicateName(String),
}

/// An encryption key of records. It is never printed or compared, and wiped when it is dropped.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    /// Derives a key from a secret, without its trailing line end. Every record under the key
    /// contains the name `id` in the clear.
    ///
    /// # Errors
    /// If the name is not valid, or the secret too short or too long.
    pub fn new(id: impl Into<String>, secret: &[u8]) -> Result<Self, SealingError> {
        let id = id.into();
        checked_name("the name of a sealing key", &id)?;
        // The derivation is for this purpose only, so that the secret of operation keys may be the
        // same.
        let key = Secret::new(secret)?.derived("semel sealing key 1");
        Ok(Self {
            id,
            cipher: XChaCha20Poly1305::new((&*key).into()),
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, …)", self.id)
    }
}

/// The keys of a host: the current one seals, and all of them open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SealingKeys {
    current: Arc<SealingKey>,
    /// All keys, the current one included.
    all: BTreeMap<String, Arc<SealingKey>>,
}

impl SealingKeys {
    /// Creates the set of one key, which seals all writes.
    #[must_use]
    pub fn new(current: SealingKey) -> Self {
        let current = Arc::new(current);
        Self {
            all: BTreeMap::from([(current.id.clone(), Arc::clone(&current))]),
            current,
        }
    }

    /// Adds an older key, which opens what it sealed.
    ///
    /// # Errors
    /// If there is a key of the same name already.
    pub fn with_older_key(mut self, older: SealingKey) -> Result<Self, SealingError> {
        if self.all.contains_key(older.id()) {
            return Err(SealingError::DuplicateName(older.id));
        }
        self.all.insert(older.id.clone(), Arc::new(older));
        Ok(self)
    }

    /// Returns the key that seals.
    #[must_use]
    pub fn current(&self) -> &SealingKey {
        &self.current
    }

    /// Returns the names of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    pub(super) fn find(&self, id: &str) -> Option<&SealingKey> {
        self.all.get(id).map(|key| &**key)
    }
}
