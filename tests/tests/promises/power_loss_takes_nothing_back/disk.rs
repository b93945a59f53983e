//! A disk that remembers what it was asked, so that it can show what it might hold after the power failed at any moment.
//!
//! Synced data is on the disk. Of unsynced data, each sector of 512 bytes may be there or not,
//! independently of the others; so may a file's length. A deleted name may still exist until its
//! folder is synced. A sync that failed has dropped the unsynced data for good, although reads
//! still return it.

use crate::random::Random;
use std::{collections::BTreeMap, ffi::c_int, sync::Mutex};

const SECTOR: usize = 512;

/// A change of a file.
#[derive(Debug, Clone)]
pub enum Change {
    Write {
        at: usize,
        content: Vec<u8>,
    },
    Truncate {
        size: usize,
    },
    /// `folder`: the names in the folder are synced with it.
    Sync {
        folder: bool,
    },
    /// `synced`: the name is gone for good.
    Delete {
        synced: bool,
    },
}

/// Which of what is asked of the disk fails, and how.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    pub first: usize,
    pub for_good: bool,
    pub code: c_int,
    /// Only such.
    pub of: fn(&Change) -> bool,
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    log: Vec<(String, Done)>,
    failing: Option<Failing>,
    asked: usize,
    lies: bool,
}

#[derive(Debug, Clone)]
enum Done {
    Change(Change),
    SyncFailed,
}

impl Disk {
    /// A disk that reports a sync of the write-ahead log and does not do it: the effect of
    /// `synchronous=NORMAL`.
    pub fn that_lies() -> Self {
        Self(Mutex::new(State {
            lies: true,
            ..State::default()
        }))
    }

    /// From now on this fails, counted from now.
    pub fn fail(&self, failing: Option<Failing>) {
        let mut state = self.0.lock().unwrap();
        (state.failing, state.asked) = (failing, 0);
    }

    /// The number of fallible operations since the failure was armed.
    pub fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    /// The number of changes so far.
    pub fn now(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    /// Records a change, and performs it by `make`, which gets the number of bytes to write.
    pub fn change(&self, file: &str, change: Change, make: impl FnOnce(usize) -> c_int) -> c_int {
        let mut state = self.0.lock().unwrap();
        match state.fate(&change) {
            None => {
                let bytes = if let Change::Write { content, .. } = &change {
                    content.len()
                } else {
                    0
                };
                let made = make(bytes);
                if !(state.lies && file.ends_with("-wal") && matches!(change, Change::Sync { .. }))
                {
                    state.log.push((file.to_owned(), Done::Change(change)));
                }
                made
            }
            Some(code) => {
                match change {
                    // The disk was full in the middle of it.
                    Change::Write { at, mut content } if content.len() > SECTOR => {
                        content.truncate(content.len() / 2);
                        make(content.len());
                        state
                            .log
                            .push((file.to_owned(), Done::Change(Change::Write { at, content })));
                    }
                    Change::Sync { .. } => state.log.push((file.to_owned(), Done::SyncFailed)),
                    _ => {}
                }
                code
            }
        }
    }

    /// A possible content of the disk if the power fails at this moment.
    pub fn after_power_loss(&self, at: usize, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut files: BTreeMap<String, Platter> = BTreeMap::new();
        for (file, done) in &self.0.lock().unwrap().log[..at] {
            files
                .entry(file.clone())
                .or_insert_with(|| Platter::of(file))
                .take(done, random);
            if matches!(
                done,
                Done::Change(Change::Sync { folder: true } | Change::Delete { synced: true })
            ) {
                files.values_mut().for_each(Platter::lose_old_names);
            }
        }
        files
            .into_iter()
            .filter_map(|(file, platter)| Some((file, platter.lose_power(random)?)))
            .collect()
    }
}

impl State {
    fn fate(&mut self, change: &Change) -> Option<c_int> {
        let failing = self.failing.filter(|failing| (failing.of)(change))?;
        let number = self.asked;
        self.asked += 1;
        let fails = number == failing.first || (failing.for_good && number > failing.first);
        fails.then_some(failing.code)
    }
}

/// The recorded history of one file.
#[derive(Debug, Default)]
struct Platter {
    /// None: it is not there.
    synced: Option<Vec<u8>>,
    pending: Vec<Change>,
}

impl Platter {
    /// The database itself is made, and its name synced, before SQLite hears of it.
    fn of(file: &str) -> Self {
        let is_made = !file.ends_with("-wal") && !file.ends_with("-journal");
        Self {
            synced: is_made.then(Vec::new),
            pending: Vec::new(),
        }
    }

