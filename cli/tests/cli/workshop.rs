//! A folder with a ledger, a configuration and a counter, and `semel` run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// `charge`: one charge an order, the amount is its content.
pub(crate) const CHARGE: &str = r#"
[[tool]]
match = "charge"
policy = "intent"
[tool.settings]
identity = ["order"]
content = ["amount"]
handles = ["charge/{/id}"]
verdict = [
  { when = { exit = 3 }, effect = "refused", reason = "declined" },
  { when = { exit = 4 }, effect = "absent", reason = "not now" },
]
"#;

/// `pay`: as `charge`, at a system that replays the first answer under the same key.
pub(crate) const PAY: &str = r#"
[[tool]]
match = "pay"
policy = "intent"
[tool.settings]
identity = ["order"]
target = { argument = "/idempotency_key", repeats = "replayed", remembers = "24h" }
"#;

/// The beginning of a script that counts its effects.
pub(crate) const EFFECT: &str = "echo $SEMEL_ATTEMPT $SEMEL_KEY >> effects; ";

pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub(crate) fn new(config: &str) -> Self {
        let workshop = Self {
            folder: TempDir::new().unwrap(),
        };
        workshop.write(
            "semel.toml",
            &format!("[ledger]\nurl = \"sqlite:ledger.sqlite\"\n{config}"),
        );
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The number of effects.
    pub(crate) fn effects(&self) -> usize {
        self.read("effects").lines().count()
    }

    /// `semel` with these arguments, in this folder and without settings from the environment.
    pub(crate) fn semel(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_semel"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SEMEL") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path());
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        // The ready-made policies are compiled once for all tests.
        command.env(
            "SEMEL_CACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"),
        );
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::from(self.semel(arguments).output().unwrap())
    }

    /// `semel exec` of a script for the shell.
    pub(crate) fn exec_command(
        &self,
        tool: &str,
        args: &str,
        options: &[&str],
        script: &str,
    ) -> Command {
        let mut words = vec!["exec", "--tool", tool, "--args", args];
        words.extend(options);
        words.extend(["--", "sh", "-c", script]);
        self.semel(&words)
    }

    pub(crate) fn exec(&self, tool: &str, args: &str, script: &str) -> CommandOutput {
        self.exec_with(tool, args, &[], script)
    }

    pub(crate) fn exec_with(
        &self,
        tool: &str,
        args: &str,
        options: &[&str],
        script: &str,
    ) -> CommandOutput {
        CommandOutput::from(
            self.exec_command(tool, args, options, script)
                .output()
                .unwrap(),
        )
    }

    /// Starts one, to be watched or ended.
    pub(crate) fn start(&self, tool: &str, args: &str, options: &[&str], script: &str) -> Child {
        let mut command = self.exec_command(tool, args, options, script);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until this file has something in it.
    pub(crate) fn wait_for(&self, name: &str) {
        wait_until(|| !self.read(name).is_empty(), &self.path(name));
    }

    /// The keys that `ledger list` shows.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.run(&["ledger", "list"]);
        listed
            .stdout
            .lines()
            .map(|line| line.split('\t').next().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn wait_until(mut done: impl FnMut() -> bool, what: &Path) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited in vain for {}",
            what.display()
        );
        sleep(Duration::from_millis(10));
    }
}

/// The output of a finished command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stderr: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            bytes: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl CommandOutput {
    /// Ended with this exit code and a message that contains this.
    #[track_caller]
    pub(crate) fn assert_message(&self, exit: i32, message: &str) {
        assert_eq!(self.exit, exit, "{self:?}");
        assert!(
            self.stderr.contains(message),
            "`{message}` is not in {self:?}"
        );
    }

    #[track_caller]
    pub(crate) fn assert_stdout(&self, exit: i32, stdout: &str) {
        assert_eq!(
            (self.exit, self.stdout.as_str()),
            (exit, stdout),
            "{self:?}"
        );
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
