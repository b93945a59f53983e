//! A sync of the log fails, and the disk drops the data. The system still returns the data to
//! readers of the log, and the next sync succeeds, because nothing is left to write.
//!
//! While a host has the ledger open, the data is invisible: it is in no index. The first connection
//! after the last one has closed finds it in the log, and checkpoints it into the database. If the
//! power fails then, half of it is in the database and none of it in the log. Or a connection read
//! it, and others wrote behind it, where recovery of the log no longer arrives.

use super::{
    disk::{Disk, Failing},
    is_sync, ledger_in, look_at_image, on,
    witness::Witness,
};
use crate::{random::Random, wish::Wish};
use rusqlite::ffi::SQLITE_IOERR_FSYNC;
use semel::store::SqliteStore;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
    thread,
};
use tempfile::TempDir;

/// The default number of disk images.
const IMAGES: u64 = 1_000;

/// The number of records in the ledger.
const KEYS: u64 = 12;

/// From this sync on, or only this one.
fn failing(first: usize, for_good: bool) -> Failing {
    Failing {
        first,
        for_good,
        code: SQLITE_IOERR_FSYNC,
        of: is_sync,
    }
}

/// A disk after failed syncs, and the moment of the first failure.
struct Left {
    folder: TempDir,
    disk: Arc<Disk>,
    witness: Arc<Witness>,
    since: usize,
}

impl Left {
    /// An intact disk with a ledger whose records are checkpointed, so that the log of later hosts
    /// does not cover them.
    async fn whole(random: &mut Random) -> Self {
        let (folder, disk) = on(Disk::default());
        let witness = Arc::new(Witness::of(&disk));
        let left = Self {
            folder,
            disk,
            witness,
            since: 0,
        };
        let first = left.open();
        for key in 0..KEYS {
            left.witness.write(&first, key, random).await;
        }
        left
    }

    /// Of two hosts: one sync fails, or all from there on. They end without being able to move the log, as if they were
    /// killed.
    async fn by_two(random: &mut Random) -> Self {
        let mut left = Self::whole(random).await;
        let hosts = [left.open(), left.open()];
        for _ in 0..random.below(3) {
            left.witness
                .write(&hosts[0], random.below(KEYS), random)
                .await;
        }
        left.since = left.disk.now();
        left.disk.fail(Some(failing(
            random.below(4) as usize,
            random.below(2) == 0,
        )));
        for _ in 0..=random.below(6) {
            left.witness
                .write(&hosts[random.below(2) as usize], random.below(KEYS), random)
                .await;
        }
        left.disk.fail(Some(failing(0, true)));
        drop(hosts);
        left.disk.fail(None);
        left
    }

    fn ledger(&self) -> PathBuf {
        ledger_in(&self.folder)
    }

    fn open(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(self.ledger()).unwrap())
    }

    fn opened_by_two_at_once(&self) -> [Arc<SqliteStore>; 2] {
        let together = Barrier::new(2);
        let open = || {
            together.wait();
            self.open()
        };
        thread::scope(|scope| {
            [scope.spawn(open), scope.spawn(open)].map(|opening| opening.join().unwrap())
        })
    }

    /// A host opens the ledger if it can, writes, and ends, while syncs fail from this one on.
    async fn visited(&self, first: usize, random: &mut Random) {
        self.disk.fail(Some(failing(first, true)));
        if let Ok(store) = SqliteStore::open(self.ledger()).map(Arc::new) {
            self.witness.write(&store, random.below(KEYS), random).await;
        }
        self.disk.fail(None);
    }

    /// The losses on a disk of each moment since syncs failed, and the number of disks.
    async fn missing(&self, random: &mut Random) -> (Vec<String>, u64) {
        let mut missing = Vec::new();
        let moments = self.since..=self.disk.now();
        for at in moments.clone() {
            let lacks = look_at_image(&self.disk, at, &self.witness, random).await;
            missing.extend(lacks.into_iter().map(|lack| format!("at {at}: {lack}")));
        }
        (missing, moments.count() as u64)
    }
}

/// Whatever was dropped: the next host shows only what a power loss cannot take back, and its ledger goes on.
#[tokio::test]
async fn at_any_moment() {
    let wish = Wish::of("SEMEL_SOAK_IMAGES", IMAGES);
    let (mut seed, mut images) = (wish.seed, 0);
    while images < wish.times && !wish.is_over() {
        let mut random = Random(seed);
        let left = Left::by_two(&mut random).await;
        for _ in 0..random.below(3) {
            let first = random.below(6) as usize;
            left.visited(first, &mut random).await;
        }
        let [next, other] = left.opened_by_two_at_once();
        for key in 0..KEYS {
            left.witness.write(&next, key, &mut random).await;
            assert!(
                left.witness.is_acknowledged(key),
                "seed {seed}: the ledger goes on"
            );
        }
        drop((next, other));
        let (missing, looked) = left.missing(&mut random).await;
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        (seed, images) = (seed.wrapping_add(1), images + looked);
    }
}

/// The disk is given back to a host that is alone and has never read. It is the first to come to its own log, unless it
/// keeps hold of the ledger.
#[tokio::test]
async fn a_host_does_not_come_back_to_its_own_log() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut left = Left::whole(&mut random).await;
        let host = left.open();
        // There is something to be moved into the database, so that a log is not given up unsynced.
        left.witness.write_on(&host, 99, None, &mut random).await;
        left.since = left.disk.now();
        left.disk.fail(Some(failing(0, true)));
        for key in [100, 101] {
            left.witness.write_on(&host, key, None, &mut random).await;
            assert!(!left.witness.is_acknowledged(key));
        }
        left.disk.fail(None);
        for key in [102, 103] {
            left.witness.write_on(&host, key, None, &mut random).await;
            assert!(left.witness.is_acknowledged(key));
        }
        let (missing, _) = left.missing(&mut random).await;
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    }
}

/// Opens the ledger and closes it, as any program does that leaves it to SQLite.
fn opened_without_care(ledger: &Path) {
    let other = rusqlite::Connection::open(ledger).unwrap();
    other
        .query_row("SELECT count(*) FROM entry", [], |_| Ok(()))
        .unwrap();
}

/// The control: what SQLite finds in the log it takes to be there.
#[tokio::test]
async fn control_whoever_trusts_the_log_loses_records() {
    let mut missing = Vec::new();
    for seed in 0..20 {
        let mut random = Random(seed);
        let left = Left::by_two(&mut random).await;
        opened_without_care(&left.ledger());
        missing.extend(left.missing(&mut random).await.0);
    }
    println!(
        "{} of what the disks lack: {:?}",
        missing.len(),
        missing.first()
    );
    assert!(!missing.is_empty());
}