    fn take(&mut self, done: &Done, random: &mut Random) {
        match done {
            Done::Change(Change::Sync { .. }) => {
                let pending = std::mem::take(&mut self.pending);
                pending.iter().for_each(|change| self.keep(change));
                self.synced.get_or_insert_default();
            }
            Done::Change(change) => self.pending.push(change.clone()),
            Done::SyncFailed => self.keep_some(random),
        }
    }

    /// The folder is synced: files that were deleted are gone for good.
    fn lose_old_names(&mut self) {
        if let Some(last) = self
            .pending
            .iter()
            .rposition(|change| matches!(change, Change::Delete { .. }))
        {
            self.pending.drain(..=last);
            self.synced = None;
        }
    }

    fn keep(&mut self, change: &Change) {
        match change {
            Change::Write { at, content } => put(self.synced.get_or_insert_default(), *at, content),
            Change::Truncate { size } => self.synced.get_or_insert_default().resize(*size, 0),
            Change::Delete { .. } => self.synced = None,
            Change::Sync { .. } => {}
        }
    }

    /// Keeps what chance leaves of what is not synced.
    fn keep_some(&mut self, random: &mut Random) {
        // All, none, or anything between.
        let odds = [0, 100, random.below(101)][random.below(3) as usize];
        let mut keeps = || random.below(100) < odds;
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { at, content } => {
                    let mut from = 0;
                    while from < content.len() {
                        let to = (from + SECTOR - (at + from) % SECTOR).min(content.len());
                        if keeps() {
                            self.keep(&Change::Write {
                                at: at + from,
                                content: content[from..to].to_vec(),
                            });
                        }
                        from = to;
                    }
                }
                // The old file is still there under its name, and what comes is another without one.
                Change::Delete { .. } if !keeps() => return,
                Change::Truncate { .. } if !keeps() => {}
                change => self.keep(&change),
            }
        }
    }

    fn lose_power(mut self, random: &mut Random) -> Option<Vec<u8>> {
        self.keep_some(random);
        self.synced
    }
}

fn put(file: &mut Vec<u8>, at: usize, content: &[u8]) {
    if file.len() < at + content.len() {
        file.resize(at + content.len(), 0);
    }
    file[at..at + content.len()].copy_from_slice(content);
}

#[test]
fn what_is_not_synced_may_be_lost_in_parts() {
    let disk = Disk::default();
    let change = |change| disk.change("a", change, |_| 0);
    change(Change::Write {
        at: 0,
        content: vec![1; 2 * SECTOR],
    });
    change(Change::Sync { folder: false });
    let synced = disk.now();
    change(Change::Write {
        at: SECTOR / 2,
        content: vec![2; SECTOR],
    });
    let mut random = Random(1);
    assert_eq!(
        disk.after_power_loss(synced, &mut random)["a"],
        vec![1; 2 * SECTOR]
    );
    let images = (0..100).map(|_| {
        disk.after_power_loss(disk.now(), &mut random)
            .remove("a")
            .unwrap()
    });
    let seen: std::collections::BTreeSet<_> = images
        .map(|image| (image[SECTOR - 1], image[SECTOR]))
        .collect();
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)].into());
}
