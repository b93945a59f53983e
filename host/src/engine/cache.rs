//! Compiled code, kept between runs in a folder of the host's own.
//!
//! An entry is found by the component's bytes, the engine and the limits, and is run only if its
//! tag proves that this host wrote it: it is machine code, so another user that alters it could do
//! all that this process may do. An altered entry (a flipped byte, a cut file, another key) is
//! compiled again. A folder that others can write to is not used at all; that is logged, and no
//! call fails for it.
//!
//! What is absent: anything that must last. Nothing is synced, and any file here may go at any time.

mod entry;
mod folder;
mod key;

#[cfg(test)]
mod tests;

use super::{
    census::ComponentCensus,
    code::{EngineId, MachineCode},
    limits::Limits,
};
use entry::CacheEntry;
use folder::CacheFolder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// The most bytes of compiled code in a cache.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// A folder that keeps compiled code between runs.
///
/// It belongs to one user, and this user's processes share it. The cache does not use a folder that belongs to another
/// user or that others may write to. When it is full, it deletes the least recently used entries first.
#[derive(Debug)]
pub struct CodeCache {
    path: PathBuf,
    bytes_max: u64,
    /// True once the warning about an unusable folder was logged.
    has_warned: AtomicBool,
}

/// The size of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheState {
    /// The number of cached components.
    pub entries: u64,
    /// The total size of the entries, in bytes.
    pub bytes: u64,
}

/// The error of a cache that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder belongs to another user, others may write to it, or it is a link.
    #[error(
        "compiled code is cached only in a folder of this user that no other user may write to, and `{}` is not: run `chmod 700` on it, or choose another folder",
        .path.display()
    )]
    NotOurs {
        /// The folder of the cache.
        path: PathBuf,
    },
    /// The operating system refused access.
    #[error("compiled code cannot be cached in `{}`: {error}", .path.display())]
    System {
        /// The folder of the cache.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },
}

impl CodeCache {
    /// A cache in this folder, which is created for its owner only if it is missing. It holds up to 256 MiB.
    pub fn in_folder(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bytes_max: CACHE_BYTES_MAX,
            has_warned: AtomicBool::new(false),
        }
    }

    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size of the cache.
    ///
    /// # Errors
    /// If the cache cannot be used.
    pub fn state(&self) -> Result<CacheState, CacheError> {
        let folder = self.open()?;
        let entries = folder.entries().map_err(|error| self.fault(error))?;
        Ok(CacheState {
            entries: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
        })
    }

    /// Returns the entry of this name, if it is there and its authentication tag is valid.
    pub(super) fn find(
        &self,
        name: &EntryName,
        code_bytes_max: u64,
    ) -> Option<(ComponentFacts, MachineCode)> {
        let folder = self.usable()?;
        let entry = folder.read(&name.file(), entry::bytes_max(code_bytes_max));
        let entry = entry.and_then(|bytes| CacheEntry::open(bytes, name, &folder.key()?));
        match entry {
            Ok(entry) => entry.into_parts().ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::info!(folder = %self.path.display(), %error, "another program changed the cached code: compiling again");
                None
            }
        }
    }

    /// Writes an entry under this name. After an error, the next process compiles the code again.
    pub(super) fn keep(&self, name: &EntryName, facts: &ComponentFacts, code: &MachineCode) {
        let Some(folder) = self.usable() else { return };
        let kept = || {
            let entry = CacheEntry::seal(name, facts, code, &folder.key()?)?;
            if entry.len() as u64 > self.bytes_max {
                return Ok(());
            }
            folder.make_room(self.bytes_max - entry.len() as u64)?;
            folder.write(&name.file(), &entry)
        };
        if let Err(error) = kept() {
            tracing::info!(folder = %self.path.display(), %error, "compiled code could not be cached");
        }
    }

    fn open(&self) -> Result<CacheFolder, CacheError> {
        CacheFolder::open(&self.path).map_err(|error| self.fault(error))
    }

    /// Returns the folder if it can be used, and otherwise logs a warning once.
    fn usable(&self) -> Option<CacheFolder> {
        let opened = self.open();
        if let Err(fault) = &opened
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%fault, "compiled code is not cached");
        }
        opened.ok()
    }

    fn fault(&self, error: io::Error) -> CacheError {
        let path = self.path.clone();
        if folder::is_not_ours(&error) {
            CacheError::NotOurs { path }
        } else {
            CacheError::System { path, error }
        }
    }
}

/// The facts found by the checks before compilation. An entry keeps them, so that a hit needs no check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ComponentFacts {
    pub(super) census: ComponentCensus,
    pub(super) from_module: bool,
}

/// The name of an entry: digests of the component, the engine and the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryName([[u8; 32]; 3]);

impl EntryName {
    pub(super) fn new(component: [u8; 32], engine: EngineId, limits: &Limits) -> Self {
        let mut digest = Sha256::new_with_prefix(b"semel limits 1\n");
        // A component within other limits may be over these, and a hit skips the check.
        digest.update(serde_json::to_vec(limits).unwrap_or_default());
        Self([component, *engine.as_bytes(), digest.finalize().into()])
    }

    fn bytes(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.iter()
    }

    /// The name of the entry's file.
    fn file(&self) -> String {
        let mut digest = Sha256::new_with_prefix(b"semel code 1\n");
        self.bytes().for_each(|part| digest.update(part));
        let hex: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        hex + folder::ENTRY_ENDING
    }
}
