//! Redis servers: in a folder of their own, on a port of their own; alone, or as a cluster.

pub mod cluster;
mod synced;

use crate::machine::{self, Running};
use semel_redis::RedisStore;
use semel_store::ServerAddress;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use synced::Syncs;
use tempfile::TempDir;

/// What a ledger needs of a server.
pub const FIT: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A server that runs.
pub struct Redis {
    process: Running,
    pub port: u16,
    folder: TempDir,
    syncs: Option<Syncs>,
}

impl Redis {
    /// A fresh server that is fit for a ledger.
    pub fn start() -> Self {
        Self::start_with(FIT)
    }

    /// A fresh server with these settings.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::serve(settings, None)
    }

    /// A fresh server of which it is known what it has synced: for [`Self::cut_power_and_start`].
    pub fn start_watched(settings: &[&str]) -> Self {
        Self::serve(settings, Some(Syncs::new()))
    }

    /// A fresh server that is fit for a ledger, on the disk of this folder.
    pub fn start_in(folder: &Path) -> Self {
        Self::serve_in(TempDir::new_in(folder).unwrap(), FIT, None)
    }

    fn serve(settings: &[&str], syncs: Option<Syncs>) -> Self {
        Self::serve_in(
            TempDir::new_in("/dev/shm")
                .or_else(|_| TempDir::new())
                .unwrap(),
            settings,
            syncs,
        )
    }

    fn serve_in(folder: TempDir, settings: &[&str], syncs: Option<Syncs>) -> Self {
        let port = machine::free_port();
        let server = Self {
            process: serve(folder.path(), port, settings, syncs.as_ref()),
            port,
            folder,
            syncs,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        machine::until("the start of Redis", || self.cli(&["PING"]) == "PONG");
    }

    /// Ends it by a signal that it does not hear, and starts it again where it was: what it wrote is still there, for the
    /// operating system did not end.
    pub fn kill_and_start(&mut self, settings: &[&str]) {
        self.kill();
        self.start_again(settings);
    }

    /// Ends it as a power switch would, and starts it again: of its append-only file there is no more than was synced.
    pub fn cut_power_and_start(&mut self, settings: &[&str]) {
        self.kill();
        let syncs = self
            .syncs
            .as_ref()
            .expect("a server that was started watched");
        syncs.drop_the_rest(&self.folder.path().join("appendonlydir"));
        self.start_again(settings);
    }

    /// Ends it by a signal that it does not hear.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets it stand still until it is let go on.
    pub fn stop(&self, stands_still: bool) {
        self.process.stop(stands_still);
    }

    /// Starts it again where it was, after [`Self::kill`].
    pub fn start_again(&mut self, settings: &[&str]) {
        self.process = serve(self.folder.path(), self.port, settings, self.syncs.as_ref());
        self.wait();
    }

    /// The kernel refuses to write any file of the server past this size, as it does past the end of a disk; none: there is
    /// room again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        machine::limit_files(&mut Command::new("prlimit"), self.process.pid(), bytes);
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_its_end(&mut self) {
        self.process.wait();
    }

    /// Its folder, for whoever spoils what lies there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One of its client programs.
    pub fn client(&self, name: &str) -> Command {
        let mut command = program(name);
        command.args(["-p", &self.port.to_string()]);
        command
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn server(&self) -> ServerAddress {
        ServerAddress::new(self.url())
    }

    /// The server, with a ledger in it.
    pub async fn ledger(&self) -> ServerAddress {
        RedisStore::set_up(&self.server()).await.unwrap();
        self.server()
    }

    /// What the server answers to a command, as its own client shows it.
    pub fn cli(&self, command: &[&str]) -> String {
        let asked = self.client("redis-cli").args(command).output().unwrap();
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }
}

fn serve(folder: &Path, port: u16, settings: &[&str], syncs: Option<&Syncs>) -> Running {
    let mut command = deaf_to_full_disks(&program("redis-server"));
    if let Some(syncs) = syncs {
        syncs.listen(&mut command);
    }
    command
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
        ])
        .arg(folder)
        .args(settings);
    Running::start(&mut command)
}

/// A write that the kernel refuses is an error to it, as one past the end of a disk is, and no signal.
fn deaf_to_full_disks(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program.get_program());
    command.envs(
        program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command
}

/// One of the server's programs: as it was unpacked for the tests, or as it is installed.
fn program(name: &str) -> Command {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/usr");
    let program = unpacked.join("bin").join(name);
    if program.exists() {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", libraries(&unpacked));
        return command;
    }
    let installed = Command::new(name).arg("--version").output();
    assert!(
        installed.is_ok(),
        "there is no `{name}`: run `cargo xtask servers`"
    );
    Command::new(name)
}

/// Where Debian's packages have their libraries: in a folder named after the machine's kind.
fn libraries(unpacked: &Path) -> PathBuf {
    let kinds = std::fs::read_dir(unpacked.join("lib"))
        .unwrap()
        .filter_map(|kind| Some(kind.ok()?.path()));
    kinds
        .into_iter()
        .find(|kind| kind.join("liblzf.so.1").exists())
        .unwrap_or_default()
}
