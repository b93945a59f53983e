//! The disk is full, or it returns other bytes than were written. Nothing runs without a record, no
//! answer is wrong, and the error message names the cure.

use crate::{
    shop::{Shop, What},
    stories::{Customers, Line, Reply, Stopped, Tools, effect, host},
    wire::{self, Wire},
    world::file,
};
use semel::store::SqliteStore;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

const FOLDER: &str = "SEMEL_TEST_FULL";

/// The largest file that the starved process may write, in blocks of 512 bytes: some twenty calls fit.
const BLOCKS_MAX: u32 = 800;

/// The number of calls of a starved process.
const CALLS: usize = 60;

fn folder() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

async fn customers(
    ledger: &Path,
    tools: &Tools,
    line: &Arc<dyn Line>,
) -> Result<Customers, Stopped> {
    let (store, path) = (Arc::new(SqliteStore::open(ledger)?), ledger.to_owned());
    let semel = host(store, tools, line).await?;
    Ok(Customers::new(semel, line, "", move || {
        std::future::ready(file(&path))
    }))
}

fn number(id: usize) -> What {
    What::new("pay", id.to_string())
}

#[tokio::test]
async fn a_full_disk_stops_what_it_cannot_record() {
    let (folder, shop) = (folder(), Arc::new(Shop::default()));
    wire::open(&shop, &folder.path().join("shop"));
    // The kernel itself refuses to write past the limit, as it does past the end of a disk.
    let script = format!("trap '' XFSZ; ulimit -f {BLOCKS_MAX}; exec \"$0\" \"$@\"");
    let starved = Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .args(["a_broken_disk_is_told::starved", "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&starved.stdout);
    assert!(starved.status.success(), "{said}");
    assert!(
        said.contains("the tool did not run") && said.contains("see whether it has room"),
        "{said}"
    );
    let done = (0..CALLS)
        .filter(|id| shop.effects(&number(*id)) > 0)
        .count();
    assert!((5..CALLS).contains(&done), "{done} of {CALLS} fit");
    // There is room again.
    let (tools, line) = (Tools::load().await, Arc::clone(&shop) as Arc<dyn Line>);
    let mut customers = customers(&folder.path().join("ledger.db"), &tools, &line)
        .await
        .unwrap();
    for id in 0..CALLS {
        customers.ask(&number(id), Reply::Heard).await.unwrap();
    }
    assert_eq!(shop.faults(), []);
}

/// A part of another test, which starts it as a process of its own: alone there is nothing to do.
#[tokio::test]
async fn starved() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let (tools, line) = (
        Tools::load().await,
        Arc::new(Wire::to(&folder.join("shop"))) as Arc<dyn Line>,
    );
    let mut customers = customers(&folder.join("ledger.db"), &tools, &line)
        .await
        .unwrap();
    for id in 0..CALLS {
        if let Err(error) = customers.ask(&number(id), Reply::Heard).await {
            println!("{error}");
        }
    }
}

/// The distance between flipped bits: a prime, so that every bit of a byte has its turn.
const FLIPS_APART: usize = 41;

/// The ledger's answers about six recorded operations.
#[derive(Debug, Default)]
struct Told {
    errors: Vec<String>,
    otherwise: Vec<String>,
}

/// Opens the ledger `bytes`, and asks about what is on record there.
async fn asked_about(bytes: &[u8], tools: &Tools, shop: &Arc<Shop>) -> (Told, bool) {
    let (place, mut told) = (folder(), Told::default());
    let ledger = place.path().join("ledger.db");
    fs::write(&ledger, bytes).unwrap();
    let is_sound = SqliteStore::open(&ledger).is_ok_and(|store| store.check().is_ok());
    let line = Arc::clone(shop) as Arc<dyn Line>;
    match customers(&ledger, tools, &line).await {
        Err(error) => told.errors.push(error.to_string()),
        Ok(mut customers) => {
            for id in 0..ON_RECORD {
                match customers.ask(&number(id), Reply::Heard).await {
                    Err(error) => told.errors.push(error.to_string()),
                    Ok(answer)
                        if effect(&answer) == Some(format!("pay:{id}#1"))
                            && answer.word() == "replayed" => {}
                    Ok(answer) => told.otherwise.push(format!("{answer:?}")),
                }
            }
        }
    }
    (told, is_sound)
}

/// The number of recorded operations.
const ON_RECORD: usize = 6;

/// After any flipped bit, the ledger reports damage or returns the recorded state. A bit that hides
/// a record from an index shows in no lookup; the check of the whole file finds it.
#[tokio::test]
async fn a_flipped_bit_is_told() {
    let (folder, shop) = (folder(), Arc::new(Shop::default()));
    let (tools, line) = (Tools::load().await, Arc::clone(&shop) as Arc<dyn Line>);
    let ledger = folder.path().join("ledger.db");
    let mut before = customers(&ledger, &tools, &line).await.unwrap();
    for id in 0..ON_RECORD {
        before.ask(&number(id), Reply::Heard).await.unwrap();
    }
    drop(before);
    // The renewal of the last lease was called off, and lets go of the ledger when it is its turn.
    tokio::task::yield_now().await;
    let whole = fs::read(&ledger).unwrap();
    let (mut told_damaged, mut hidden) = (0, 0);
    for at in (0..whole.len()).step_by(FLIPS_APART) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let (told, is_sound) = asked_about(&flipped, &tools, &shop).await;
        let in_words = |error: &String| {
            ["damaged", "another program", "not a ledger", "has schema"]
                .iter()
                .any(|word| error.contains(word))
        };
        assert!(told.errors.iter().all(in_words), "byte {at}: {told:?}");
        assert!(
            told.otherwise.is_empty() || !is_sound,
            "byte {at}: {told:?}"
        );
        told_damaged += usize::from(!told.errors.is_empty());
        hidden += told.otherwise.len();
    }
    println!(
        "{} bytes, {told_damaged} flips told, {hidden} answers that only the check of the file explains",
        whole.len()
    );
    assert!(told_damaged > 50);
}
