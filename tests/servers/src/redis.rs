//! One Redis server, or a [`cluster`].

pub mod cluster;
mod sync_recorder;

use crate::machine::{self, ServerProcess};
use semel_redis::RedisStore;
use semel_store::ServerAddress;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use sync_recorder::SyncRecorder;
use tempfile::TempDir;

/// The settings that a ledger requires: each write is synced to the append-only file before its
/// reply.
pub const LEDGER_SETTINGS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A running server, which is killed when this value is dropped.
pub struct RedisServer {
    process: ServerProcess,
    pub port: u16,
    folder: TempDir,
    sync_recorder: Option<SyncRecorder>,
}

impl RedisServer {
    /// Starts a fresh server with [`LEDGER_SETTINGS`].
    pub fn start() -> Self {
        Self::start_with_settings(LEDGER_SETTINGS)
    }

    /// Starts a fresh server with exactly these settings.
    pub fn start_with_settings(settings: &[&str]) -> Self {
        Self::launch(machine::temporary_folder(), settings, None)
    }

    /// Starts a fresh server and records its syncs, for [`Self::lose_power_and_restart`].
    pub fn start_recording_syncs(settings: &[&str]) -> Self {
        let recorder = SyncRecorder::new();
        Self::launch(machine::temporary_folder(), settings, Some(recorder))
    }

    /// Starts a fresh server with [`LEDGER_SETTINGS`] and its data below `parent`.
    pub fn start_in_folder(parent: &Path) -> Self {
        Self::launch(TempDir::new_in(parent).unwrap(), LEDGER_SETTINGS, None)
    }

    fn launch(folder: TempDir, settings: &[&str], sync_recorder: Option<SyncRecorder>) -> Self {
        let port = machine::free_port();
        let server = Self {
            process: spawn_server(folder.path(), port, settings, sync_recorder.as_ref()),
            port,
            folder,
            sync_recorder,
        };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        machine::wait_until("the start of Redis", || {
            self.run_command(&["PING"]) == "PONG"
        });
    }

    /// Kills the server with `SIGKILL`. Its writes survive, synced or not: the operating system
    /// still has them.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again, on the same port and data, after [`Self::kill`].
    pub fn restart(&mut self, settings: &[&str]) {
        self.process = spawn_server(
            self.folder.path(),
            self.port,
            settings,
            self.sync_recorder.as_ref(),
        );
        self.wait_until_ready();
    }

    pub fn kill_and_restart(&mut self, settings: &[&str]) {
        self.kill();
        self.restart(settings);
    }

    /// Simulates a power failure: kills the server, truncates its append-only files to what was
    /// synced, and restarts.
    pub fn lose_power_and_restart(&mut self, settings: &[&str]) {
        self.kill();
        let recorder = self
            .sync_recorder
            .as_ref()
            .expect("a server started with `start_recording_syncs`");
        recorder.truncate_unsynced(&self.folder.path().join("appendonlydir"));
        self.restart(settings);
    }

    /// Suspends the server with `SIGSTOP`: its connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Continues a paused server with `SIGCONT`.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Limits the size of each file that the server may write, so that writes fail as on a full
    /// disk.
    ///
    /// `None` lifts the limit.
    pub fn limit_file_size(&self, bytes: Option<u64>) {
        let mut prlimit = Command::new("prlimit");
        machine::limit_file_size(&mut prlimit, self.process.process_id(), bytes);
    }

    /// Waits until the server ends by itself.
    pub fn wait_for_exit(&mut self) {
        self.process.wait_for_exit();
    }

    /// The folder of the server's data, for tests that damage it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client program such as `redis-benchmark`, with the argument for this server's port.
    pub fn client_command(&self, program: &str) -> Command {
        let mut command = redis_program(program);
        command.args(["-p", &self.port.to_string()]);
        command
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> ServerAddress {
        ServerAddress::new(self.url())
    }

    /// Creates a ledger in the server.
    pub async fn create_ledger(&self) -> ServerAddress {
        RedisStore::set_up(&self.address()).await.unwrap();
        self.address()
    }

    /// Runs a Redis command, and returns its reply as `redis-cli` prints it.
    pub fn run_command(&self, command: &[&str]) -> String {
        let output = self
            .client_command("redis-cli")
            .args(command)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn spawn_server(
    folder: &Path,
    port: u16,
    settings: &[&str],
    sync_recorder: Option<&SyncRecorder>,
) -> ServerProcess {
    let mut command = ignore_file_size_signal(&redis_program("redis-server"));
    if let Some(recorder) = sync_recorder {
        recorder.attach(&mut command);
    }
    command
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            // No snapshots, which would keep unsynced writes across a simulated power failure.
            "--save",
            "",
            "--dir",
        ])
        .arg(folder)
        .args(settings);
    ServerProcess::spawn(&mut command)
}

/// Wraps a command so that it ignores `SIGXFSZ`: a write past the limit then fails, as on a full
/// disk.
///
/// Without this the signal would end the server.
fn ignore_file_size_signal(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program.get_program());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

/// A program of Redis: the one that `cargo xtask servers` unpacked, else the one installed.
fn redis_program(name: &str) -> Command {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/usr");
    let program = unpacked.join("bin").join(name);
    if program.exists() {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", library_folder(&unpacked));
        return command;
    }
    let installed = Command::new(name).arg("--version").output();
    assert!(
        installed.is_ok(),
        "there is no `{name}`: run `cargo xtask servers`"
    );
    Command::new(name)
}

/// The libraries of the unpacked packages: in a folder named after the architecture, such as
/// `x86_64-linux-gnu`.
fn library_folder(unpacked: &Path) -> PathBuf {
    std::fs::read_dir(unpacked.join("lib"))
        .unwrap()
        .filter_map(|folder| Some(folder.ok()?.path()))
        .find(|folder| folder.join("liblzf.so.1").exists())
        .unwrap_or_default()
}
