//! What a client hears with and without the gateway: the same script is played twice, and written down.

use crate::peers::{Client, ListeningProcess, Server, SpokenVersions, command, semel, surround};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    path::Path,
    process::{Command, Stdio},
    thread,
};
use tempfile::TempDir;

/// The time limit of one script.
const SCRIPT_SECONDS: u64 = 120;

/// The members of only one protocol version: markers of complete results, caching hints, server
/// names, and the first form of tasks.
const OF_AN_ERA: [&str; 7] = [
    "resultType",
    "ttlMs",
    "cacheScope",
    "tasks",
    "execution",
    "io.modelcontextprotocol/serverInfo",
    "io.modelcontextprotocol/protocolVersion",
];

/// The steps that a client of the newer era leaves out.
const OLDER_STEPS: [&str; 6] = [
    "ping",
    "resources/subscribe",
    "resources/unsubscribe",
    "logging/setLevel",
    "logged",
    "roots changed",
];

/// The transport of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Stdio,
    Http,
}

/// In which order messages are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageOrder {
    /// As they were sent.
    Kept,
    /// Over several streams.
    Lost,
    /// The same messages, some of them twice. `server-everything` keeps the events of all streams
    /// together, so a client that resumes one stream receives those of the others again. The
    /// gateway resumes less often, and receives fewer of them.
    Repeated,
}

/// A client and a server, and how the gateway is reached and reaches the server.
#[derive(Debug, Clone, Copy)]
pub struct ClientRun {
    pub client: Client,
    pub server: Server,
    pub front: Transport,
    pub back: Transport,
}

impl ClientRun {
    /// Over the standard streams.
    pub fn of(client: Client, server: Server) -> Self {
        Self {
            client,
            server,
            front: Transport::Stdio,
            back: Transport::Stdio,
        }
    }

    pub fn over(self, front: Transport, back: Transport) -> Self {
        Self {
            front,
            back,
            ..self
        }
    }

    /// The client that shows what is to be heard: where client and server have no era in common, or find a common one only
    /// through the gateway, the one that speaks the server's.
    fn reference(self) -> Client {
        match (self.client.speaks(), self.server.speaks()) {
            (SpokenVersions::Older, SpokenVersions::Newer) => {
                self.client.speaking(SpokenVersions::Newer)
            }
            (SpokenVersions::Newer | SpokenVersions::Both, SpokenVersions::Older) => {
                self.client.speaking(SpokenVersions::Older)
            }
            _ => self.client,
        }
    }

    /// Returns true if the gateway translates between protocol versions.
    fn is_of_two_eras(self) -> bool {
        let eras = (self.client.speaks(), self.server.speaks());
        matches!(
            eras,
            (SpokenVersions::Older, SpokenVersions::Newer)
                | (
                    SpokenVersions::Newer | SpokenVersions::Both,
                    SpokenVersions::Older
                )
        )
    }

    /// Returns the transcripts without and with the gateway. Each run has a folder of its own with
    /// the same files.
    pub fn both(self) -> (Transcript, Transcript) {
        thread::scope(|scope| {
            let bare = scope.spawn(|| self.run(false));
            let through = self.run(true);
            (bare.join().unwrap(), through)
        })
    }

    /// Plays it, and compares. Of the steps in `doubted` the server's own words must be there: it said that it failed, so it is
    /// in doubt, and the gateway says so besides. Something must have been guarded, or the gateway was not there.
    pub fn is_the_same(self, doubted: &[&str]) {
        let (bare, through) = self.both();
        if self.is_of_two_eras() {
            through.means(&bare, doubted);
        } else {
            through.is_as(&bare, doubted);
        }
        assert!(bare.answers("").is_empty());
        assert!(
            through.answers("").contains(&"executed".to_owned()),
            "the gateway was not there"
        );
    }

