//! Whatever is asked in whatever order, a store answers as the one in memory does.
//!
//! The steps are drawn from numbers, so that a test can make them up with whatever it has, and shrink them.

use super::{Fixture, handle, key, operation, tenant};
use semel_core::{
    ledger::{Entry, State, StateLabel},
    model::Incarnation,
};
use semel_store::{
    Clock, ClockReading, EntryQuery, MemoryStore, Retention, SettableClock, Store, Version,
};
use std::{sync::Arc, time::Duration};

/// How many keys the steps are about.
const KEYS: u64 = 3;

#[derive(Debug, Clone)]
enum Step {
    Create {
        key: u32,
        entry: Arc<Entry>,
        keep: Retention,
    },
    Replace {
        key: u32,
        version: Which,
        entry: Arc<Entry>,
        keep: Retention,
    },
    Remove {
        key: u32,
        version: Which,
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

/// Which of the versions ever written at a key, counted from the last.
type Which = usize;

/// A number, from which small ones are drawn until it is used up.
struct Draw(u64);

impl Draw {
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

    fn step(&mut self) -> Step {
        match self.below(23) {
            0..5 => Step::Create {
                key: self.key(),
                keep: self.keep(),
                entry: self.entry(),
            },
            5..10 => Step::Replace {
                key: self.key(),
                version: self.which(),
                keep: self.keep(),
                entry: self.entry(),
            },
            10..12 => Step::Remove {
                key: self.key(),
                version: self.which(),
            },
            12..15 => Step::Get { key: self.key() },
            15..18 => Step::List(self.query()),
            // All or none: which go first is each store's own affair, and shows if the clock is set back afterwards.
            18 => Step::Purge {
                at_most: self.of(&[0, 100]),
            },
            19 | 20 => Step::Pass {
                ms: self.below(30_000),
            },
            21 => Step::SetBack {
                ms: self.below(30_000),
            },
            _ => Step::Reboot,
        }
    }

    fn which(&mut self) -> Which {
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
            State::Undone { by: None },
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

/// The moments of a clock as a store of some kind understands them.
#[derive(Debug)]
struct Understood {
    clock: Arc<SettableClock>,
    is_steady: bool,
}

impl Clock for Understood {
    fn now(&self) -> ClockReading {
        let shown = self.clock.now();
        if self.is_steady {
            shown
        } else {
            ClockReading::from_wall(shown.wall_ms)
        }
    }
}

/// Both stores, and the versions that were written at each key.
struct Pair<'a> {
    clock: &'a SettableClock,
    stores: [(Arc<dyn Store>, Incarnation); 2],
    versions: [Vec<Version>; KEYS as usize],
    writes: u128,
}

impl<'a> Pair<'a> {
    async fn of(on: &'a Fixture) -> Self {
        let understood = Arc::new(Understood {
            clock: Arc::clone(&on.clock),
            is_steady: on.is_steady,
        });
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(understood));
        let its = memory
            .get(key(0))
            .await
            .expect("memory reads")
            .1
            .incarnation;
        let other = on.now().await.incarnation;
        let stores = [(memory, its), (Arc::clone(&on.store), other)];
        Self {
            clock: &on.clock,
            stores,
            versions: Default::default(),
            writes: 0,
        }
    }

    /// What each store answers, in words that do not tell the stores apart.
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

    /// A version for the next write, and the one that is meant by `which`.
    fn versions(&mut self, key: u32, which: Which) -> (Version, Version) {
        self.writes += 1;
        let new = Version::from_bytes(self.writes.to_be_bytes());
        let written = &mut self.versions[key as usize];
        let meant = written.iter().rev().nth(which).copied().unwrap_or(new);
        written.push(new);
        (new, meant)
    }

    async fn take(&mut self, step: &Step) -> [String; 2] {
        match step {
            Step::Create {
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
            Step::Replace {
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
            Step::Remove {
                key: number,
                version,
            } => {
                let (_, meant) = self.versions(*number, *version);
                self.both(async |store| format!("{:?}", store.remove(key(*number), meant).await))
                    .await
            }
            Step::Get { key: number } => {
                self.both(async |store| format!("{:?}", store.get(key(*number)).await))
                    .await
            }
            Step::List(query) => {
                self.both(async |store| format!("{:?}", store.list(query).await))
                    .await
            }
            Step::Purge { at_most } => {
                self.both(async |store| format!("{:?}", store.purge(*at_most).await))
                    .await
            }
            Step::Pass { ms } => self.set(|clock, _| clock.advance(Duration::from_millis(*ms))),
            Step::SetBack { ms } => {
                self.set(|clock, now| clock.set_wall_ms(now.wall_ms.saturating_sub(*ms)))
            }
            Step::Reboot => self.set(|clock, _| clock.reboot()),
        }
    }

    fn set(&self, set: impl FnOnce(&SettableClock, ClockReading)) -> [String; 2] {
        set(self.clock, self.clock.now());
        [String::new(), String::new()]
    }
}

/// Takes a step for each number, on this store and on one in memory, and holds their answers against each other. For
/// stores that list no more than they must.
///
/// # Panics
/// Where the answers differ.
pub async fn answers_as_memory_does(on: &Fixture, numbers: &[u64]) {
    let mut pair = Pair::of(on).await;
    for number in numbers {
        let step = Draw(*number).step();
        let [memory, other] = pair.take(&step).await;
        assert_eq!(memory, other, "after {step:?}");
    }
}
