//! What every server of a test needs of this machine: a port, a folder, and an end.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::TcpListener,
    ops::Range,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kernel gives nobody who does not ask for it by number: whoever listens at any port, or only connects, has a higher one.
const PORTS: Range<u16> = 10_000..32_000;

/// A port that nobody listens on, of this machine's own address, and that stays free while a server needs seconds to start, or is
/// down for a while.
pub fn free_port() -> u16 {
    loop {
        let any = RandomState::new().build_hasher().finish() % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + any as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Goes on asking until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The kernel refuses this process to write any file past this size; none: it does no more. The command is that which sets it,
/// and runs as the process's own user: root may not do it everywhere.
pub(crate) fn limit_files(prlimit: &mut Command, pid: i32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let set = prlimit
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--fsize={limit}:unlimited"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&set.stderr);
    assert!(
        set.status.success() || said.contains("No such process"),
        "prlimit: {said}"
    );
}

/// Ends a process by a signal that it does not hear.
pub fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// A process that ends with the test.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    /// Waits until it is gone.
    pub fn wait(&mut self) {
        self.0.wait().unwrap();
    }

    /// Lets it stand still until it is let go on.
    pub fn stop(&self, stands_still: bool) {
        let signal = if stands_still {
            Signal::STOP
        } else {
            Signal::CONT
        };
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        Pid::from_child(&self.0).as_raw_nonzero().get()
    }

    /// Ends it as a power switch would, and waits until it is gone.
    pub fn kill(&mut self) {
        let _gone_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
