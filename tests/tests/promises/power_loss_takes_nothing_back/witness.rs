//! A witness of what a ledger acknowledged and returned, and when. Later it names what is missing.

use super::disk::Disk;
use crate::random::Random;
use semel::{
    ledger::{Retention, State},
    store::{CreateResult, ReplaceResult, SqliteStore, Store, StoreError, Version},
};
use semel_conformance::{fresh_version, key, operation};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The state of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Begun,
    /// Acknowledged, or shown to a reader, before this moment of the disk.
    Known {
        by: usize,
    },
    /// Certainly not written.
    NotExecuted,
}

/// The versions of each key, in the order of their writing.
#[derive(Debug)]
pub struct Witness {
    disk: Arc<Disk>,
    fates: Mutex<BTreeMap<u64, Vec<Fate>>>,
}

fn version(key: u64, number: usize) -> Version {
    Version::from_bytes((u128::from(key) << 64 | number as u128).to_be_bytes())
}

fn number(version: Version) -> usize {
    u128::from_be_bytes(*version.as_bytes()) as u64 as usize
}

impl Witness {
    pub fn of(disk: &Arc<Disk>) -> Self {
        Self {
            disk: Arc::clone(disk),
            fates: Mutex::default(),
        }
    }

    /// Writes the next version of this key, of any size, and notes what came of it.
    pub async fn write(&self, store: &Arc<SqliteStore>, at: u64, random: &mut Random) {
        if let Some(present) = self.look(store, at).await {
            self.write_on(store, at, present, random).await;
        }
    }

    /// The same, on this version. None: on nothing.
    pub async fn write_on(
        &self,
        store: &Arc<SqliteStore>,
        at: u64,
        present: Option<Version>,
        random: &mut Random,
    ) {
        let next = self.begin(at);
        let reason = "x".repeat(random.below(6_000) as usize);
        let entry = operation(
            "acme",
            State::Held {
                reason,
                two_effects: false,
            },
        );
        let (place, version) = (key(at as u32), version(at, next));
        let written = match present {
            None => store
                .create(place, &entry, version, Retention::UntilRemoved)
                .await
                .map(|created| matches!(created, CreateResult::Created(_))),
            Some(present) => {
                let replaced = store
                    .replace(place, present, &entry, version, Retention::UntilRemoved)
                    .await;
                replaced.map(|replaced| matches!(replaced, ReplaceResult::Replaced(_)))
            }
        };
        match written {
            Ok(done) => {
                assert!(done, "nobody else writes this key");
                self.know(at, next);
            }
            Err(StoreError::NotExecuted(_)) => self.note(at, next, Fate::NotExecuted),
            Err(StoreError::Unknown(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// The stored version, if the ledger can return it. What it returns counts as acknowledged.
    async fn look(&self, store: &SqliteStore, at: u64) -> Option<Option<Version>> {
        let (stored, _) = store.get(key(at as u32)).await.ok()?;
        let present = stored.map(|stored| stored.version);
        if let Some(version) = present {
            self.know(at, number(version));
        }
        Some(present)
    }

    fn begin(&self, at: u64) -> usize {
        let mut fates = self.fates.lock().unwrap();
        let versions = fates.entry(at).or_default();
        versions.push(Fate::Begun);
        versions.len() - 1
    }

    fn know(&self, at: u64, number: usize) {
        let by = self.disk.now();
        let mut fates = self.fates.lock().unwrap();
        let fate = &mut fates.get_mut(&at).unwrap()[number];
        assert_ne!(*fate, Fate::NotExecuted, "what was not executed is shown");
        if *fate == Fate::Begun {
            *fate = Fate::Known { by };
        }
    }

    fn note(&self, at: u64, number: usize, fate: Fate) {
        self.fates.lock().unwrap().get_mut(&at).unwrap()[number] = fate;
    }

    pub fn is_acknowledged(&self, at: u64) -> bool {
        matches!(
            self.fates.lock().unwrap()[&at].last(),
            Some(Fate::Known { .. })
        )
    }

    /// The differences between `store` and all that was known by this moment.
    pub async fn missing(&self, store: &SqliteStore, moment: usize) -> Vec<String> {
        let fates = self.fates.lock().unwrap().clone();
        let mut missing = Vec::new();
        for (at, fates) in fates {
            let known = fates
                .iter()
                .rposition(|fate| matches!(fate, Fate::Known { by } if *by <= moment));
            let found = match store.get(key(at as u32)).await {
                Ok((found, _)) => found.map(|stored| number(stored.version)),
                Err(error) => {
                    missing.push(format!("key {at}: {error}"));
                    continue;
                }
            };
            let sound =
                found >= known && found.is_none_or(|found| fates[found] != Fate::NotExecuted);
            if !sound {
                missing.push(format!(
                    "key {at}: {found:?} instead of {known:?} of {fates:?}"
                ));
            }
        }
        missing
    }
}

/// Why a ledger that was opened takes no more.
pub async fn cannot_write(store: &SqliteStore) -> Option<String> {
    let entry = operation(
        "acme",
        State::Undone {
            by: None,
            delivered: true,
        },
    );
    let created = store
        .create(
            key(u32::MAX),
            &entry,
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await;
    (!matches!(created, Ok(CreateResult::Created(_)))).then(|| format!("{created:?}"))
}
