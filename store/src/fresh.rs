//! Fresh nonces, from random bytes of the operating system.

use semel_core::model::Nonce;

/// The operating system returned no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system returned no random bytes: {0}")]
pub struct RandomnessError(#[from] getrandom::Error);

/// Returns a nonce that no other host or process has: 128 random bits.
///
/// # Errors
/// If the operating system returns no random bytes.
pub fn fresh_nonce() -> Result<Nonce, RandomnessError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Nonce::from_bytes(bytes))
}
