//! Ports, processes and signals of the machine on which the servers run.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::TcpListener,
    ops::Range,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The longest wait for a server to reach a state.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Ports below Linux's ephemeral range (32,768 and above), which the kernel assigns by itself.
const PORTS: Range<u16> = 10_000..32_000;

/// Returns a port of `127.0.0.1` on which nothing listens.
///
/// The kernel does not assign it to another process while a server is starting, or is down for a
/// while.
pub fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let offset = random % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + offset as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Polls a condition until it is true; panics after a minute with a message that names `awaited`.
pub fn wait_until(awaited: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "{awaited} takes too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Creates a temporary folder in memory where the machine has `/dev/shm`, else on disk.
pub(crate) fn temporary_folder() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

/// Runs a command to its end; panics with its output unless it succeeds.
pub(crate) fn run_to_success(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}{}",
        command.get_program().to_string_lossy(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Limits the size of each file that a process may write; `None` lifts the limit.
///
/// `prlimit` is the command to run, as the owner of the process: in some containers root may not
/// change the limit.
pub(crate) fn limit_file_size(prlimit: &mut Command, process_id: i32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let output = prlimit
        .args([
            "--pid",
            &process_id.to_string(),
            &format!("--fsize={limit}:unlimited"),
        ])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A backend of PostgreSQL may end between the listing and this call.
    assert!(
        output.status.success() || stderr.contains("No such process"),
        "prlimit: {stderr}"
    );
}

/// Kills a process with `SIGKILL`.
pub(crate) fn send_sigkill(process_id: i32) {
    kill_process(Pid::from_raw(process_id).unwrap(), Signal::KILL).unwrap();
}

/// A server's process, which is killed when this value is dropped.
pub(crate) struct ServerProcess(Child);

impl ServerProcess {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    pub(crate) fn wait_for_exit(&mut self) {
        self.0.wait().unwrap();
    }

    /// Suspends the process with `SIGSTOP`: its connections stay open, and nothing is answered.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.0), Signal::STOP).unwrap();
    }

    /// Continues a paused process with `SIGCONT`.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
    }

    pub(crate) fn process_id(&self) -> i32 {
        Pid::from_child(&self.0).as_raw_nonzero().get()
    }

    /// Kills the process with `SIGKILL`, and waits until it has ended.
    pub(crate) fn kill(&mut self) {
        let _ended_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
