//! A child gets three open files, whatever this process was started with.
//!
//! The standard library opens every file so that no child inherits it. Descriptors that this
//! process itself inherited (a shell's `3<file`, a lock, the end of a pipe with a waiting reader)
//! pass on to every child, unless they are closed there.

use std::{io, os::unix::process::CommandExt, process::Command};

/// The first file descriptor after stdin, stdout and stderr.
const FIRST: u32 = 3;

/// Lets the child that `command` starts have stdin, stdout and stderr, and nothing else that is open.
pub(super) fn keep_three(command: &mut Command) {
    // SAFETY: between `fork` and `exec` only what is safe in a signal handler may be done: no allocation, no lock.
    // `close_the_rest` makes system calls with numbers for arguments and nothing else. It closes nothing at once, so it
    // takes no file from anyone: it marks the child's own copies to be closed by `exec`.
    #[expect(
        unsafe_code,
        reason = "there is no other place between `fork` and `exec`"
    )]
    unsafe {
        command.pre_exec(close_the_rest);
    }
}

#[cfg(target_os = "linux")]
fn close_the_rest() -> io::Result<()> {
    // SAFETY: `close_range` takes three numbers and touches no memory.
    #[expect(unsafe_code, reason = "the standard library has no such call")]
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    // Kernels before 5.11 do not know it.
    if marked == 0 {
        Ok(())
    } else {
        close_one_by_one()
    }
}

#[cfg(not(target_os = "linux"))]
fn close_the_rest() -> io::Result<()> {
    close_one_by_one()
}

fn close_one_by_one() -> io::Result<()> {
    /// The upper bound where the limit itself is infinite.
    const MOST: u64 = 1 << 16;
    let open_max = rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(MOST)
        .min(MOST);
    for descriptor in FIRST..u32::try_from(open_max).unwrap_or(FIRST) {
        // SAFETY: `fcntl` with `F_SETFD` takes numbers and touches no memory. Where nothing is open it says so.
        #[expect(
            unsafe_code,
            reason = "a descriptor of another owner cannot be borrowed from it here"
        )]
        let _ = unsafe { libc::fcntl(descriptor.cast_signed(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
