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

/// The default size limit of a cache, in bytes.
pub const CACHE_BYTES_MAX: u64 = 256 << 20;

/// A folder that keeps compiled code between runs.
///
/// It belongs to one user: processes of the same user share it, and a folder that is another's, or that others may
/// write to, is not used. Entries that were not used for the longest time go first where there are too many.
#[derive(Debug)]
pub struct CodeCache {
    path: PathBuf,
    bytes_max: u64,
    /// True once the warning about an unusable folder was logged.
    was_told: AtomicBool,
}

/// The contents of a cache, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheState {
    /// The number of cached components.
    pub entries: u64,
    /// Their total size, in bytes.
    pub bytes: u64,
}

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Its folder is another's, others may write to it, or it is a link.
    #[error(
        "`{}` is no folder of this user alone, and compiled code is kept in no other: make it one (`chmod 700`), or name another",
        .path.display()
    )]
    NotOurs {
        /// Which folder.
        path: PathBuf,
    },
    /// The system says no.
    #[error("compiled code cannot be kept in `{}`: {error}", .path.display())]
    System {
        /// Which folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },
}

impl CodeCache {
    /// A cache in this folder, which is made where it is missing, for its owner only. It holds up to
    /// [`CACHE_BYTES_MAX`] bytes.
    pub fn in_folder(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bytes_max: CACHE_BYTES_MAX,
            was_told: AtomicBool::new(false),
        }
    }

    /// The same with room for so many bytes.
    #[must_use]
    pub fn with_bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the contents of the cache, if it can be used.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn state(&self) -> Result<CacheState, CacheError> {
        let folder = self.open()?;
        let entries = folder.entries().map_err(|error| self.fault(error))?;
        Ok(CacheState {
            entries: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
        })
    }

    /// Returns the entry of this name, if its tag is right.
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
                tracing::info!(folder = %self.path.display(), %error, "cached code was changed by another program: compiling again");
                None
            }
        }
    }

    /// Keeps code under this name. Where that fails, it is compiled again next time.
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
            tracing::info!(folder = %self.path.display(), %error, "compiled code could not be kept");
        }
    }

    fn open(&self) -> Result<CacheFolder, CacheError> {
        CacheFolder::open(&self.path).map_err(|error| self.fault(error))
    }

    /// The folder, if it is ours.
    fn usable(&self) -> Option<CacheFolder> {
        let opened = self.open();
        if let Err(fault) = &opened
            && !self.was_told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%fault, "compiled code is not kept");
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
        // What the count compares with. A component that was let in under other limits might not be let in under these.
        digest.update(serde_json::to_vec(limits).unwrap_or_default());
        Self([component, *engine.as_bytes(), digest.finalize().into()])
    }

    fn bytes(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.iter()
    }

    /// The name of its file.
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
