//! Equivalence with the store in memory: any sequence of requests gets the same answers.
//!
//! The steps are drawn from numbers, so that a test can generate and shrink them with any tool.

use super::{Fixture, handle, key, operation, tenant};
use semel_core::{
    ledger::{Entry, State, StateLabel},
    model::Incarnation,
};
use semel_store::{
    Clock, ClockReading, EntryQuery, MemoryStore, Retention, SettableClock, Store, Version,
};
use std::{sync::Arc, time::Duration};

/// The number of keys that the steps use.
const KEYS: u64 = 3;

#[derive(Debug, Clone)]
enum StoreStep {
    Create {
        key: u32,
        entry: Arc<Entry>,
        keep: Retention,
    },
    Replace {
        key: u32,
        version: VersionAge,
        entry: Arc<Entry>,
        keep: Retention,
    },
    Remove {
        key: u32,
        version: VersionAge,
    },
    Get {
        key: u32,
    },
    List(EntryQuery),
    Purge {
        at_most: usize,
    },
    Pass {
        ms: u64,
    },
    SetBack {
        ms: u64,
    },
    Reboot,
}

/// The index of a version among all versions ever written at a key, counted from the latest.
type VersionAge = usize;

/// A number that smaller numbers are drawn from.
struct NumberSource(u64);

impl NumberSource {
    fn below(&mut self, end: u64) -> u64 {
        let drawn = self.0 % end;
        self.0 /= end;
        drawn
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let drawn = self.below(all.len() as u64);
        all[usize::try_from(drawn).unwrap_or(0)].clone()
    }

    fn key(&mut self) -> u32 {
        self.of(&[0, 1, 2])
    }

    fn step(&mut self) -> StoreStep {
        match self.below(23) {
            0..5 => StoreStep::Create {
                key: self.key(),
                keep: self.keep(),
                entry: self.entry(),
            },
            5..10 => StoreStep::Replace {
                key: self.key(),
                version: self.which(),
                keep: self.keep(),
                entry: self.entry(),
            },
            10..12 => StoreStep::Remove {
                key: self.key(),
                version: self.which(),
            },
            12..15 => StoreStep::Get { key: self.key() },
            15..18 => StoreStep::List(self.query()),
            // All or none: each store purges in an order of its own, which a clock set back later
            // would show.
            18 => StoreStep::Purge {
                at_most: self.of(&[0, 100]),
            },
            19 | 20 => StoreStep::Pass {
                ms: self.below(30_000),
            },
            21 => StoreStep::SetBack {
                ms: self.below(30_000),
            },
            _ => StoreStep::Reboot,
        }
    }

    fn which(&mut self) -> VersionAge {
        self.of(&[0, 0, 0, 0, 0, 1, 2, 3])
    }

    fn keep(&mut self) -> Retention {
        match self.below(8) {
            0..3 => Retention::UntilRemoved,
            3 => Retention::Seconds(self.of(&[u64::MAX, u64::MAX / 1000])),
            _ => Retention::Seconds(self.below(40)),
        }
    }

    fn entry(&mut self) -> Arc<Entry> {
        let reason = || "a sample".to_owned();
        let states = [
            State::Started,
            State::InDoubt { reason: reason() },
            State::Held {
                reason: reason(),
                two_effects: true,
            },
            State::Waiting {
                continuation: reason(),
                limit_seconds: 10,
            },
            State::Undone {
                by: None,
                delivered: true,
            },
        ];
        let of = self.of(&["acme", "zenith"]);
        if self.below(2) == 0 {
            operation(of, self.of(&states))
        } else {
            handle(of, self.of(&[0, 1, u32::MAX]))
        }
    }

    fn query(&mut self) -> EntryQuery {
        let tenants = [None, Some("acme"), Some("zenith"), Some("nobody")];
        let states = (0..self.below(3))
            .map(|_| self.of(&StateLabel::ALL))
            .collect();
        EntryQuery {
            tenant: self.of(&tenants).map(tenant),
            states,
            due: self.below(2) == 1,
            after: self.of(&[None, Some(0), Some(1), Some(2)]).map(key),
            limit: self.of(&[0, 1, 2, 3]),
        }
    }
}

/// The fixture's clock, as the store under test understands it.
#[derive(Debug)]
struct FixtureClock {
    clock: Arc<SettableClock>,
    is_steady: bool,
}

