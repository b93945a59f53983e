//! One PostgreSQL server, or a primary with a standby, run as an unprivileged user.

use crate::machine::{self, ServerProcess};
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

/// The superuser of each server, and the owner of its databases.
pub const OWNER: &str = "owner";

/// The ID of Linux's unprivileged user and group.
const NOBODY: u32 = 65_534;

const MISSING: &str = "PostgreSQL's server programs are missing: `apt-get install postgresql`";

/// A running server, which is killed when this value is dropped.
pub struct PostgresServer {
    process: ServerProcess,
    pub port: u16,
    folder: TempDir,
}

impl PostgresServer {
    /// Starts a fresh server.
    pub fn start() -> Self {
        Self::start_with_settings(&[])
    }

    /// Starts a fresh server with settings such as `synchronous_commit=off`.
    pub fn start_with_settings(settings: &[&str]) -> Self {
        let folder = machine::temporary_folder();
        initialize_database(&folder);
        Self::launch(folder, settings)
    }

    /// Starts a fresh server with its data below `parent`, which every user must be able to enter.
    pub fn start_in_folder(parent: &Path, settings: &[&str]) -> Self {
        let folder = TempDir::new_in(parent).unwrap();
        initialize_database(&folder);
        Self::launch(folder, settings)
    }

    /// Starts a fresh server that accepts encrypted connections beside plain ones.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        let folder = machine::temporary_folder();
        initialize_database(&folder);
        for (source, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let copy = data_folder(&folder).join(name);
            fs::copy(source, &copy).unwrap();
            // PostgreSQL refuses a key that others can read.
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            give_to_server_user(&copy);
        }
        Self::launch(folder, &["ssl=on"])
    }

    fn launch(folder: TempDir, settings: &[&str]) -> Self {
        let port = machine::free_port();
        let process = spawn_server(&folder, port, settings);
        let server = Self {
            process,
            port,
            folder,
        };
        server.wait_until_ready();
        server
    }

    /// Crashes the server (`immediate` shutdown), so that the next start recovers from the
    /// write-ahead log.
    pub fn crash(&mut self) {
        machine::run_to_success(
            server_program("pg_ctl")
                .args(["stop", "--mode", "immediate", "--pgdata"])
                .arg(data_folder(&self.folder)),
        );
        self.process.wait_for_exit();
    }

    /// Starts the server again, on the same port and data, after [`Self::crash`].
    pub fn restart(&mut self, settings: &[&str]) {
        self.process = spawn_server(&self.folder, self.port, settings);
        self.wait_until_ready();
    }

    pub fn crash_and_restart(&mut self, settings: &[&str]) {
        self.crash();
        self.restart(settings);
    }

    /// Waits until the server answers no query.
    pub fn wait_until_down(&self) {
        machine::wait_until("an outage", || {
            self.try_run_sql("postgres", "SELECT 1").is_err()
        });
    }

    fn wait_until_ready(&self) {
        machine::wait_until("the start of PostgreSQL", || {
            let port = self.port.to_string();
            let status = server_program("pg_isready")
                .args(["--host", "127.0.0.1", "--port", &port])
                .stdout(Stdio::null())
                .status();
            status.is_ok_and(|status| status.success())
        });
    }

    /// The URL of a database, with [`OWNER`] as its user.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// A client program such as `pgbench`, with the arguments that connect it as [`OWNER`].
    pub fn client_command(&self, program: &str) -> Command {
        let mut command = server_program(program);
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

    /// Runs SQL as [`OWNER`], and returns the output of `psql` without headers.
    pub fn run_sql(&self, database: &str, sql: &str) -> String {
        self.try_run_sql(database, sql)
            .unwrap_or_else(|stderr| panic!("{sql}: {stderr}"))
    }

    /// Runs SQL as [`OWNER`]; the error is the standard error of `psql`.
    fn try_run_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self
            .client_command("psql")
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
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// Creates a database of this name with a ledger in it.
    pub async fn create_ledger(&self, database: &str) -> ServerAddress {
        self.create_ledger_with(database, &PostgresSetup::default())
            .await
    }

    /// Creates a database of this name with a ledger set up in this way.
    pub async fn create_ledger_with(&self, database: &str, setup: &PostgresSetup) -> ServerAddress {
        self.run_sql("postgres", &format!("CREATE DATABASE {database}"));
        let address = ServerAddress::new(self.url(database));
        assert_eq!(
            PostgresStore::set_up(&address, setup).await,
            Ok(SetupResult::Created)
        );
        address
    }

    /// Replaces the authentication rules (`pg_hba.conf`) with these lines.
    pub fn set_authentication(&self, lines: &[&str]) {
        let rules = data_folder(&self.folder).join("pg_hba.conf");
        fs::write(rules, lines.join("\n") + "\n").unwrap();
        machine::run_to_success(
            server_program("pg_ctl")
                .args(["reload", "--pgdata"])
                .arg(data_folder(&self.folder)),
        );
    }

    /// The process IDs of the backends that serve a ledger.
    pub fn ledger_backends(&self) -> Vec<i32> {
        self.backends_where("application_name LIKE 'semel%'")
    }

    /// Kills one ledger backend with `SIGKILL`, and waits until the server has recovered.
    ///
    /// PostgreSQL ends all other backends, too, since shared memory may be corrupt.
    pub fn kill_backend(&self) {
        let before = self.ledger_backends();
        if let Some(backend) = before.first() {
            machine::send_sigkill(*backend);
        }
        machine::wait_until("the recovery of PostgreSQL", || {
            self.try_run_sql("postgres", "SELECT pid FROM pg_stat_activity")
                .is_ok_and(|now| {
                    now.lines()
                        .all(|pid| !before.contains(&pid.parse().unwrap()))
                })
        });
    }

    /// The process IDs of the backends that match a condition; empty during recovery.
    fn backends_where(&self, condition: &str) -> Vec<i32> {
        let query = format!("SELECT pid FROM pg_stat_activity WHERE {condition}");
        let Ok(output) = self.try_run_sql("postgres", &query) else {
            return Vec::new();
        };
        output.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Limits the size of each file that the server may write, so that writes fail as on a full
    /// disk.
    ///
    /// `None` lifts the limit.
    pub fn limit_file_size(&self, bytes: Option<u64>) {
        let backends = self.backends_where("pid <> pg_backend_pid()");
        for process_id in std::iter::once(self.process.process_id()).chain(backends) {
            let mut prlimit = command_as_server_user("prlimit".as_ref());
            machine::limit_file_size(&mut prlimit, process_id, bytes);
        }
    }

    /// Starts a standby that replicates from this server through `port`: this server's own, or a
    /// proxy's.
    pub fn start_standby(&self, port: u16) -> Self {
        let folder = machine::temporary_folder();
        give_to_server_user(folder.path());
        machine::run_to_success(
            server_program("pg_basebackup")
                .args([
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                    "--username",
                    OWNER,
                ])
                .args([
                    // This makes the copy a standby; without it the copy would be a second primary.
                    "--write-recovery-conf",
                    "--checkpoint=fast",
                    "--no-sync",
                    "--pgdata",
                ])
                .arg(data_folder(&folder)),
        );
        Self::launch(folder, &[])
    }

    /// Promotes a standby to primary.
    pub fn promote(&self) {
        machine::run_to_success(
            server_program("pg_ctl")
                .args(["promote", "--wait", "--pgdata"])
                .arg(data_folder(&self.folder)),
        );
    }
}

/// Creates the data folder of a server (`initdb`).
fn initialize_database(folder: &TempDir) {
    give_to_server_user(folder.path());
    machine::run_to_success(
        server_program("initdb")
            .args([
                // Only the start is unsynced; the server itself syncs every commit.
                "--no-sync",
                "--no-instructions",
                "--locale=C",
                "--encoding=UTF8",
                "--auth=trust",
            ])
            .args(["--username", OWNER, "--pgdata"])
            .arg(data_folder(folder)),
    );
}

fn spawn_server(folder: &TempDir, port: u16, settings: &[&str]) -> ServerProcess {
    let mut command = server_program("postgres");
    command.arg("-D").arg(data_folder(folder)).args([
        "-p",
        &port.to_string(),
        "-h",
        "127.0.0.1",
        // No Unix socket: all connections are TCP.
        "-k",
        "",
    ]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    ServerProcess::spawn(&mut command)
}

fn data_folder(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// A program of the PostgreSQL installation, to be run as the server's user.
fn server_program(name: &str) -> Command {
    command_as_server_user(&program_folder().join(name))
}

/// A command that runs as an unprivileged user: PostgreSQL refuses to run as root.
fn command_as_server_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .env_remove("PGDATA")
        .env_remove("PGHOST");
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    command
}

/// The newest installation where Debian's packages put them.
fn program_folder() -> PathBuf {
    fs::read_dir("/usr/lib/postgresql")
        .expect(MISSING)
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .max()
        .expect(MISSING)
}

/// The user and group to run as in place of root: Debian's `postgres`, else [`NOBODY`].
///
/// `None`: the tests do not run as root, and the server runs as their user.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    // Fields of a line: name, password, user, group, and more.
    let mut ids = line.unwrap_or_default().split(':').skip(2);
    let mut next_id = || ids.next().and_then(|id| id.parse().ok()).unwrap_or(NOBODY);
    let user = next_id();
    let group = next_id();
    Some((user, group))
}

fn give_to_server_user(path: &Path) {
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}
