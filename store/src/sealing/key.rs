//! The keys that records are sealed under, each by name.

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use semel_core::{
    key::{Secret, SecretError},
    model::{IdentifierError, checked_name},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Why these are no keys to seal with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// Its name is none.
    #[error("{0}")]
    Name(#[from] IdentifierError),
    /// Its secret is none.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// Two keys have one name.
    #[error("two sealing keys are named `{0}`: give each a name of its own")]
    Twice(String),
}

/// A key that records are sealed under. Neither printed nor compared, and wiped when it is dropped.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    /// The key of this name, made from these bytes (but for a line end after them): as many as for the secret of keys.
    /// The name stands open in every record that is sealed under it.
    ///
    /// # Errors
    /// If the name is none, or the bytes are too few or too many.
    pub fn new(id: impl Into<String>, secret: &[u8]) -> Result<Self, SealingError> {
        let id = id.into();
        checked_name("the name of a sealing key", &id)?;
        // Derived for this purpose, so that the secret of keys may be the same without harm.
        let key = Secret::new(secret)?.derived("semel sealing key 1");
        Ok(Self {
            id,
            cipher: XChaCha20Poly1305::new((&*key).into()),
        })
    }

    /// Its name.
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

/// The keys of a host: the one that seals, and those that open what was sealed before. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SealingKeys {
    current: Arc<SealingKey>,
    /// The current one among them.
    all: BTreeMap<String, Arc<SealingKey>>,
}

impl SealingKeys {
    /// With this key, all that is written is sealed.
    #[must_use]
    pub fn new(current: SealingKey) -> Self {
        let current = Arc::new(current);
        Self {
            all: BTreeMap::from([(current.id.clone(), Arc::clone(&current))]),
            current,
        }
    }

    /// With this key, too, what was sealed before is opened.
    ///
    /// # Errors
    /// If there is a key of its name already.
    pub fn with_older_key(mut self, older: SealingKey) -> Result<Self, SealingError> {
        if self.all.contains_key(older.id()) {
            return Err(SealingError::Twice(older.id));
        }
        self.all.insert(older.id.clone(), Arc::new(older));
        Ok(self)
    }

    /// The key that seals what is written.
    #[must_use]
    pub fn current(&self) -> &SealingKey {
        &self.current
    }

    /// The names of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    pub(super) fn named(&self, id: &str) -> Option<&SealingKey> {
        self.all.get(id).map(|key| &**key)
    }
}
