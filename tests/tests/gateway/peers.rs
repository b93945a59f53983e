//! MCP clients and servers that nobody here wrote, and what a client hears with and without the gateway.

use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};
use tempfile::TempDir;

/// How long one script may take.
const SCRIPT_SECONDS: u64 = 120;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn installed(path: &str) -> PathBuf {
    let path = workspace().join("target/mcp-peers").join(path);
    assert!(path.exists(), "`{}` is not installed: run `cargo xtask mcp-peers`", path.display());
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
    assert!(path.is_file(), "there is no `{}`: run `cargo build --workspace`", path.display());
    path
}

/// A client, without the server that it is to talk to.
pub enum Client {
    /// All features of `server-everything`, by a library and an era.
    Everything(&'static str, &'static str),
    /// These calls of tools after all lists, by the libraries of TypeScript.
    Node(&'static str, &'static str, &'static str),
    /// The same by the library of Python.
    Python(&'static str, &'static str),
    /// One call from the command line of the Inspector.
    Inspector(&'static [&'static str]),
}

/// A server.
#[derive(Clone, Copy)]
pub enum Server {
    Everything,
    Filesystem,
    Memory,
    /// By the library that speaks both eras: `serve` or `reject` says what it does with the older one.
    BothEras(&'static str),
    FastMcp,
}

impl Server {
    /// The command that starts it, for files in this folder.
    fn command(self, folder: &Path) -> Vec<OsString> {
        let node = |name: &str| vec!["node".into(), npm(&format!("@modelcontextprotocol/{name}/dist/index.js")).into()];
        match self {
            Self::Everything => node("server-everything"),
            Self::Filesystem => [node("server-filesystem"), vec![folder.into()]].concat(),
            Self::Memory => node("server-memory"),
            Self::BothEras(older) => vec!["node".into(), script("both_eras.mjs"), older.into()],
            Self::FastMcp => vec![installed("py/bin/python").into(), script("fast.py")],
        }
    }
}

fn npm(path: &str) -> PathBuf {
    installed(&format!("npm/node_modules/{path}"))
}

impl Client {
    fn command(&self, folder: &Path, target: Vec<OsString>) -> Vec<OsString> {
        let node = |name: &str, words: &[&str]| {
            let words = words.iter().map(OsString::from);
            ["node".into(), script(name)].into_iter().chain(words).chain(target.clone()).collect()
        };
        match self {
            Self::Everything(library, era) => node("everything.mjs", &[library, era]),
            Self::Node(library, era, calls) => node("tools.mjs", &[library, era, &file(folder, "calls.json", calls)]),
            Self::Python(mode, calls) => {
                let calls = file(folder, "calls.json", calls);
                let words = [installed("py/bin/python").into(), script("tools.py"), mode.into(), calls.into()];
                words.into_iter().chain(target).collect()
            }
            Self::Inspector(words) => inspector(folder, &target, words),
        }
    }
}

/// From a configuration, as clients have it: the Inspector takes every `--` of a command line for its own.
fn inspector(folder: &Path, target: &[OsString], words: &[&str]) -> Vec<OsString> {
    let target: Vec<_> = target.iter().map(|word| word.to_str().unwrap()).collect();
    let servers = json!({ "mcpServers": { "tried": { "command": target[0], "args": &target[1..] } } });
    let config = file(folder, "mcp.json", &servers.to_string());
    let launcher = npm("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let line = ["--cli", "--config", &config, "--server", "tried"].map(OsString::from);
    let words = words.iter().map(OsString::from);
    ["node".into(), launcher.into()].into_iter().chain(line).chain(words).collect()
}

/// A file with this text, in which `{folder}` is its folder.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.parent().unwrap().join(name);
    std::fs::write(&path, text.replace("{folder}", folder.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a client printed: a line for each step.
pub struct Transcript(Vec<Value>);

/// The same client with the same server, bare and through the gateway. Each run has a folder of its own in which the same
/// files lie, called the same.
pub fn both(client: &Client, server: Server) -> (Transcript, Transcript) {
    thread::scope(|scope| {
        let bare = scope.spawn(|| run(client, server, false));
        let through = run(client, server, true);
        (bare.join().unwrap(), through)
    })
}

fn run(client: &Client, server: Server, through: bool) -> Transcript {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path().join("files");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("one.txt"), "the first\nthe second\n").unwrap();
    let mut target = server.command(&folder);
    if through {
        target.splice(0..0, [semel().into(), "mcp".into(), "--".into()]);
    }
    let line = client.command(&folder, target);
    let mut command = Command::new("timeout");
    command.arg(SCRIPT_SECONDS.to_string()).args(&line).current_dir(&folder);
    surround(&mut command, scratch.path());
    let talk = scratch.path().join("talk");
    let output = command.stdin(Stdio::null()).stderr(File::create(&talk).unwrap()).output().unwrap();
    let talk = std::fs::read_to_string(talk).unwrap();
    assert!(output.status.success(), "{line:?} failed with {}: {talk}", output.status);
    let printed = String::from_utf8(output.stdout).unwrap().replace(scratch.path().to_str().unwrap(), "(scratch)");
    Transcript::read(&printed)
}

/// The same surroundings for both: a ledger and files of this run, nobody's configuration, code that is compiled once.
pub fn surround(command: &mut Command, scratch: &Path) {
    command
        .env("NODE_PATH", installed("npm/node_modules"))
        .env("SEMEL_LEDGER", format!("sqlite:{}", scratch.join("ledger.db").display()))
        .env("SEMEL_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"))
        .env("MEMORY_FILE_PATH", scratch.join("memory.json"))
        .env("XDG_CONFIG_HOME", scratch)
        .env_remove("SEMEL_CONFIG")
        .env_remove("RUST_LOG");
}

impl Transcript {
    /// Lines of steps; whatever is none is one step by itself.
    fn read(printed: &str) -> Self {
        let steps: Result<Vec<Value>, _> = printed.lines().map(serde_json::from_str).collect();
        match steps {
            Ok(steps) if steps.iter().all(|step| step.get("step").is_some()) => Self(steps),
            _ => Self(vec![json!({ "step": "printed", "came": printed, "semel": [] })]),
        }
    }

    /// The words of the gateway's answers to the steps that begin so.
    pub fn answers(&self, step: &str) -> Vec<String> {
        let steps = self.0.iter().filter(|one| one["step"].as_str().unwrap().starts_with(step));
        let added = steps.flat_map(|one| one["semel"].as_array().unwrap());
        let answers = added.filter(|added| added[0] == "dev.semel/answer");
        answers.map(|answer| answer[1].as_str().unwrap().to_owned()).collect()
    }

    /// Everything is as it was heard without the gateway, but for what the gateway adds of its own. Of the steps in `doubted` the
    /// server's own words must be there: it said that it failed, so it is in doubt, and the gateway says so besides.
    pub fn is_as(&self, bare: &Self, doubted: &[&str]) {
        assert!(bare.0.len() > 3 || bare.0[0]["step"] == "printed", "nothing was played: {:?}", bare.0);
        for (through, bare) in self.0.iter().zip(&bare.0) {
            let step = bare["step"].as_str().unwrap();
            if doubted.iter().any(|doubted| step.contains(doubted)) {
                let words = &bare["came"]["content"][0];
                let mut told = through["came"]["content"].as_array().unwrap().iter();
                assert!(told.any(|part| part == words), "{words} is not told by {through:#}");
            } else {
                assert_eq!((&through["came"], &through["heard"]), (&bare["came"], &bare["heard"]), "in `{step}`");
            }
        }
        assert_eq!(self.0.len(), bare.0.len(), "not all was played");
    }
}
