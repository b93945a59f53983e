//! MCP clients and servers of other authors, and the commands that start them.

use semel_servers::machine::free_port;
use std::{
    ffi::OsString,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

/// The time limit for a server to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(60);

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn installed(path: &str) -> PathBuf {
    let path = workspace().join("target/mcp-peers").join(path);
    assert!(
        path.exists(),
        "`{}` is not installed: run `cargo xtask mcp-peers`",
        path.display()
    );
    path
}

/// A script of ours for one of them.
pub fn script(name: &str) -> OsString {
    workspace().join("tests/mcp").join(name).into()
}

/// The Python in which agent frameworks are installed.
pub fn agents_python() -> PathBuf {
    installed("agents/bin/python")
}

/// The built `semel`. It lies beside the folder of this test.
pub fn semel() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.ancestors().nth(2).unwrap().join("semel");
    assert!(
        path.is_file(),
        "there is no `{}`: run `cargo build --workspace`",
        path.display()
    );
    path
}

/// The protocol versions that a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpokenVersions {
    Older,
    Newer,
    /// A client tries the newer one first; a server answers as it is asked.
    Both,
}

/// The library of a client, with its protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// `@modelcontextprotocol/sdk`, which speaks the older era alone.
    Sdk,
    /// `@modelcontextprotocol/client`.
    Node(SpokenVersions),
    /// `mcp` of PyPI.
    Python(SpokenVersions),
}

impl Library {
    pub fn speaks(self) -> SpokenVersions {
        match self {
            Self::Sdk => SpokenVersions::Older,
            Self::Node(speaks) | Self::Python(speaks) => speaks,
        }
    }

    /// The same library that speaks something else; where it cannot, its successor.
    pub fn speaking(self, speaks: SpokenVersions) -> Self {
        match self {
            Self::Sdk if speaks == SpokenVersions::Older => self,
            Self::Sdk | Self::Node(_) => Self::Node(speaks),
            Self::Python(_) => Self::Python(speaks),
        }
    }

    /// Returns the command that runs a script, `tools` or `everything`.
    fn script(self, name: &str) -> Vec<OsString> {
        let node = |words: [&str; 2]| {
            let script = ["node".into(), script(&format!("{name}.mjs"))];
            script
                .into_iter()
                .chain(words.map(OsString::from))
                .collect()
        };
        match self {
            Self::Sdk => node(["sdk", "legacy"]),
            Self::Node(SpokenVersions::Older) => node(["client", "legacy"]),
            Self::Node(SpokenVersions::Newer) => node(["client", "modern"]),
            Self::Node(SpokenVersions::Both) => node(["client", "auto"]),
            Self::Python(speaks) => {
                // Pinned to the newer era, it asks a server nothing before its first request.
                let mode = if speaks == SpokenVersions::Older {
                    "legacy"
                } else {
                    "auto"
                };
                vec![
                    installed("py/bin/python").into(),
                    script(&format!("{name}.py")),
                    mode.into(),
                ]
            }
        }
    }
}

/// A client, without the server that it is to talk to.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// All features of `server-everything`.
    Everything(Library),
    /// These calls of tools, after all lists.
    Tools(Library, &'static str),
    /// One call from the command line of the Inspector.
    Inspector(&'static [&'static str]),
}

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Everything,
    Filesystem,
    Memory,
    /// By the library that speaks both eras: `serve` or `reject` says what it does with the older one.
    BothEras(&'static str),
    FastMcp,
}

impl Server {
    pub fn speaks(self) -> SpokenVersions {
        match self {
            Self::Everything | Self::Filesystem | Self::Memory => SpokenVersions::Older,
            Self::BothEras("reject") => SpokenVersions::Newer,
            Self::BothEras(_) | Self::FastMcp => SpokenVersions::Both,
        }
    }

    /// The command that starts it, for files in this folder.
    pub fn command(self, folder: &Path) -> Vec<OsString> {
        let node = |name: &str| {
            vec![
                "node".into(),
                npm(&format!("@modelcontextprotocol/{name}/dist/index.js")).into(),
            ]
        };
        match self {
            Self::Everything => node("server-everything"),
            Self::Filesystem => [node("server-filesystem"), vec![folder.into()]].concat(),
            Self::Memory => node("server-memory"),
            Self::BothEras(older) => vec!["node".into(), script("both_eras.mjs"), older.into()],
            Self::FastMcp => vec![installed("py/bin/python").into(), script("fast.py")],
        }
    }

