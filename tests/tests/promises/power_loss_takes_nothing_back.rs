//! The plug is pulled. What the disk was asked to write and not yet made to keep is there, or not, or half of it, in
//! any order; what the ledger acknowledged is there all the same, and so is what anybody was shown.
//!
//! SQLite's writes and syncs are recorded while hosts write, close, move the log into the database and fail; then a
//! thousand disks are built of what each moment may have left, and a ledger is opened on each.

mod disk;
mod failed_syncs;
mod vfs;
mod witness;

use crate::{random::Random, wish::Wish};
use disk::{Change, Disk, Failing};
use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};
use semel::store::SqliteStore;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use witness::Witness;

/// The default number of disk images, and the number for each time that a ledger is written.
const IMAGES: u64 = 1_000;
const IMAGES_OF_A_RUN: u64 = 50;

/// The number of hosts that open the ledger in sequence in a run.
const LIVES: usize = 3;

fn folder() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn ledger_in(folder: &TempDir) -> PathBuf {
    folder.path().join("ledger.db")
}

/// A watched folder, and the disk that it lies on.
fn on(disk: Disk) -> (TempDir, Arc<Disk>) {
    let (folder, disk) = (folder(), Arc::new(disk));
    vfs::watch(folder.path(), &disk);
    (folder, disk)
}

/// Hosts that open, write at once, and close, while another connection checkpoints the log.
async fn written(folder: &TempDir, witness: &Arc<Witness>, random: &mut Random) {
    for _ in 0..LIVES {
        let store = Arc::new(SqliteStore::open(ledger_in(folder)).unwrap());
        let mut writers = Vec::new();
        for writer in 0..4 {
            let (store, witness, mut random) = (
                Arc::clone(&store),
                Arc::clone(witness),
                Random(random.below(u64::MAX)),
            );
            writers.push(tokio::spawn(async move {
                for _ in 0..6 {
                    witness
                        .write(&store, 4 * writer + random.below(4), &mut random)
                        .await;
                }
            }));
        }
        if random.below(2) == 0 {
            tokio::task::yield_now().await;
            move_the_log(&ledger_in(folder), random);
        }
        for writer in writers {
            writer.await.unwrap();
        }
    }
}

fn move_the_log(ledger: &Path, random: &mut Random) {
    let how = ["PASSIVE", "RESTART", "TRUNCATE"][random.below(3) as usize];
    let other = rusqlite::Connection::open(ledger).unwrap();
    // It may be busy; the next one moves more.
    let _ = other.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()));
}

/// Opens the ledger that a power loss at this moment may leave, and says what is missing.
async fn look_at_image(
    disk: &Disk,
    at: usize,
    witness: &Witness,
    random: &mut Random,
) -> Vec<String> {
    let image = folder();
    for (name, content) in disk.after_power_loss(at, random) {
        fs::write(image.path().join(name), content).unwrap();
    }
    let store = match SqliteStore::open(ledger_in(&image)) {
        Ok(store) => store,
        Err(fault) => return vec![fault.to_string()],
    };
    let mut missing = witness.missing(&store, at).await;
    missing.extend(witness::cannot_write(&store).await);
    drop(store);
    let raw = rusqlite::Connection::open(ledger_in(&image)).unwrap();
    let found: String = raw
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    missing.extend((found != "ok").then_some(found));
    missing
}

/// The losses on so many disk images, each of another moment.
async fn look_at_images(
    disk: &Disk,
    witness: &Witness,
    images: u64,
    random: &mut Random,
) -> Vec<String> {
    let mut missing = Vec::new();
    for _ in 0..images {
        let at = random.below(disk.now() as u64 + 1) as usize;
        missing.extend(look_at_image(disk, at, witness, random).await);
    }
    missing
}

#[tokio::test]
async fn at_any_moment() {
    let wish = Wish::of("SEMEL_SOAK_IMAGES", IMAGES);
    for run in 0..wish.times.div_ceil(IMAGES_OF_A_RUN) {
        if wish.is_over() {
            break;
        }
        let ((folder, disk), mut random) =
            (on(Disk::default()), Random(wish.seed.wrapping_add(run)));
        let witness = Arc::new(Witness::of(&disk));
        written(&folder, &witness, &mut random).await;
        let missing = look_at_images(&disk, &witness, IMAGES_OF_A_RUN, &mut random).await;
        assert!(
            missing.is_empty(),
            "seed {}, run {run}: {missing:?}",
            wish.seed
        );
    }
}

/// The control: a log that is not synced, as with `synchronous=NORMAL`, loses what was acknowledged.
#[tokio::test]
async fn control_without_the_sync_of_the_log_records_are_lost() {
    let ((folder, disk), mut random) = (on(Disk::that_lies()), Random(1));
    let witness = Arc::new(Witness::of(&disk));
    written(&folder, &witness, &mut random).await;
    let missing = look_at_images(&disk, &witness, IMAGES_OF_A_RUN, &mut random).await;
    assert!(!missing.is_empty());
}

type Kind = fn(&Change) -> bool;

fn is_write(change: &Change) -> bool {
    matches!(change, Change::Write { .. } | Change::Truncate { .. })
}

fn is_sync(change: &Change) -> bool {
    matches!(change, Change::Sync { .. })
}

/// Whichever write or sync fails, once or from then on: what was acknowledged is there, what was not executed is not,
/// a ledger that the disk is given back for goes on, and a power loss takes nothing back then either.
#[tokio::test]
async fn after_any_failure_of_the_disk() {
    let kinds: [(i32, Kind); 3] = [
        (SQLITE_FULL, is_write),
        (SQLITE_IOERR_WRITE, is_write),
        (SQLITE_IOERR_FSYNC, is_sync),
    ];
    for (code, of) in kinds {
        for for_good in [false, true] {
            let mut first = 0;
            while one_failure(Failing {
                first,
                for_good,
                code,
                of,
            })
            .await
            {
                first += 1;
            }
            assert!(first > 5, "{first} failures");
        }
    }
}

/// Returns true if the run reached the failure.
async fn one_failure(failing: Failing) -> bool {
    let ((folder, disk), mut random) = (on(Disk::default()), Random(failing.first as u64));
    let witness = Arc::new(Witness::of(&disk));
    drop(SqliteStore::open(ledger_in(&folder)).unwrap());
    disk.fail(Some(failing));
    if let Ok(store) = SqliteStore::open(ledger_in(&folder)) {
        let store = Arc::new(store);
        for key in [0, 1, 0, 1] {
            witness.write(&store, key, &mut random).await;
        }
    }
    let was_asked = disk.asked() > failing.first;
    disk.fail(None);
    let store = Arc::new(SqliteStore::open(ledger_in(&folder)).unwrap());
    assert_eq!(
        witness.missing(&store, disk.now()).await,
        [] as [String; 0],
        "{failing:?}"
    );
    for key in [0, 1, 2] {
        witness.write(&store, key, &mut random).await;
        assert!(
            witness.is_acknowledged(key),
            "{failing:?}: the ledger goes on"
        );
    }
    let missing = look_at_images(&disk, &witness, 10, &mut random).await;
    assert!(missing.is_empty(), "{failing:?}: {missing:?}");
    was_asked
}
