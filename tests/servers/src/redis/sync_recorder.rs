//! Simulates a power failure: records what a server syncs, and truncates its files to that.
//!
//! It covers append-only files. Files that Redis writes as a whole are synced before they are
//! renamed into place.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

use crate::machine;

/// A library that is preloaded into a server, and the log of syncs that it writes.
pub(super) struct SyncRecorder {
    folder: TempDir,
}

impl SyncRecorder {
    /// Compiles the library.
    pub(super) fn new() -> Self {
        let recorder = Self {
            folder: TempDir::new().unwrap(),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload/fdatasync.rs");
        machine::run_to_success(
            Command::new("rustc")
                .args([
                    "--edition=2024",
                    "--crate-type=cdylib",
                    "-Copt-level=1",
                    "-Cpanic=abort",
                    "-o",
                ])
                .arg(recorder.library())
                .arg(source),
        );
        recorder
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("fdatasync.so")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("synced")
    }

    /// Sets the environment of a server's command so that the server records its syncs.
    pub(super) fn attach(&self, server: &mut Command) {
        server
            .env("LD_PRELOAD", self.library())
            .env("SEMEL_SYNCED", self.log());
    }

    /// Truncates the append-only files in a folder to their synced lengths.
    pub(super) fn truncate_unsynced(&self, folder: &Path) {
        let synced_lengths = self.synced_lengths();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if !path.to_string_lossy().ends_with(".incr.aof") {
                continue;
            }
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let metadata = file.metadata().unwrap();
            let synced = synced_lengths.get(&metadata.ino()).copied().unwrap_or(0);
            file.set_len(synced.min(metadata.len())).unwrap();
        }
    }

    /// The synced length of each file, by inode.
    fn synced_lengths(&self) -> HashMap<u64, u64> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let mut lengths = HashMap::new();
        for line in log.lines() {
            let (inode, length) = line.split_once(' ').unwrap();
            // A file may be shorter after a restart than before: the last line counts.
            lengths.insert(inode.parse().unwrap(), length.parse().unwrap());
        }
        lengths
    }
}