    fn run(self, through: bool) -> Transcript {
        let stage = RunFolder::new();
        let folder = stage.0.path().join("files");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("one.txt"), "the first\nthe second\n").unwrap();
        let server = match self.back {
            Transport::Stdio => None,
            Transport::Http => Some(ListeningProcess::start(|port| {
                stage.set(self.server.listening(port))
            })),
        };
        let target = match &server {
            None => self.server.command(&folder),
            Some(server) => vec![server.url.clone().into()],
        };
        let (target, _gateway) = if through {
            self.through(&stage, target)
        } else {
            (target, None)
        };
        let client = if through {
            self.client
        } else {
            self.reference()
        };
        let printed = stage.play(&client.command(&folder, target), &folder);
        Transcript::read(&printed, self.order())
    }

    fn order(self) -> MessageOrder {
        match (self.front, self.back) {
            (Transport::Stdio, Transport::Stdio) => MessageOrder::Kept,
            (_, Transport::Http) if self.server == Server::Everything => MessageOrder::Repeated,
            _ => MessageOrder::Lost,
        }
    }

    /// The gateway before this server, and it itself, where it listens.
    fn through(
        self,
        stage: &RunFolder,
        server: Vec<OsString>,
    ) -> (Vec<OsString>, Option<ListeningProcess>) {
        let mark = if self.back == Transport::Stdio {
            "--"
        } else {
            "--upstream"
        };
        let gateway = |more: &[OsString]| {
            let words: Vec<OsString> = vec![semel().into(), "mcp".into()];
            [words, more.to_vec(), vec![mark.into()], server.clone()].concat()
        };
        if self.front == Transport::Stdio {
            return (gateway(&[]), None);
        }
        let listening = ListeningProcess::start(|port| {
            stage.set(command(&gateway(&[
                "--listen".into(),
                format!("127.0.0.1:{port}").into(),
            ])))
        });
        (vec![listening.url.clone().into()], Some(listening))
    }
}

/// The place of a run: its files, its ledger, and the stderr of its processes.
pub struct RunFolder(pub TempDir);

impl RunFolder {
    pub fn new() -> Self {
        let stage = Self(TempDir::new().unwrap());
        File::create(stage.0.path().join("talk")).unwrap();
        stage
    }

    /// A process in these surroundings that is not listened to.
    pub fn set(&self, mut command: Command) -> Command {
        surround(&mut command, self.0.path());
        let talk = OpenOptions::new()
            .append(true)
            .open(self.0.path().join("talk"))
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(talk);
        command
    }

    /// Runs a script, and returns its output.
    pub fn play(&self, words: &[OsString], folder: &Path) -> String {
        let timed = ["timeout".into(), SCRIPT_SECONDS.to_string().into()];
        let mut client = self.set(command(&[&timed, words].concat()));
        let output = client
            .stdout(Stdio::piped())
            .current_dir(folder)
            .output()
            .unwrap();
        let talk = std::fs::read_to_string(self.0.path().join("talk")).unwrap();
        assert!(
            output.status.success(),
            "{words:?} failed with {}: {talk}",
            output.status
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .replace(self.0.path().to_str().unwrap(), "(scratch)")
    }
}

/// The output of a client: a line for each step.
pub struct Transcript {
    steps: Vec<Value>,
    order: MessageOrder,
}

impl Transcript {
    /// Parses lines of steps. Any other line is a step of its own.
    fn read(printed: &str, order: MessageOrder) -> Self {
        let steps: Result<Vec<Value>, _> = printed.lines().map(serde_json::from_str).collect();
        let steps = match steps {
            Ok(steps) if steps.iter().all(|step: &Value| step.get("step").is_some()) => steps,
            _ => vec![json!({ "step": "printed", "came": printed, "semel": [] })],
        };
        let mut steps: Vec<_> = steps.iter().map(read_through).collect();
        let heard = steps
            .iter_mut()
            .filter_map(|step| step.get_mut("heard")?.as_array_mut());
        heard
            .filter(|_| order != MessageOrder::Kept)
            .for_each(|heard| heard.sort_by_key(Value::to_string));
        Self { steps, order }
    }

    /// The words of the gateway's answers to the steps that begin so.
    pub fn answers(&self, step: &str) -> Vec<String> {
        let steps = self
            .steps
            .iter()
            .filter(|one| one["step"].as_str().unwrap().starts_with(step));
        let added = steps.flat_map(|one| one["semel"].as_array().unwrap());
        let answers = added.filter(|added| added[0] == "dev.semel/answer");
        answers
            .map(|answer| answer[1].as_str().unwrap().to_owned())
            .collect()
    }

