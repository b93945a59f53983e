//! Callers that write and read a few keys at the same time, and note each request, its time, and
//! its answer.

use super::{
    random::Random,
    register::{Asked, EVENTS_MAX, Event, Told, is_linearizable},
};
use semel::{
    ledger::Entry,
    model::StoreKey,
    store::{
        CreateResult, RemoveResult, ReplaceResult, Retention, Store, StoreError, StoredEntry,
        Version,
    },
};
use semel_conformance::{entry, key};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The number of callers of a key.
const CALLERS: usize = 4;
const KEYS: usize = 3;

/// The number of requests of each caller.
const STEPS: usize = 12;
const IN_VAIN_MAX: usize = EVENTS_MAX / CALLERS - STEPS;

/// The totals of many histories.
#[derive(Debug, Default)]
pub struct Tally {
    pub histories: usize,
    pub events: usize,
    pub unknown: usize,
    /// Those that no order explains.
    pub wrong: Vec<Vec<Event>>,
    pub progress: Arc<Progress>,
}

/// The progress that the faults are timed by.
#[derive(Debug, Default)]
pub struct Progress {
    /// The number of answers of each store.
    pub answers: [AtomicUsize; 2],
    pub is_over: AtomicBool,
}

/// Lets callers of all these stores, which share a place, ask about the keys of one round.
pub async fn one_round(stores: &[Arc<dyn Store>], round: usize, seed: u64, tally: &mut Tally) {
    let mut asking = JoinSet::new();
    for at in 0..KEYS {
        for number in 0..CALLERS {
            let id = (round * KEYS + at) * CALLERS + number;
            let caller = Caller {
                store: Arc::clone(&stores[number % stores.len()]),
                host: number % stores.len(),
                key: key(u32::try_from(round * KEYS + at).unwrap()),
                number: u32::try_from(id).unwrap(),
                written: 0,
                known: None,
                progress: Arc::clone(&tally.progress),
                random: Random(seed.wrapping_add(id as u64)),
            };
            asking.spawn(async move { (at, caller.ask_often().await) });
        }
    }
    let mut histories: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    for (key, events) in asking.join_all().await {
        histories.entry(key).or_default().extend(events);
    }
    for mut history in histories.into_values() {
        history.sort_by_key(|event| event.begun_ns);
        tally.histories += 1;
        tally.events += history.len();
        tally.unknown += history.iter().filter(|event| event.ended.is_none()).count();
        if !is_linearizable(&history) {
            tally.wrong.push(history);
        }
    }
}

struct Caller {
    store: Arc<dyn Store>,
    host: usize,
    key: StoreKey,
    number: u32,
    written: u32,
    /// The last version that it received or wrote.
    known: Option<Version>,
    progress: Arc<Progress>,
    random: Random,
}

impl Caller {
    async fn ask_often(mut self) -> Vec<Event> {
        let (mut events, mut steps, mut in_vain) = (Vec::new(), 0, 0);
        let clock = Instant::now();
        while steps < STEPS && in_vain < IN_VAIN_MAX {
            let asked = self.next();
            let begun_ns = since_boot_ns();
            let told = self.ask(asked).await;
            let ended_ns = since_boot_ns();
            match told {
                Ok(told) => {
                    self.learn(asked, told);
                    events.push(Event {
                        asked,
                        begun_ns,
                        ended: Some((ended_ns, told)),
                    });
                    steps += 1;
                    self.progress.answers[self.host].fetch_add(1, Ordering::Relaxed);
                }
                // A read that failed is no event.
                Err(StoreError::Unknown(_)) if asked != Asked::Get => {
                    events.push(Event {
                        asked,
                        begun_ns,
                        ended: None,
                    });
                    in_vain += 1;
                }
                Err(StoreError::Entry(fault)) => panic!("{fault}"),
                Err(error) => {
                    assert!(
                        clock.elapsed() < Duration::from_secs(60),
                        "the store does not come back: {error}"
                    );
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
        }
        events
    }

    fn next(&mut self) -> Asked {
        let known = self.known.filter(|_| self.random.below(8) > 0);
        match (self.random.below(8), known) {
            (0..=3, Some(expected)) => Asked::Replace {
                expected,
                by: self.fresh(),
            },
            (4, Some(expected)) => Asked::Remove(expected),
            (0..=5, _) => Asked::Create(self.fresh()),
            _ => Asked::Get,
        }
    }

    /// A version that no other caller writes.
    fn fresh(&mut self) -> Version {
        self.written += 1;
        Version::from_bytes(
            (u128::from(self.number) << 16 | u128::from(self.written)).to_be_bytes(),
        )
    }

    fn learn(&mut self, asked: Asked, told: Told) {
        self.known = match (told, asked) {
            (Told::Found(lies), _) => lies,
            (Told::Done, Asked::Create(version) | Asked::Replace { by: version, .. }) => {
                Some(version)
            }
            (Told::Done, _) => None,
        };
    }

    async fn ask(&self, asked: Asked) -> Result<Told, StoreError> {
        let (store, key, keep) = (&self.store, self.key, Retention::UntilRemoved);
        Ok(match asked {
            Asked::Create(version) => {
                match store.create(key, &entry_of(version), version, keep).await? {
                    CreateResult::Created(_) => Told::Done,
                    CreateResult::Exists(stored, _) => found(Some(&stored)),
                }
            }
            Asked::Replace { expected, by } => match store
                .replace(key, expected, &entry_of(by), by, keep)
                .await?
            {
                ReplaceResult::Replaced(_) => Told::Done,
                ReplaceResult::Changed(stored, _) => found(stored.as_ref()),
            },
            Asked::Remove(expected) => match store.remove(key, expected).await? {
                RemoveResult::Removed => Told::Done,
                RemoveResult::Changed(stored, _) => found(stored.as_ref()),
            },
            Asked::Get => found(store.get(key).await?.0.as_ref()),
        })
    }
}

/// The entry that is written under this version only.
fn entry_of(version: Version) -> Arc<Entry> {
    entry(u128::from_be_bytes(*version.as_bytes()) as u32)
}

fn found(stored: Option<&StoredEntry>) -> Told {
    Told::Found(stored.map(|stored| {
        assert_eq!(
            stored.entry,
            entry_of(stored.version),
            "an entry lies there under another's version"
        );
        stored.version
    }))
}

/// A time that all processes of the machine share, and that cannot be set.
fn since_boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}
