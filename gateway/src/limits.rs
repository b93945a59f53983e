//! How much may come in over HTTP.

use crate::access::Denied;

/// The bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// The most sessions at once.
    pub sessions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: 4 << 20, sessions_max: 10_000 }
    }
}

/// The room that one request takes until its response begins.
#[derive(Debug)]
pub struct Entered(());

impl Limits {
    /// Makes room for a request.
    ///
    /// # Errors
    /// If there is none.
    pub fn enter(&self) -> Result<Entered, Denied> {
        Ok(Entered(()))
    }
}