    /// Everything is as it was heard without the gateway, but for what the gateway adds of its own.
    pub fn is_as(&self, bare: &Self, doubted: &[&str]) {
        assert!(
            bare.steps.len() > 3 || bare.steps[0]["step"] == "printed",
            "nothing was played: {:?}",
            bare.steps
        );
        for (through, bare) in self.steps.iter().zip(&bare.steps) {
            let step = bare["step"].as_str().unwrap();
            if doubted.iter().any(|doubted| step.contains(doubted)) {
                tells(through, bare);
            } else {
                equal(step, &through["came"], &bare["came"]);
                self.hears(step, &through["heard"], &bare["heard"]);
            }
        }
        assert_eq!(self.steps.len(), bare.steps.len(), "not all was played");
    }

    fn hears(&self, step: &str, through: &Value, bare: &Value) {
        if self.order != MessageOrder::Repeated {
            return equal(step, through, bare);
        }
        let of_server = bare.as_array().unwrap();
        let only_here = through
            .as_array()
            .unwrap()
            .iter()
            .find(|message| !of_server.contains(message));
        assert_eq!(only_here, None, "in `{step}`, and not without the gateway");
    }

    /// The same came of everything, in the words of the other era; what has no words in it was left out.
    fn means(&self, bare: &Self, doubted: &[&str]) {
        let mut steps = self.steps.iter().peekable();
        for bare in &bare.steps {
            let step = bare["step"].as_str().unwrap();
            let Some(through) = steps.next_if(|through| through["step"] == bare["step"]) else {
                let is_older = OLDER_STEPS.iter().any(|older| step.starts_with(older))
                    || step.contains("toggle-simulated-logging");
                assert!(is_older, "`{step}` was not played");
                continue;
            };
            if doubted.iter().any(|doubted| step.contains(doubted)) {
                tells(through, bare);
            } else {
                equal(
                    step,
                    &of_no_era(&through["came"]),
                    &of_no_era(&bare["came"]),
                );
            }
        }
        assert!(steps.next().is_none(), "something else was played");
        assert!(self.steps.len() > 3, "nothing was played");
    }
}

/// Shows where two values begin to differ.
fn equal(step: &str, through: &Value, bare: &Value) {
    if through == bare {
        return;
    }
    let (through, bare) = (through.to_string(), bare.to_string());
    let same = through
        .chars()
        .zip(bare.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let from = |text: &str| {
        text.chars()
            .skip(same.saturating_sub(80))
            .take(400)
            .collect::<String>()
    };
    panic!(
        "in `{step}` the gateway has\n{}\nwhere without it there is\n{}",
        from(&through),
        from(&bare)
    );
}

/// The same with texts that are JSON read, too: variables of surroundings have no order.
fn read_through(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(read_through).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), read_through(value)))
                .collect(),
        ),
        Value::String(text) if text.starts_with("{\n") => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        other => other.clone(),
    }
}

/// Checks that the answer through the gateway contains the server's own text.
fn tells(through: &Value, bare: &Value) {
    let words = &bare["came"]["content"][0];
    let mut told = through["came"]["content"].as_array().unwrap().iter();
    assert!(
        told.any(|part| part == words),
        "{words} is not told by {through:#}"
    );
}

/// Without what only one era says.
fn of_no_era(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(of_no_era).collect(),
        Value::Object(members) => {
            let of_none = members
                .iter()
                .filter(|(name, _)| !OF_AN_ERA.contains(&name.as_str()));
            let of_none = of_none.map(|(name, value)| (name.clone(), of_no_era(value)));
            Value::Object(
                of_none
                    .filter(|(name, value)| name != "_meta" || *value != json!({}))
                    .collect(),
            )
        }
        Value::String(text) => json!(in_no_words(text)),
        other => other.clone(),
    }
}

/// Without the version, without numbers of what was made up at random (more of it was heard in one era), and without what a
/// library puts before an error.
fn in_no_words(text: &str) -> String {
    let mut text = text
        .replace("2025-11-25", "(version)")
        .replace("2026-07-28", "(version)");
    while let Some((_, said)) = text
        .split_once(": ")
        .filter(|(before, _)| before.starts_with("MCP error -"))
    {
        text = said.to_owned();
    }
    let mut parts = text.split("(id ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "(id" + part.trim_start_matches(|next: char| next.is_ascii_digit())
    })
}
