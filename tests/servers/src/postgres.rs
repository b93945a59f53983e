//! PostgreSQL servers: made in a folder of their own, on a port of their own, as a user who may not do everything.

use crate::machine::{self, Running};
use semel::store::{PostgresSetup, PostgresStore, Server, SetUp};
use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The user who is made with a server, and may do everything in it.
pub const OWNER: &str = "owner";

/// A server that runs.
pub struct Postgres {
    process: Running,
    pub port: u16,
    folder: TempDir,
}

impl Postgres {
    /// A fresh server.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A fresh server with these settings.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_on(TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap(), settings)
    }

    /// The same on the disk of this folder, which all users may enter.
    pub fn start_in(folder: &Path, settings: &[&str]) -> Self {
        Self::start_on(TempDir::new_in(folder).unwrap(), settings)
    }

    fn start_on(folder: TempDir, settings: &[&str]) -> Self {
        give_away(folder.path());
        let made = tool("initdb")
            .args(["--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--auth=trust"])
            .args(["--username", OWNER, "--pgdata"])
            .arg(data(&folder))
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Self::serve(folder, settings)
    }

    fn serve(folder: TempDir, settings: &[&str]) -> Self {
        let port = machine::free_port();
        let process = serve(&folder, port, settings);
        let server = Self { process, port, folder };
        server.wait();
        server
    }

    /// Ends it at once, as a crash of the server does, and starts it again.
    pub fn crash_and_start(&mut self, settings: &[&str]) {
        self.stop("immediate");
        self.process = serve(&self.folder, self.port, settings);
        self.wait();
    }

    pub fn stop(&mut self, how: &str) {
        let stopped =
            tool("pg_ctl").args(["stop", "--mode", how, "--pgdata"]).arg(data(&self.folder)).output().unwrap();
        assert!(stopped.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&stopped.stderr));
        self.process.wait();
    }

    fn wait(&self) {
        machine::until("the start of PostgreSQL", || {
            let port = self.port.to_string();
            let asked =
                tool("pg_isready").args(["--host", "127.0.0.1", "--port", &port]).stdout(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        });
    }

    /// The URL of a database, for its owner.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// One of its client programs, which connects as the owner.
    pub fn client(&self, name: &str) -> Command {
        let mut command = tool(name);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", OWNER]);
        command
    }

    /// Runs SQL as the owner, and tells what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let asked = self
            .client("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
            .args(["--dbname", database, "--command", sql])
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).trim().to_owned()
    }

    /// A database of this name with a ledger in it.
    pub async fn ledger(&self, database: &str) -> Server {
        self.ledger_with(database, &PostgresSetup::default()).await
    }

    /// The same, made so.
    pub async fn ledger_with(&self, database: &str, setup: &PostgresSetup) -> Server {
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
        let server = Server::at(self.url(database));
        assert_eq!(PostgresStore::set_up(&server, setup).await, Ok(SetUp::Made));
        server
    }

    /// A second server that follows this one.
    pub fn standby(&self) -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        give_away(folder.path());
        let copied = tool("pg_basebackup")
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", OWNER])
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"])
            .arg(data(&folder))
            .output()
            .unwrap();
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        Self::serve(folder, &[])
    }

    /// Lets a standby take over.
    pub fn promote(&self) {
        let promoted = tool("pg_ctl").args(["promote", "--wait", "--pgdata"]).arg(data(&self.folder)).output().unwrap();
        assert!(promoted.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&promoted.stderr));
    }
}

fn serve(folder: &TempDir, port: u16, settings: &[&str]) -> Running {
    let mut command = tool("postgres");
    command.arg("-D").arg(data(folder)).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    Running::start(&mut command)
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// One of the server's programs, as a user who is not root, with whom they will have nothing to do.
fn tool(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    command.current_dir("/").env_remove("PGDATA").env_remove("PGHOST");
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command
}

/// Where Debian has them, of the newest version.
fn programs() -> PathBuf {
    let mut found: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL's server programs are missing: `apt-get install postgresql`")
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL's server programs are missing: `apt-get install postgresql`")
}

/// Whom to be instead of root: the one whom Debian made for it, else nobody.
fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find(|line| line.starts_with("postgres:"));
    let mut numbers = found.unwrap_or_default().split(':').skip(2).map(|number| number.parse().ok());
    Some((numbers.next().flatten().unwrap_or(65_534), numbers.next().flatten().unwrap_or(65_534)))
}

fn give_away(folder: &Path) {
    if let Some((user, group)) = other_user() {
        chown(folder, Some(user), Some(group)).unwrap();
    }
}
