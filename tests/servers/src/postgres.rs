//! PostgreSQL servers: made in a folder of their own, on a port of their own, as a user who may not do everything.

use crate::machine::{self, Running};
use semel_postgres::{PostgresSetup, PostgresStore, SetupResult};
use semel_store::ServerAddress;
use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
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
        Self::start_on(
            TempDir::new_in("/dev/shm")
                .or_else(|_| TempDir::new())
                .unwrap(),
            settings,
        )
    }

    /// The same on the disk of this folder, which all users may enter.
    pub fn start_in(folder: &Path, settings: &[&str]) -> Self {
        Self::start_on(TempDir::new_in(folder).unwrap(), settings)
    }

    /// A fresh server that enciphers connections for whoever wants it, by this certificate and its key.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        let folder = Self::make(
            TempDir::new_in("/dev/shm")
                .or_else(|_| TempDir::new())
                .unwrap(),
        );
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = data(&folder).join(name);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            give_away(&to);
        }
        Self::serve(folder, &["ssl=on"])
    }

    fn start_on(folder: TempDir, settings: &[&str]) -> Self {
        Self::serve(Self::make(folder), settings)
    }

    fn make(folder: TempDir) -> TempDir {
        give_away(folder.path());
        let made = tool("initdb")
            .args([
                "--no-sync",
                "--no-instructions",
                "--locale=C",
                "--encoding=UTF8",
                "--auth=trust",
            ])
            .args(["--username", OWNER, "--pgdata"])
            .arg(data(&folder))
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        folder
    }

    fn serve(folder: TempDir, settings: &[&str]) -> Self {
        let port = machine::free_port();
        let process = serve(&folder, port, settings);
        let server = Self {
            process,
            port,
            folder,
        };
        server.wait();
        server
    }

    /// Ends it at once, as a crash of the server does, and starts it again.
    pub fn crash_and_start(&mut self, settings: &[&str]) {
        self.stop("immediate");
        self.start_again(settings);
    }

    /// Starts it again where it was, after it ended.
    pub fn start_again(&mut self, settings: &[&str]) {
        self.process = serve(&self.folder, self.port, settings);
        self.wait();
    }

    pub fn stop(&mut self, how: &str) {
        let stopped = tool("pg_ctl")
            .args(["stop", "--mode", how, "--pgdata"])
            .arg(data(&self.folder))
            .output()
            .unwrap();
        assert!(
            stopped.status.success(),
            "pg_ctl: {}",
            String::from_utf8_lossy(&stopped.stderr)
        );
        self.process.wait();
    }

    /// Waits until it answers nobody any more.
    pub fn wait_for_an_outage(&self) {
        machine::until("an outage", || {
            self.try_sql("postgres", "SELECT 1").is_err()
        });
    }

    fn wait(&self) {
        machine::until("the start of PostgreSQL", || {
            let port = self.port.to_string();
            let asked = tool("pg_isready")
                .args(["--host", "127.0.0.1", "--port", &port])
                .stdout(Stdio::null())
                .status();
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
        command.args([
            "--host",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--username",
            OWNER,
        ]);
        command
    }

    /// Runs SQL as the owner, and tells what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// The same, or what it complains of.
    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let asked = self
            .client("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set",
                "ON_ERROR_STOP=1",
            ])
            .args(["--dbname", database, "--command", sql])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if asked.status.success() {
            Ok(text(&asked.stdout))
        } else {
            Err(text(&asked.stderr))
        }
    }

    /// A database of this name with a ledger in it.
    pub async fn ledger(&self, database: &str) -> ServerAddress {
        self.ledger_with(database, &PostgresSetup::default()).await
    }

    /// The same, made so.
    pub async fn ledger_with(&self, database: &str, setup: &PostgresSetup) -> ServerAddress {
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
        let server = ServerAddress::new(self.url(database));
        assert_eq!(
            PostgresStore::set_up(&server, setup).await,
            Ok(SetupResult::Made)
        );
        server
    }

    /// Lets nobody in but as these lines of its `pg_hba.conf` say.
    pub fn admit(&self, lines: &[&str]) {
        fs::write(
            data(&self.folder).join("pg_hba.conf"),
            lines.join("\n") + "\n",
        )
        .unwrap();
        let signalled = tool("pg_ctl")
            .args(["reload", "--pgdata"])
            .arg(data(&self.folder))
            .output()
            .unwrap();
        assert!(
            signalled.status.success(),
            "pg_ctl: {}",
            String::from_utf8_lossy(&signalled.stderr)
        );
    }

    /// The processes that serve a ledger.
    pub fn backends(&self) -> Vec<i32> {
        self.pids("application_name LIKE 'semel%'")
    }

    /// Kills one of them, and waits until the server has ended the others, too, and serves again.
    pub fn kill_backend(&self) {
        let before = self.backends();
        before.first().copied().into_iter().for_each(machine::kill);
        machine::until("the recovery of PostgreSQL", || {
            self.try_sql("postgres", "SELECT pid FROM pg_stat_activity")
                .is_ok_and(|now| {
                    now.lines()
                        .all(|pid| !before.contains(&pid.parse().unwrap()))
                })
        });
    }

    /// None while it recovers.
    fn pids(&self, which: &str) -> Vec<i32> {
        let found = self.try_sql(
            "postgres",
            &format!("SELECT pid FROM pg_stat_activity WHERE {which}"),
        );
        found
            .unwrap_or_default()
            .lines()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// The kernel refuses to write any file of the server past this size, as it does past the end of a disk; none: there is
    /// room again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let others = self.pids("pid <> pg_backend_pid()");
        for pid in std::iter::once(self.process.pid()).chain(others) {
            machine::limit_files(&mut as_other_user("prlimit".as_ref()), pid, bytes);
        }
    }

    /// A second server that follows this one.
    pub fn standby(&self) -> Self {
        self.standby_by(self.port)
    }

    /// The same, by a wire to this one.
    pub fn standby_by(&self, port: u16) -> Self {
        let folder = TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .unwrap();
        give_away(folder.path());
        let copied = tool("pg_basebackup")
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--username",
                OWNER,
            ])
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "--pgdata",
            ])
            .arg(data(&folder))
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "pg_basebackup: {}",
            String::from_utf8_lossy(&copied.stderr)
        );
        Self::serve(folder, &[])
    }

    /// Lets a standby take over.
    pub fn promote(&self) {
        let promoted = tool("pg_ctl")
            .args(["promote", "--wait", "--pgdata"])
            .arg(data(&self.folder))
            .output()
            .unwrap();
        assert!(
            promoted.status.success(),
            "pg_ctl: {}",
            String::from_utf8_lossy(&promoted.stderr)
        );
    }
}

fn serve(folder: &TempDir, port: u16, settings: &[&str]) -> Running {
    let mut command = tool("postgres");
    command.arg("-D").arg(data(folder)).args([
        "-p",
        &port.to_string(),
        "-h",
        "127.0.0.1",
        "-k",
        "",
    ]);
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
    as_other_user(&programs().join(name))
}

fn as_other_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .env_remove("PGDATA")
        .env_remove("PGHOST");
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
    found
        .pop()
        .expect("PostgreSQL's server programs are missing: `apt-get install postgresql`")
}

/// Whom to be instead of root: the one whom Debian made for it, else nobody.
fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find(|line| line.starts_with("postgres:"));
    let mut numbers = found
        .unwrap_or_default()
        .split(':')
        .skip(2)
        .map(|number| number.parse().ok());
    Some((
        numbers.next().flatten().unwrap_or(65_534),
        numbers.next().flatten().unwrap_or(65_534),
    ))
}

fn give_away(folder: &Path) {
    if let Some((user, group)) = other_user() {
        chown(folder, Some(user), Some(group)).unwrap();
    }
}
