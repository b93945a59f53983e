//! A library that is loaded before a server's own (`LD_PRELOAD`), and notes how much of which file the server has synced:
//! what a power switch leaves. `synced.rs` compiles it and reads what it notes. It belongs to no crate.

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

/// In place of the C library's: syncs by its `fsync`, which does no less, and notes what lay there before.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(file: c_int) -> c_int {
    let before = lying(file);
    // SAFETY: it takes a number, and answers whether that was a file.
    let done = unsafe { fsync(file) };
    if let (0, Some((inode, length))) = (done, before) {
        note(inode, length);
    }
    done
}

/// Which file it is, and how long.
fn lying(file: c_int) -> Option<(u64, u64)> {
    // SAFETY: the caller keeps it open while it syncs it, and it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(file) });
    let told = file.metadata().ok()?;
    Some((told.ino(), told.len()))
}

/// One write a line, so that lines of several threads do not mix.
fn note(inode: u64, length: u64) {
    let Some(notes) = env::var_os("SEMEL_SYNCED") else { return };
    if let Ok(mut notes) = OpenOptions::new().create(true).append(true).open(notes) {
        let _lost = notes.write_all(format!("{inode} {length}\n").as_bytes());
    }
}