    /// The command that has it listen at this port.
    pub fn listening(self, port: u16) -> Command {
        let more = match self {
            Self::Everything => "streamableHttp".to_owned(),
            Self::BothEras(_) | Self::FastMcp => port.to_string(),
            Self::Filesystem | Self::Memory => panic!("{self:?} has only standard streams"),
        };
        let mut command = command(&self.command(Path::new("/")));
        command.arg(more).env("PORT", port.to_string());
        command
    }
}

/// A command of these words.
pub fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// The server that the conformance suite asks for, at this port.
pub fn conforming(port: u16) -> Command {
    command(&[
        "node".into(),
        script("conforming.mjs"),
        port.to_string().into(),
    ])
}

/// The conformance suite, against the server at an address.
pub fn conformance() -> Command {
    let modules = installed("conformance/node_modules");
    let node = ["x64", "arm64"].map(|of| modules.join(format!("node-linux-{of}/bin/node")));
    let node = node
        .into_iter()
        .find(|node| node.exists())
        .expect("the Node that the suite needs, for this machine");
    let suite = modules.join("@modelcontextprotocol/conformance/dist/index.js");
    command(&[
        node.into(),
        suite.into(),
        "server".into(),
        "--suite".into(),
        "all".into(),
    ])
}

/// A process that listens, until this is dropped.
pub struct ListeningProcess {
    process: Child,
    /// Where.
    pub url: String,
}

impl ListeningProcess {
    /// Starts what listens at the port that it is given.
    pub fn start(at: impl Fn(u16) -> Command) -> Self {
        loop {
            // If another process took the port first, this one says so and ends: try another port.
            let port = free_port();
            let process = at(port).spawn().unwrap();
            let mut listening = Self {
                process,
                url: format!("http://127.0.0.1:{port}/mcp"),
            };
            if listening.comes_up(port) {
                return listening;
            }
        }
    }

    fn comes_up(&mut self, port: u16) -> bool {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            assert!(
                begun.elapsed() < LISTENS_WITHIN,
                "nothing listens at {}",
                self.url
            );
            sleep(Duration::from_millis(20));
        }
        false
    }

    /// Ends the process without a word.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for ListeningProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn npm(path: &str) -> PathBuf {
    installed(&format!("npm/node_modules/{path}"))
}

impl Client {
    /// The command that starts it, for files in this folder, with a server's command or address.
    pub fn command(self, folder: &Path, target: Vec<OsString>) -> Vec<OsString> {
        match self {
            Self::Everything(library) => [library.script("everything"), target].concat(),
            Self::Tools(library, calls) => {
                let calls = file(folder, "calls.json", calls).into();
                [library.script("tools"), vec![calls], target].concat()
            }
            Self::Inspector(words) => inspector(target, words),
        }
    }

    pub fn speaks(self) -> SpokenVersions {
        match self {
            Self::Everything(library) | Self::Tools(library, _) => library.speaks(),
            Self::Inspector(_) => SpokenVersions::Older,
        }
    }

    /// The same client that speaks something else.
    pub fn speaking(self, speaks: SpokenVersions) -> Self {
        match self {
            Self::Everything(library) => Self::Everything(library.speaking(speaks)),
            Self::Tools(library, calls) => Self::Tools(library.speaking(speaks), calls),
            Self::Inspector(_) => self,
        }
    }
}

/// Its own options come first, because it takes the first `--` for itself.
fn inspector(target: Vec<OsString>, words: &[&str]) -> Vec<OsString> {
    let launcher = npm("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let words = words.iter().map(OsString::from);
    let line = ["node".into(), launcher.into(), "--cli".into()]
        .into_iter()
        .chain(words)
        .chain(["--".into()]);
    line.chain(target).collect()
}

/// A file with this text, in which `{folder}` is its folder.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.parent().unwrap().join(name);
    std::fs::write(&path, text.replace("{folder}", folder.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Gives both runs the same environment: a ledger and files of this run, no user's configuration,
/// and a shared code cache.
pub fn surround(command: &mut Command, scratch: &Path) {
    command
        .env("NODE_PATH", installed("npm/node_modules"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(
            "SEMEL_LEDGER",
            format!("sqlite:{}", scratch.join("ledger.db").display()),
        )
        .env(
            "SEMEL_CACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"),
        )
        .env("MEMORY_FILE_PATH", scratch.join("memory.json"))
        .env("XDG_CONFIG_HOME", scratch)
        // Some clients start a server without all other variables: it must not use the ledger of this machine's user.
        .env("HOME", scratch)
        .env_remove("SEMEL_CONFIG")
        .env_remove("RUST_LOG");
}
