//! The store in memory: entries of this process, which its end deletes. It is the reference for the
//! answers of other stores.
//!
//! Absent: sharing between processes, and a limit on the size of an entry, because nothing is
//! serialised.

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

/// The most entries of a store. A full store refuses creations.
const ENTRIES_MAX: usize = 1 << 20;

/// A store in memory, for tests and for tools without harmful effects.
pub struct MemoryStore {
    table: Mutex<EntryTable>,
    clock: Arc<dyn Clock>,
    notifier: ChangeNotifier,
}

impl MemoryStore {
    /// Creates an empty store with the clocks of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock::new()))
    }

    /// Creates an empty store with this clock, for tests.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Mutex::new(EntryTable::new()),
            clock,
            notifier: ChangeNotifier::new(),
        }
    }

    /// Deletes all entries, as the end of the process does. The incarnation in the store's stamps
    /// changes.
    pub fn forget(&self) {
        *self.lock().0 = EntryTable::new();
        self.notifier.notify_all();
    }

    /// Locks the table for one request, and reads the clock. The clock is read under the lock, so
    /// that stamps have the order of the requests.
    fn lock(&self) -> (MutexGuard<'_, EntryTable>, Stamp) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().stamp(table.incarnation);
        (table, now)
    }

    fn current_version(&self, key: StoreKey) -> Option<Version> {
        let (table, now) = self.lock();
        table.present(key, now).map(|slot| slot.stored.version)
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
            .field("entries", &self.lock().0.slots.len())
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
        let (mut table, now) = self.lock();
        if let Some(slot) = table.present(key, now) {
            return Ok(CreateResult::Exists(slot.stored.clone(), now));
        }
        table.make_room(key, now)?;
        table
            .slots
            .insert(key, TableSlot::new(entry, version, keep, now, now));
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
        let (mut table, now) = self.lock();
        match table.present(key, now) {
            Some(slot) if slot.stored.version == expected => {
                let created = slot.stored.created;
                table
                    .slots
                    .insert(key, TableSlot::new(entry, version, keep, created, now));
                self.notifier.notify(key);
                Ok(ReplaceResult::Replaced(now))
            }
            other => Ok(ReplaceResult::Changed(
                other.map(|slot| slot.stored.clone()),
                now,
            )),
        }
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        let (mut table, now) = self.lock();
        match table.present(key, now) {
            Some(slot) if slot.stored.version == expected => {
                table.slots.remove(&key);
                self.notifier.notify(key);
                Ok(RemoveResult::Removed)
            }
            other => Ok(RemoveResult::Changed(
                other.map(|slot| slot.stored.clone()),
                now,
            )),
        }
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        let (table, now) = self.lock();
        Ok((table.present(key, now).map(|slot| slot.stored.clone()), now))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        let (table, now) = self.lock();
        let after = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut matching = table
            .slots
            .range((after, Bound::Unbounded))
            .filter(|(_, slot)| !slot.is_expired(now) && slot.matches(query, now))
            .map(|(key, _)| *key);
        let keys = matching.by_ref().take(query.limit.min(PAGE_MAX)).collect();
        Ok(KeyPage {
            keys,
            more: matching.next().is_some(),
        })
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        let (mut table, now) = self.lock();
        Ok(table.purge(at_most, now))
    }

    /// Does nothing: there is no file.
    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let has_changed = || std::future::ready(self.current_version(key) != Some(since));
        self.notifier
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

struct EntryTable {
    slots: BTreeMap<StoreKey, TableSlot>,
    incarnation: Incarnation,
}

impl EntryTable {
    fn new() -> Self {
        Self {
            slots: BTreeMap::new(),
            incarnation: Incarnation(RandomState::new().hash_one("incarnation")),
        }
    }

    /// Returns the entry at the key, unless it has expired.
    fn present(&self, key: StoreKey, now: Stamp) -> Option<&TableSlot> {
        self.slots.get(&key).filter(|slot| !slot.is_expired(now))
    }

    /// Purges expired entries if the store is full, and fails if it still is.
    fn make_room(&mut self, key: StoreKey, now: Stamp) -> Result<(), StoreError> {
        let full =
            |table: &Self| table.slots.len() >= ENTRIES_MAX && !table.slots.contains_key(&key);
        if full(self) {
            self.purge(usize::MAX, now);
        }
        if full(self) {
            return Err(StoreError::not_executed(format!(
                "the memory ledger is full with {} entries: keep the ledger in a file, or shorten the windows",
                ENTRIES_MAX
            )));
        }
        Ok(())
    }

    fn purge(&mut self, at_most: usize, now: Stamp) -> usize {
        self.slots
            .extract_if(.., |_, slot| slot.is_expired(now))
            .take(at_most)
            .count()
    }
}

struct TableSlot {
    stored: StoredEntry,
    labels: EntryLabels,
    /// The end of the retention by the wall clock, or `None` for no end.
    end_ms: Option<u64>,
}

impl TableSlot {
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

    fn is_expired(&self, now: Stamp) -> bool {
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

    /// Returns whether the entry is due by either clock, or the machine was rebooted. A list may
    /// contain too much, never too little.
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
