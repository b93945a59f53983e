//! The store that forgets: entries in the memory of this process. It is the reference that others are held against.
//!
//! Absent: any way to share it between processes, and a limit on the size of an entry (nothing is written out; what
//! fits into an entry is limited before it comes here).

use super::{
    Backoff, ChangeNotifier, Clock, CreateResult, EntryQuery, KeyPage, PAGE_MAX, RemoveResult,
    ReplaceResult, Retention, Store, StoreError, StoredEntry, SystemClock, Version,
};
use async_trait::async_trait;
use semel_core::{
    ledger::{Entry, EntryLabels},
    model::{Durability, Incarnation, Stamp, StoreKey},
};
use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, RandomState},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The store that forgets.
pub struct MemoryStore {
    shelf: Mutex<Shelf>,
    clock: Arc<dyn Clock>,
    waiters: ChangeNotifier,
}

impl MemoryStore {
    /// How many entries it holds at the most. Where it is full, creations are refused.
    pub const ENTRIES_MAX: usize = 1 << 20;

    /// An empty store, by the clocks of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// An empty store, by this clock: for tests of whatever depends on time.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            shelf: Mutex::new(Shelf::empty()),
            clock,
            waiters: ChangeNotifier::new(),
        }
    }

    /// Forgets everything, as the end of the process would. The store's stamps tell so by another incarnation.
    pub fn forget(&self) {
        *self.open().0 = Shelf::empty();
        self.waiters.notify_all();
    }

    /// The shelf for one access, and the time of it: whoever comes later to the shelf has a later stamp.
    fn open(&self) -> (MutexGuard<'_, Shelf>, Stamp) {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().stamp(shelf.incarnation);
        (shelf, now)
    }

    fn version(&self, key: StoreKey) -> Option<Version> {
        let (shelf, now) = self.open();
        shelf.present(key, now).map(|slot| slot.stored.version)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("entries", &self.open().0.slots.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let (mut shelf, now) = self.open();
        if let Some(slot) = shelf.present(key, now) {
            return Ok(CreateResult::Exists(slot.stored.clone(), now));
        }
        shelf.make_room(key, now)?;
        shelf
            .slots
            .insert(key, Slot::new(entry, version, keep, now, now));
        Ok(CreateResult::Created(now))
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let (mut shelf, now) = self.open();
        match shelf.present(key, now) {
            Some(slot) if slot.stored.version == expected => {
                let created = slot.stored.created;
                shelf
                    .slots
                    .insert(key, Slot::new(entry, version, keep, created, now));
                self.waiters.notify(key);
                Ok(ReplaceResult::Replaced(now))
            }
            other => Ok(ReplaceResult::Changed(
                other.map(|slot| slot.stored.clone()),
                now,
            )),
        }
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let (mut shelf, now) = self.open();
        match shelf.present(key, now) {
            Some(slot) if slot.stored.version == expected => {
                shelf.slots.remove(&key);
                self.waiters.notify(key);
                Ok(RemoveResult::Removed)
            }
            other => Ok(RemoveResult::Changed(
                other.map(|slot| slot.stored.clone()),
                now,
            )),
        }
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        let (shelf, now) = self.open();
        Ok((shelf.present(key, now).map(|slot| slot.stored.clone()), now))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let (shelf, now) = self.open();
        let after = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut matching = shelf
            .slots
            .range((after, Bound::Unbounded))
            .filter(|(_, slot)| !slot.is_past_end(now) && slot.matches(query, now))
            .map(|(key, _)| *key);
        let keys = matching.by_ref().take(query.limit.min(PAGE_MAX)).collect();
        Ok(KeyPage {
            keys,
            more: matching.next().is_some(),
        })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let (mut shelf, now) = self.open();
        Ok(shelf.purge(at_most, now))
    }

    /// There is no file.
    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let has_changed = || std::future::ready(self.version(key) != Some(since));
        self.waiters
            .wait_until_changed(key, at_most, Backoff::NEVER, has_changed)
            .await;
    }

    fn durability(&self) -> Durability {
        Durability::Nothing
    }

    fn reads_cheaply(&self) -> bool {
        false
    }
}

struct Shelf {
    slots: BTreeMap<StoreKey, Slot>,
    incarnation: Incarnation,
}

impl Shelf {
    fn empty() -> Self {
        Self {
            slots: BTreeMap::new(),
            incarnation: Incarnation(RandomState::new().hash_one("shelf")),
        }
    }

    /// What lies at the key and is not past its end.
    fn present(&self, key: StoreKey, now: Stamp) -> Option<&Slot> {
        self.slots.get(&key).filter(|slot| !slot.is_past_end(now))
    }

    /// Sees to it that one more entry may be written at the key.
    fn make_room(&mut self, key: StoreKey, now: Stamp) -> Result<(), StoreError> {
        let full = |shelf: &Self| {
            shelf.slots.len() >= MemoryStore::ENTRIES_MAX && !shelf.slots.contains_key(&key)
        };
        if full(self) {
            self.purge(usize::MAX, now);
        }
        if full(self) {
            return Err(StoreError::not_executed(format!(
                "the memory ledger is full with {} entries: keep the ledger in a file, or shorten the windows",
                MemoryStore::ENTRIES_MAX
            )));
        }
        Ok(())
    }

    fn purge(&mut self, at_most: usize, now: Stamp) -> usize {
        self.slots
            .extract_if(.., |_, slot| slot.is_past_end(now))
            .take(at_most)
            .count()
    }
}

struct Slot {
    stored: StoredEntry,
    labels: EntryLabels,
    /// By the wall clock; none: kept until somebody removes it.
    end_ms: Option<u64>,
}

impl Slot {
    fn new(
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
        created: Stamp,
        written: Stamp,
    ) -> Self {
        Self {
            labels: entry.labels(),
            end_ms: keep.end_ms(written),
            stored: StoredEntry {
                entry: Arc::clone(entry),
                version,
                created,
                written,
            },
        }
    }

    fn is_past_end(&self, now: Stamp) -> bool {
        self.end_ms.is_some_and(|end_ms| end_ms <= now.wall_ms)
    }

    fn matches(&self, query: &EntryQuery, now: Stamp) -> bool {
        let EntryQuery {
            tenant,
            states,
            due,
            after: _,
            limit: _,
        } = query;
        tenant
            .as_ref()
            .is_none_or(|tenant| self.labels.tenant.as_ref() == Some(tenant))
            && (states.is_empty() || states.contains(&self.labels.state))
            && (!due || self.is_due(now))
    }

    /// Whether it is due by either clock, or because the machine was started anew: never too few are listed.
    fn is_due(&self, now: Stamp) -> bool {
        let written = self.stored.written;
        self.labels.due_in_seconds.is_some_and(|seconds| {
            let due_in_ms = u64::from(seconds) * 1000;
            written.boot != now.boot
                || written.wall_ms.saturating_add(due_in_ms) <= now.wall_ms
                || written.steady_ms.saturating_add(due_in_ms) <= now.steady_ms
        })
    }
}
