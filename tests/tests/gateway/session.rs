//! A client of a server over the standard streams, directly or through the gateway, that gives up
//! and starts again as agents do; and the effects that the server counted.

use crate::peers;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// The client's way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Without the gateway.
    Bare,
    /// Through the gateway, with its guards off.
    Unguarded,
    Guarded,
}

/// The protocol as it was, and as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionGroup {
    Older,
    Newer,
}

/// A server with one fault, the file of its effects, and a ledger.
pub struct Scene {
    folder: TempDir,
    fault: String,
    /// More keys for `[defaults]`.
    defaults: &'static str,
}

impl Scene {
    pub fn with(fault: impl Into<String>) -> Self {
        let folder = TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .unwrap();
        Self {
            folder,
            fault: fault.into(),
            defaults: "",
        }
    }

    /// For clients that give up without a word, and sooner than others: what is answered later than this they did not take.
    pub fn taken_within_200_ms(self) -> Self {
        Self {
            defaults: "taken_within = \"200ms\"\n",
            ..self
        }
    }

    fn effects_file(&self) -> PathBuf {
        self.folder.path().join("effects")
    }

    /// The number of effects at the server.
    pub fn effects(&self) -> usize {
        std::fs::read_to_string(self.effects_file())
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// A client that begins now.
    pub fn client(&self, way: Route, era: VersionGroup) -> Client {
        self.client_that_hears(usize::MAX, way, era)
    }

    /// A client that closes its ear after so many messages; the first one is what it is greeted with.
    pub fn client_that_hears(&self, count: usize, way: Route, era: VersionGroup) -> Client {
        let command = self.command(way);
        Client::start(command, era, count)
    }

    /// The command that a client starts.
    pub fn command(&self, way: Route) -> Command {
        let server = env!("CARGO_BIN_EXE_counting_server");
        let mut command = match way {
            Route::Bare => Command::new(server),
            Route::Unguarded | Route::Guarded => {
                let mut command = Command::new(peers::semel());
                command
                    .args(["mcp", "--name", "counting"])
                    .args(self.config(way))
                    .arg("--")
                    .arg(server);
                command
            }
        };
        command.arg(self.effects_file()).arg(&self.fault);
        peers::surround(&mut command, self.folder.path());
        command
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self, way: Route) -> Vec<String> {
        let file = self.folder.path().join(format!("{way:?}.toml"));
        let mode = if way == Route::Unguarded {
            "mode = \"off\"\n"
        } else {
            ""
        };
        std::fs::write(&file, format!("[defaults]\n{mode}{}", self.defaults)).unwrap();
        vec!["--config".to_owned(), file.display().to_string()]
    }
}

/// The result of a call at the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// A result that is no error, with its text.
    Result(String),
    /// A result or an error that says that something is wrong, with all it says.
    Wrong(String),
    /// Nothing in time.
    Nothing,
    /// The server, or the gateway, ended.
    Ended,
}

impl CallResult {
    /// It says by itself that the outcome is not known, or that the first call still runs.
    pub fn tells_doubt(&self) -> bool {
        matches!(self, Self::Wrong(said) if ["\"in-doubt\"", "\"held\"", "\"running\""].iter().any(|word| said.contains(word)))
    }
}

/// A client of one process.
pub struct Client {
    process: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    /// Messages that came during a wait for another one.
    early: Vec<Value>,
    era: VersionGroup,
    next: i64,
}

impl Client {
    fn start(mut command: Command, era: VersionGroup, hears: usize) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (to, out) = (
            process.stdin.take(),
            BufReader::new(process.stdout.take().unwrap()),
        );
        let (heard, from) = channel();
        thread::spawn(move || {
            // Half a line is the end, too.
            let lines = out
                .lines()
                .map_while(Result::ok)
                .map_while(|line| serde_json::from_str(&line).ok());
            lines
                .take(hears)
                .for_each(|message| heard.send(message).unwrap_or_default());
        });
        let mut client = Self {
            process,
            to,
            from,
            early: Vec::new(),
            era,
            next: 1,
        };
        client.greet();
        client
    }

    fn greet(&mut self) {
        if self.era == VersionGroup::Newer {
            let id = self.send("server/discover", json!({}));
            self.response(id, Duration::from_secs(30))
                .expect("the server was discovered");
            return;
        }
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "proof", "version": "1" },
        });
        let id = self.send("initialize", hello);
        self.response(id, Duration::from_secs(30))
            .expect("the server was initialized");
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    fn write(&mut self, message: &Value) {
        // A process that has ended reads nothing. Its missing answer shows that.
        let _ = writeln!(self.to.as_mut().unwrap(), "{message}");
    }

    fn send(&mut self, method: &str, mut params: Value) -> i64 {
        let id = self.next;
        self.next += 1;
        if self.era == VersionGroup::Newer {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Makes a call, and does not wait.
    pub fn begin(&mut self, tool: &str, amount: u32) -> i64 {
        self.send(
            "tools/call",
            json!({ "name": tool, "arguments": { "amount": amount } }),
        )
    }

    /// Waits for the result of a call; after this time the client cancels it.
    pub fn wait(&mut self, id: i64, patience: Duration) -> CallResult {
        match self.response(id, patience) {
            Ok(response) => Self::read(&response),
            Err(RecvTimeoutError::Disconnected) => CallResult::Ended,
            Err(RecvTimeoutError::Timeout) => {
                let params = json!({ "requestId": id, "reason": "it takes too long" });
                self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
                CallResult::Nothing
            }
        }
    }

    fn read(response: &Value) -> CallResult {
        let result = &response["result"];
        if result.is_null() || result["isError"] == true {
            return CallResult::Wrong(response.to_string());
        }
        CallResult::Result(
            result["content"][0]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    fn response(&mut self, id: i64, patience: Duration) -> Result<Value, RecvTimeoutError> {
        loop {
            if let Some(at) = self.early.iter().position(|message| message["id"] == id) {
                return Ok(self.early.swap_remove(at));
            }
            self.early.push(self.from.recv_timeout(patience)?);
        }
    }

    pub fn call(&mut self, tool: &str, amount: u32, patience: Duration) -> CallResult {
        let id = self.begin(tool, amount);
        self.wait(id, patience)
    }

    /// Closes its side, as a client that ends does, and waits for the process.
    pub fn leave(mut self) {
        drop(self.to.take());
        self.process.wait().unwrap();
    }

    /// The process ends at once, without a word.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
