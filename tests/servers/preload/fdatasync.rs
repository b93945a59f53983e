//! A library to preload into a server (`LD_PRELOAD`): it logs the inode and length of each file
//! that the server syncs.
//!
//! `sync_recorder.rs` compiles it and reads the log. It belongs to no crate.

use std::{
    env,
    ffi::c_int,
    fs::{File, OpenOptions},
    io::Write,
    mem::ManuallyDrop,
    os::{fd::FromRawFd, unix::fs::MetadataExt},
};

unsafe extern "C" {
    fn fsync(file: c_int) -> c_int;
}

/// Replaces the C library's `fdatasync`: calls `fsync`, which syncs at least as much, and logs the
/// length before the call.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(file: c_int) -> c_int {
    // Bytes written during the sync may be missing from it, so the length is read first.
    let before = inode_and_length(file);
    // SAFETY: `fsync` takes any number, and returns an error where it is no open file.
    let result = unsafe { fsync(file) };
    if let (0, Some((inode, length))) = (result, before) {
        log_sync(inode, length);
    }
    result
}

fn inode_and_length(file: c_int) -> Option<(u64, u64)> {
    // SAFETY: the caller keeps the file open during its sync, and `ManuallyDrop` does not close it.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(file) });
    let metadata = file.metadata().ok()?;
    Some((metadata.ino(), metadata.len()))
}

/// Appends one line in one write, so that lines of several threads do not mix.
fn log_sync(inode: u64, length: u64) {
    let Some(path) = env::var_os("SEMEL_SYNCED") else { return };
    if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(path) {
        let _lost = log.write_all(format!("{inode} {length}\n").as_bytes());
    }
}