impl Clock for FixtureClock {
    fn now(&self) -> ClockReading {
        let shown = self.clock.now();
        if self.is_steady {
            shown
        } else {
            ClockReading::from_wall(shown.wall_ms)
        }
    }
}

/// The store in memory, the store under test, and the versions that were written at each key.
struct StorePair<'a> {
    clock: &'a SettableClock,
    stores: [(Arc<dyn Store>, Incarnation); 2],
    versions: [Vec<Version>; KEYS as usize],
    writes: u128,
}

impl<'a> StorePair<'a> {
    async fn of(on: &'a Fixture) -> Self {
        let understood = Arc::new(FixtureClock {
            clock: Arc::clone(&on.clock),
            is_steady: on.is_steady,
        });
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(understood));
        let its = memory
            .get(key(0))
            .await
            .expect("the store in memory reads")
            .1
            .incarnation;
        let other = on.store_time().await.incarnation;
        let stores = [(memory, its), (Arc::clone(&on.store), other)];
        Self {
            clock: &on.clock,
            stores,
            versions: Default::default(),
            writes: 0,
        }
    }

    /// Returns the answer of each store as text, without the incarnations, in which they differ.
    async fn both(&self, ask: impl AsyncFn(&dyn Store) -> String) -> [String; 2] {
        let [(one, its), (other, others)] = &self.stores;
        let blind = |answer: String, incarnation: &Incarnation| {
            answer.replace(&format!("{incarnation:?}"), "…")
        };
        [
            blind(ask(&**one).await, its),
            blind(ask(&**other).await, others),
        ]
    }

    /// Returns the version for the next write, and the version that `which` selects.
    fn versions(&mut self, key: u32, which: VersionAge) -> (Version, Version) {
        self.writes += 1;
        let new = Version::from_bytes(self.writes.to_be_bytes());
        let written = &mut self.versions[key as usize];
        let meant = written.iter().rev().nth(which).copied().unwrap_or(new);
        written.push(new);
        (new, meant)
    }

    async fn take(&mut self, step: &StoreStep) -> [String; 2] {
        match step {
            StoreStep::Create {
                key: number,
                entry,
                keep,
            } => {
                let (new, _) = self.versions(*number, 0);
                self.both(async |store| {
                    format!("{:?}", store.create(key(*number), entry, new, *keep).await)
                })
                .await
            }
            StoreStep::Replace {
                key: number,
                version,
                entry,
                keep,
            } => {
                let (new, meant) = self.versions(*number, *version);
                self.both(async |store| {
                    format!(
                        "{:?}",
                        store.replace(key(*number), meant, entry, new, *keep).await
                    )
                })
                .await
            }
            StoreStep::Remove {
                key: number,
                version,
            } => {
                let (_, meant) = self.versions(*number, *version);
                self.both(async |store| format!("{:?}", store.remove(key(*number), meant).await))
                    .await
            }
            StoreStep::Get { key: number } => {
                self.both(async |store| format!("{:?}", store.get(key(*number)).await))
                    .await
            }
            StoreStep::List(query) => {
                self.both(async |store| format!("{:?}", store.list(query).await))
                    .await
            }
            StoreStep::Purge { at_most } => {
                self.both(async |store| format!("{:?}", store.purge(*at_most).await))
                    .await
            }
            StoreStep::Pass { ms } => {
                self.set(|clock, _| clock.advance(Duration::from_millis(*ms)))
            }
            StoreStep::SetBack { ms } => {
                self.set(|clock, now| clock.set_wall_ms(now.wall_ms.saturating_sub(*ms)))
            }
            StoreStep::Reboot => self.set(|clock, _| clock.reboot()),
        }
    }

    fn set(&self, set: impl FnOnce(&SettableClock, ClockReading)) -> [String; 2] {
        set(self.clock, self.clock.now());
        [String::new(), String::new()]
    }
}

/// Executes a step for each number on this store and on one in memory, and compares their answers.
/// For stores that list no more than matches.
///
/// # Panics
/// If the answers differ.
pub async fn answers_like_memory(on: &Fixture, numbers: &[u64]) {
    let mut pair = StorePair::of(on).await;
    for number in numbers {
        let step = NumberSource(*number).step();
        let [memory, other] = pair.take(&step).await;
        assert_eq!(memory, other, "after {step:?}");
    }
}
