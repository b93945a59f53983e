//! Several processes on one file: each client of an agent starts one.

#![expect(
    clippy::print_stdout,
    reason = "a process of a test reports its results so"
)]

use super::*;
use semel_conformance::{entry, fresh_version, handle, key};
use semel_core::model::Nonce;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

const PROCESSES: usize = 4;
const KEYS: u32 = 40;

/// Starts a process that runs a test of this module. Without the environment variable, that test does
/// nothing.
fn process(test: &str, folder: &TempDir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("tests::sharing::{test}")])
        .env("SEMEL_TEST_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers that a process prints after this word.
fn printed_numbers(process: &mut Child, word: &'static str) -> impl Iterator<Item = u32> + use<> {
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(move |line| line.split_once(word)?.1.trim().parse().ok())
}

fn shared() -> SqliteStore {
    let folder = PathBuf::from(std::env::var_os("SEMEL_TEST_FOLDER").unwrap());
    SqliteStore::open(folder.join("ledger.db")).unwrap()
}

async fn create(store: &SqliteStore, number: u32) -> CreateResult {
    store
        .create(
            key(number),
            &entry(number),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
        .unwrap()
}

#[test]
fn of_many_processes_one_wins_each_key() {
    let folder = folder();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| process("contend", &folder))
        .collect();
    let mut won: Vec<u32> = Vec::new();
    for mut process in processes {
        won.extend(printed_numbers(&mut process, "won "));
        assert!(process.wait().unwrap().success());
    }
    won.sort_unstable();
    assert_eq!(won, (0..KEYS).collect::<Vec<_>>(), "each key is won once");
}

#[tokio::test(flavor = "multi_thread")]
async fn contend() {
    // A part of another test, which runs it in a process of its own.
    if std::env::var_os("SEMEL_TEST_FOLDER").is_none() {
        return;
    }
    let store = shared();
    for number in 0..KEYS {
        if let CreateResult::Created(_) = create(&store, number).await {
            println!("won {number}");
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_kill_of_its_process() {
    let folder = folder();
    let mut process = process("write_until_killed", &folder);
    let mut numbers = printed_numbers(&mut process, "wrote ");
    let before: Vec<_> = numbers.by_ref().take(100).collect();
    process.kill().unwrap();
    let acknowledged: Vec<_> = before.into_iter().chain(numbers).collect();
    process.wait().unwrap();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    for number in acknowledged {
        assert!(
            store.get(key(number)).await.unwrap().0.is_some(),
            "{number} was acknowledged"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_until_killed() {
    // A part of another test, which runs it in a process of its own.
    if std::env::var_os("SEMEL_TEST_FOLDER").is_none() {
        return;
    }
    let store = Arc::new(shared());
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..100_000 {
                    create(&store, number * 8 + writer).await;
                    println!("wrote {}", number * 8 + writer);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_change_by_another_process_wakes_those_that_wait() {
    let folder = folder();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    let first = Nonce::from_bytes([1; 16]);
    store
        .create(key(0), &entry(0), first, Retention::UntilRemoved)
        .await
        .unwrap();
    let mut process = process("change", &folder);
    let long = Duration::from_secs(60);
    assert!(
        tokio::time::timeout(long, store.wait_for_change(key(0), first, 2 * long))
            .await
            .is_ok()
    );
    assert!(process.wait().unwrap().success());
    let (stored, now) = store.get(key(0)).await.unwrap();
    let stored = stored.unwrap();
    assert_ne!(stored.version, first);
    assert_eq!(
        stored.written.boot, now.boot,
        "processes of one machine share a boot"
    );
    assert!(!stored.written.runs_behind(&stored.created) && !now.runs_behind(&stored.written));
}

#[tokio::test]
async fn change() {
    // A part of another test, which runs it in a process of its own.
    if std::env::var_os("SEMEL_TEST_FOLDER").is_none() {
        return;
    }
    let store = shared();
    let first = Nonce::from_bytes([1; 16]);
    let replaced = store
        .replace(
            key(0),
            first,
            &handle("acme", 2),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    assert!(matches!(replaced, Ok(ReplaceResult::Replaced(_))));
}

#[test]
fn opening_is_not_disturbed_by_closing() {
    let folder = folder();
    let users: Vec<_> = (0..4_u32)
        .map(|user| {
            let path = ledger_in(&folder);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                for turn in 0..25 {
                    let store = SqliteStore::open(&path).unwrap();
                    runtime.block_on(async {
                        assert!(matches!(
                            create(&store, turn * 4 + user).await,
                            CreateResult::Created(_)
                        ));
                        assert!(
                            store.get(key(user)).await.unwrap().0.is_some(),
                            "the first is still there"
                        );
                    });
                }
            })
        })
        .collect();
    for user in users {
        user.join().unwrap();
    }
}
