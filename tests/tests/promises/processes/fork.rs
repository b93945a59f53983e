//! Forks of a process, which cost a thousandth of a start: policies are compiled once, and
//! processes are killed a thousand times.

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

/// The test and the thread of the harness that waits for it.
const THREADS: usize = 2;

/// Leaves behind a process that plays `part` and ends with it, and says which.
pub fn fork(part: impl FnOnce()) -> Pid {
    let threads = threads_left();
    assert!(
        threads <= THREADS,
        "{threads} threads: a lock that one of them holds would be held for ever in the copy"
    );
    #[expect(
        unsafe_code,
        reason = "the copy has this thread only, and locks stay as they are. No other thread of this process can hold
            one: the harness's own waits for the test to end, and all others ended before (see the assertion). The copy
            shares no file, database or socket with this process but the standard streams, and leaves by `_exit`"
    )]
    let copy = unsafe { libc::fork() };
    assert!(
        copy >= 0,
        "no process can be started: {}",
        std::io::Error::last_os_error()
    );
    let Some(copy) = Pid::from_raw(copy) else {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part));
        leave(i32::from(played.is_err()));
    };
    copy
}

/// The number of threads, once ending ones have ended.
fn threads_left() -> usize {
    let (begun, count) = (Instant::now(), || {
        fs::read_dir("/proc/self/task").unwrap().count()
    });
    let mut left = count();
    while left > THREADS && begun.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(1));
        // A thread that is being reaped may be listed again after a look that left it out.
        left = count();
    }
    left
}

/// Ends the copy without what a process does at its end: that is for the original.
fn leave(code: i32) -> ! {
    #[expect(unsafe_code, reason = "it ends the process, whatever state that is in")]
    unsafe {
        libc::_exit(code)
    }
}

/// Waits until it has ended: all its files are closed by then.
pub fn wait(copy: Pid) -> WaitStatus {
    loop {
        match waitpid(Some(copy), WaitOptions::empty()) {
            Ok(Some((_, status))) => return status,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
