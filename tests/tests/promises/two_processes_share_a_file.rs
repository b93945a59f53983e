//! Each client of an agent starts a host of its own, all of them on one file, and any of them may be killed at any
//! moment: also the one that has charged a card and not yet written it down.
//!
//! The other processes are this test binary, started again for one role. The bank is a file with a
//! line for each charge.

use crate::world::{
    ask_in_vain, charge, charging, charging_a_bank_that_remembers, file, host, intent, told,
};
use semel::{
    model::{Answer, Outcome},
    runtime::{Semel, Ticket, Tool},
};
use serde_json::json;
use std::{
    env,
    fs::{self, OpenOptions},
    future::pending,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const FOLDER: &str = "SEMEL_TEST_FOLDER";
const PART: &str = "SEMEL_TEST_PART";
const PROCESSES: usize = 4;

/// The bank: it recognises keys, unless the sender gives none.
fn charge_at(bank: &Path, key: Option<&str>) -> Outcome {
    let known = fs::read_to_string(bank).unwrap_or_default();
    let line = key.unwrap_or("no key");
    if key.is_none() || !known.lines().any(|other| other == line) {
        let mut book = OpenOptions::new()
            .create(true)
            .append(true)
            .open(bank)
            .unwrap();
        writeln!(book, "{line}").unwrap();
    }
    Outcome::returned(json!({ "id": "ch_1" }))
}

fn key(ticket: &Ticket) -> Option<&str> {
    ticket.headers.first().map(|(_, key)| key.as_str())
}

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn charges(&self) -> usize {
        fs::read_to_string(self.folder.path().join("bank"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// Another process that plays `part`.
    fn start(&self, part: &str) -> Child {
        Command::new(env::current_exe().unwrap())
            .args([
                "two_processes_share_a_file::another_process",
                "--exact",
                "--nocapture",
            ])
            .env(FOLDER, self.folder.path())
            .env(PART, part)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }
}

/// Waits until the other process says `word`.
fn until_it_says(child: &mut Child, word: &str) {
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        said.map(Result::unwrap).any(|line| line.contains(word)),
        "it never said `{word}`"
    );
}

async fn guarded(settings: serde_json::Value) -> Tool {
    let mut tool = intent(settings).await;
    tool.lease_seconds = 1;
    tool
}

#[tokio::test]
async fn another_process() {
    // A part of another test, which starts it as a process of its own: alone there is nothing to do.
    if env::var_os(FOLDER).is_none() {
        return;
    }
    let folder = PathBuf::from(env::var(FOLDER).expect("started by another test"));
    let part = env::var(PART).unwrap();
    let bank = folder.join("bank");
    let settings = if part.contains("remembers") {
        charging_a_bank_that_remembers()
    } else {
        charging()
    };
    let semel = host(file(folder.join("ledger.db")), guarded(settings).await).await;
    let run = async |ticket: Ticket| {
        let outcome = charge_at(&bank, key(&ticket));
        println!("charged");
        if part.starts_with("hangs") {
            pending::<()>().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        outcome
    };
    let answer = semel.call(charge(), run).await.unwrap();
    println!("answer: {}", answer.word());
}

async fn survivor(scene: &Scene, settings: serde_json::Value) -> Semel {
    host(file(scene.ledger()), guarded(settings).await).await
}

#[tokio::test]
async fn several_processes_at_once_send_once() {
    let scene = Scene::new();
    // So that the file is there before all of them open it at the same moment.
    let semel = survivor(&scene, charging()).await;
    let others: Vec<Child> = (0..PROCESSES).map(|_| scene.start("charges")).collect();
    let mut said: Vec<String> = Vec::new();
    for other in others {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        said.extend(
            text.lines()
                .filter_map(|line| line.split("answer: ").nth(1))
                .map(str::to_owned),
        );
    }
    said.sort();
    assert_eq!(said, ["executed", "replayed", "replayed", "replayed"]);
    assert_eq!(scene.charges(), 1);
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

#[tokio::test]
async fn killed_between_charge_and_record_it_is_in_doubt_and_a_person_decides() {
    let scene = Scene::new();
    let mut other = scene.start("hangs");
    until_it_says(&mut other, "charged");
    other.kill().unwrap();
    other.wait().unwrap();
    let semel = survivor(&scene, charging()).await;
    let answer = ask_in_vain(&semel, charge()).await;
    let Answer::Held { about, .. } = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!((about.attempt, scene.charges()), (1, 1));
}

#[tokio::test]
async fn killed_between_charge_and_record_it_is_resolved_through_the_banks_memory_of_the_key() {
    let scene = Scene::new();
    let mut other = scene.start("hangs remembers");
    until_it_says(&mut other, "charged");
    other.kill().unwrap();
    other.wait().unwrap();
    let semel = survivor(&scene, charging_a_bank_that_remembers()).await;
    let bank = scene.folder.path().join("bank");
    let run = async |ticket: Ticket| charge_at(&bank, key(&ticket));
    let answer = semel.call(charge(), run).await.unwrap();
    assert_eq!(told(&answer), ("executed", Some("ch_1")));
    assert_eq!((answer.about().unwrap().attempt, scene.charges()), (2, 1));
}

/// The control: an agent that restarts without a ledger charges a second time.
#[tokio::test]
async fn control_without_the_file_the_restart_charges_again() {
    let scene = Scene::new();
    let mut other = scene.start("hangs");
    until_it_says(&mut other, "charged");
    other.kill().unwrap();
    other.wait().unwrap();
    let semel = host(crate::world::memory(), guarded(charging()).await).await;
    let bank = scene.folder.path().join("bank");
    let run = async |ticket: Ticket| charge_at(&bank, key(&ticket));
    assert_eq!(semel.call(charge(), run).await.unwrap().word(), "executed");
    assert_eq!(scene.charges(), 2);
}
