//! What a server has synced: all that a power switch leaves of the files that it appends to.
//!
//! Absent: files that it writes as a whole, which it syncs before they get their names.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// What tells of each sync, and where.
pub(super) struct Syncs {
    folder: TempDir,
}

impl Syncs {
    pub(super) fn new() -> Self {
        let syncs = Self {
            folder: TempDir::new().unwrap(),
        };
        let compiled = Command::new("rustc")
            .args([
                "--edition=2024",
                "--crate-type=cdylib",
                "-Copt-level=1",
                "-Cpanic=abort",
                "-o",
            ])
            .arg(syncs.library())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("preload/fdatasync.rs"))
            .output()
            .unwrap();
        assert!(
            compiled.status.success(),
            "rustc: {}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        syncs
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("fdatasync.so")
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("synced")
    }

    /// Lets a server that is about to be started tell of its syncs.
    pub(super) fn listen(&self, server: &mut Command) {
        server
            .env("LD_PRELOAD", self.library())
            .env("SEMEL_SYNCED", self.notes());
    }

    /// Takes from the append-only files in this folder what was not synced.
    pub(super) fn drop_the_rest(&self, folder: &Path) {
        let synced = self.lengths();
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.to_string_lossy().ends_with(".incr.aof") {
                let opened = OpenOptions::new().write(true).open(&file).unwrap();
                let told = opened.metadata().unwrap();
                let length = synced.get(&told.ino()).copied().unwrap_or(0);
                opened.set_len(length.min(told.len())).unwrap();
            }
        }
    }

    /// How much of each file was synced, by its number.
    fn lengths(&self) -> HashMap<u64, u64> {
        let notes = fs::read_to_string(self.notes()).unwrap_or_default();
        let mut lengths = HashMap::new();
        for line in notes.lines() {
            let (inode, length) = line.split_once(' ').unwrap();
            // After a restart a file may be shorter than it was: the last note counts.
            lengths.insert(inode.parse().unwrap(), length.parse().unwrap());
        }
        lengths
    }
}
