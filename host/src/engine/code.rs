//! Machine code of components, and the one place where bytes become code that runs.
//!
//! Absent: the origin of the bytes, and their storage. Both are for the caller of
//! [`MachineCode::vouched_for`].

use super::error::LoadError;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    hash::{Hash, Hasher},
};
use wasmtime::component::Component;

/// Machine code of one component, as a [`Compiler`](super::Compiler) makes it.
///
/// It is run without further checks. So only compilers of this crate make it, and
/// [`MachineCode::from_bytes`] for a caller that vouches for it.
#[derive(Clone, PartialEq, Eq)]
pub struct MachineCode(Vec<u8>);

impl MachineCode {
    /// Takes bytes for machine code.
    ///
    /// # Safety
    /// The bytes must be those of a [`MachineCode`] that a compiler of this crate made, every one of them. They are loaded into
    /// this process and run as machine code, without any further check: a party that can alter them on their way from the
    /// compiler to here may do whatever this process may do.
    #[must_use]
    #[expect(
        unsafe_code,
        reason = "only the caller knows where the bytes have been"
    )]
    pub unsafe fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept where no other user can alter them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes bytes for machine code.
    ///
    /// INVARIANT: only for bytes that wasmtime's compiler made in this process, that a child of ours handed over its own
    /// pipe, or that come out of the cache with the tag under which this host put them there.
    pub(super) fn vouched_for(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Makes it ready to run.
    ///
    /// # Errors
    /// If an instance of it takes more than this engine has room for, or it was made for another.
    pub(super) fn ready(&self, engine: &wasmtime::Engine) -> Result<Component, LoadError> {
        // SAFETY: `deserialize` asks that the bytes be what `precompile_component` made, unaltered.
        // They are: every `MachineCode` comes from `vouched_for` (with three callers, listed there)
        // or from `from_bytes`, for which the caller promised the same. They are owned by `self`,
        // so nothing alters them; wasmtime itself compares its version, its settings and the
        // processor's features with those of the engine that they were made for.
        #[expect(
            unsafe_code,
            reason = "machine code cannot be checked, only traced to its compiler"
        )]
        let component = unsafe { Component::deserialize(engine, &self.0) };
        component.map_err(|error| LoadError::DoesNotFit {
            reason: format!("{error:#}"),
        })
    }
}

impl fmt::Debug for MachineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Code")
            .field(&format_args!("{} bytes", self.0.len()))
            .finish()
    }
}

/// Which engine code is made for: wasmtime's version and settings, and the processor. Code of another is never run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineId([u8; 32]);

impl EngineId {
    pub(super) fn new(engine: &wasmtime::Engine) -> Self {
        let mut digest = DigestHasher(Sha256::new_with_prefix(b"semel engine 1\n"));
        engine.precompile_compatibility_hash().hash(&mut digest);
        Self(digest.0.finalize().into())
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Collects whatever hashes itself into a digest that does not collide.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// Unused: the digest is taken as a whole.
    fn finish(&self) -> u64 {
        0
    }
}
