//! The errors of a store: what happened to the write, and the driver's own error as the source.

use semel_core::ledger::EntryError;
use std::{error::Error, fmt, ops::Deref, sync::Arc};

/// The reason why a store did not answer. The kind decides whether a write may be repeated.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Certainly nothing was written.
    #[error("the ledger did not carry it out: {0}")]
    NotExecuted(#[source] SharedError),
    /// The write may have been executed or not.
    #[error("the ledger gave no certain answer: {0}")]
    Unknown(#[source] SharedError),
    /// The entry at the key cannot be read.
    #[error("the ledger holds an entry that cannot be used: {0}")]
    Entry(#[from] EntryError),
}

impl StoreError {
    /// Creates the error of a request that certainly wrote nothing, from its source or a message.
    pub fn not_executed(source: impl Into<SharedError>) -> Self {
        Self::NotExecuted(source.into())
    }

    /// Creates the error of a request that may have been executed, from its source or a message.
    pub fn unknown(source: impl Into<SharedError>) -> Self {
        Self::Unknown(source.into())
    }

    /// Returns the error of a request that only reads: it has written nothing, however it ended.
    #[must_use]
    pub fn into_read_error(self) -> Self {
        match self {
            Self::Unknown(source) => Self::NotExecuted(source),
            other => other,
        }
    }
}

/// The source of a store's error: one error of the driver, shared by all requests that it ended.
///
/// It dereferences to the driver's error, which [`downcast_ref`](SharedError::deref) recovers:
///
/// ```
/// use semel_store::StoreError;
/// use std::io;
///
/// let error = StoreError::not_executed(io::Error::from(io::ErrorKind::StorageFull));
/// let StoreError::NotExecuted(source) = error else { unreachable!() };
/// assert_eq!(source.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::StorageFull);
/// ```
#[derive(Clone)]
pub struct SharedError(Arc<dyn Error + Send + Sync>);

impl SharedError {
    /// Returns an error that says `message` in place of its source's words.
    pub fn with_message(
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ExplainedError {
            message: message.into(),
            source: Box::new(source),
        }))
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for SharedError {
    fn from(source: E) -> Self {
        Self(Arc::from(source.into()))
    }
}

impl Deref for SharedError {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Two errors are equal if their messages are: the errors of drivers cannot be compared.
impl PartialEq for SharedError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for SharedError {}

/// A driver's error with a message that adds where it happened, or what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct ExplainedError {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_drivers_error_is_found_below_a_message() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = StoreError::not_executed(SharedError::with_message("the folder `x`", full));
        assert_eq!(
            error.to_string(),
            "the ledger did not carry it out: the folder `x`"
        );
        let mut kinds = Vec::new();
        let mut below = error.source();
        while let Some(error) = below {
            kinds.extend(error.downcast_ref().map(io::Error::kind));
            below = error.source();
        }
        assert_eq!(kinds, [io::ErrorKind::StorageFull]);
    }
}
