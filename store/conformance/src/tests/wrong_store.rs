//! A store around the one in memory that does something wrong: what is asked of a store and what it answers, as values,
//! between which a fault is put.

use super::*;
use async_trait::async_trait;
use semel_core::{
    ledger::Entry,
    model::{Durability, Stamp, StoreKey},
};
use semel_store::{
    Clock, CreateResult, EntryQuery, KeyPage, MemoryStore, RemoveResult, ReplaceResult, Retention,
    SettableClock, Store, StoreError, StoredEntry,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// What is to be written.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) key: StoreKey,
    pub(super) entry: Arc<Entry>,
    pub(super) version: Version,
    pub(super) keep: Retention,
}

/// What is asked of a store.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Create(Write),
    Replace(Version, Write),
    ReplaceSoon(Version, Write),
    Remove(StoreKey, Version),
    Get(StoreKey),
    List(EntryQuery),
    Purge(usize),
    Scrub,
    Changed(StoreKey, Version, Duration),
}

impl Ask {
    /// What it would write, if anything.
    pub(super) fn write(&mut self) -> Option<&mut Write> {
        match self {
            Self::Create(write) | Self::Replace(_, write) | Self::ReplaceSoon(_, write) => {
                Some(write)
            }
            _ => None,
        }
    }

    /// Where, if anywhere.
    pub(super) fn key(&mut self) -> Option<&mut StoreKey> {
        match self {
            Self::Create(write) | Self::Replace(_, write) | Self::ReplaceSoon(_, write) => {
                Some(&mut write.key)
            }
            Self::Remove(key, _) | Self::Get(key) | Self::Changed(key, ..) => Some(key),
            Self::List(_) | Self::Purge(_) | Self::Scrub => None,
        }
    }
}

/// What a store answers.
#[derive(Debug)]
pub(super) enum Answer {
    Created(CreateResult),
    Replaced(ReplaceResult),
    Removed(RemoveResult),
    Got(Option<StoredEntry>, Stamp),
    Listed(KeyPage),
    Purged(usize),
    Done,
}

impl Answer {
    /// What was found, and the time, where it tells either.
    pub(super) fn parts(&mut self) -> (Option<&mut StoredEntry>, Option<&mut Stamp>) {
        match self {
            Self::Created(CreateResult::Exists(stored, now)) => (Some(stored), Some(now)),
            Self::Created(CreateResult::Created(now))
            | Self::Replaced(ReplaceResult::Replaced(now)) => (None, Some(now)),
            Self::Replaced(ReplaceResult::Changed(found, now))
            | Self::Removed(RemoveResult::Changed(found, now))
            | Self::Got(found, now) => (found.as_mut(), Some(now)),
            _ => (None, None),
        }
    }

    /// With all its times changed.
    pub(super) fn timed(mut self, change: impl Fn(&mut Stamp)) -> Self {
        let (stored, now) = self.parts();
        if let Some(stored) = stored {
            change(&mut stored.created);
            change(&mut stored.written);
        }
        now.into_iter().for_each(change);
        self
    }
}

pub(super) type Told = Result<Answer, StoreError>;

/// What a wrong store does with what it is asked.
pub(super) type How = for<'w> fn(&'w Wrong, Ask) -> Pin<Box<dyn Future<Output = Told> + Send + 'w>>;

/// What was written and removed, by whichever store of the place.
#[derive(Debug, Default)]
pub(super) struct History {
    /// At each key, the oldest first.
    pub(super) writes: BTreeMap<StoreKey, Vec<(Write, StoredEntry)>>,
    pub(super) removed: BTreeSet<[u8; 16]>,
    pub(super) put_off: BTreeSet<[u8; 16]>,
    /// The keys of creations under way.
    pub(super) creating: Vec<StoreKey>,
    /// How many keys came before the end of a page, by its last key.
    pub(super) offsets: BTreeMap<StoreKey, usize>,
    pub(super) latest_ms: u64,
}

impl History {
    /// What was written last at a key, and not removed.
    pub(super) fn last(&self, key: StoreKey) -> Option<&(Write, StoredEntry)> {
        let last = self.writes.get(&key)?.last()?;
        (!self.removed.contains(last.0.version.as_bytes())).then_some(last)
    }

    pub(super) fn first(&self, key: StoreKey) -> Option<&(Write, StoredEntry)> {
        self.writes.get(&key)?.first()
    }
}

/// What the stores of one place share.
pub(super) struct Place {
    pub(super) memory: MemoryStore,
    pub(super) folder: TempDir,
    history: Mutex<History>,
    is_troubled: AtomicBool,
    open: AtomicUsize,
}

impl Place {
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    /// Does as it is asked, as is right.
    pub(super) async fn carry_out(&self, ask: Ask) -> Told {
        let memory = &self.memory;
        let answer = match ask.clone() {
            Ask::Create(Write {
                key,
                entry,
                version,
                keep,
            }) => Answer::Created(memory.create(key, &entry, version, keep).await?),
            Ask::Replace(
                expected,
                Write {
                    key,
                    entry,
                    version,
                    keep,
                },
            ) => Answer::Replaced(memory.replace(key, expected, &entry, version, keep).await?),
            Ask::ReplaceSoon(
                expected,
                Write {
                    key,
                    entry,
                    version,
                    keep,
                },
            ) => {
                self.history().put_off.insert(*version.as_bytes());
                memory
                    .replace_deferred(key, expected, &entry, version, keep)
                    .await?;
                Answer::Done
            }
            Ask::Remove(key, expected) => Answer::Removed(memory.remove(key, expected).await?),
            Ask::Get(key) => {
                let (stored, now) = memory.get(key).await?;
                Answer::Got(stored, now)
            }
            Ask::List(query) => Answer::Listed(memory.list(&query).await?),
            Ask::Purge(at_most) => Answer::Purged(memory.purge(at_most).await?),
            Ask::Scrub => memory.scrub().await.map(|()| Answer::Done)?,
            Ask::Changed(key, since, at_most) => {
                memory.wait_for_change(key, since, at_most).await;
                Answer::Done
            }
        };
        self.note(ask).await;
        Ok(answer)
    }

    async fn note(&self, mut ask: Ask) {
        if let Ask::Remove(key, version) = ask
            && self.at(key).await.is_none()
        {
            self.history().removed.insert(*version.as_bytes());
        }
        if let Some(write) = ask.write().cloned()
            && let Some(lying) = self.at(write.key).await
            && lying.version == write.version
        {
            self.history()
                .writes
                .entry(write.key)
                .or_default()
                .push((write, lying));
        }
    }

    pub(super) async fn at(&self, key: StoreKey) -> Option<StoredEntry> {
        self.memory.get(key).await.unwrap().0
    }

    pub(super) async fn now(&self) -> Stamp {
        self.memory.get(any_key()).await.unwrap().1
    }

    /// Writes, whatever lies there.
    pub(super) async fn force(&self, write: Write) {
        let ask = match self.at(write.key).await {
            Some(lying) => Ask::Replace(lying.version, write),
            None => Ask::Create(write),
        };
        self.carry_out(ask).await.unwrap();
    }
}

/// A store that does something wrong.
pub(super) struct Wrong {
    how: How,
    pub(super) place: Arc<Place>,
    /// Another place, of this store alone.
    pub(super) own: MemoryStore,
    /// How many others of the place were open when it was opened.
    pub(super) beside: usize,
    /// Whether the place was open before.
    pub(super) is_anew: bool,
    /// What it knows by itself.
    pub(super) seen: Mutex<BTreeMap<StoreKey, Version>>,
}

impl Wrong {
    fn open(place: &Arc<Place>, how: How, is_first: bool) -> Self {
        let beside = place.open.fetch_add(1, Ordering::SeqCst);
        let own = MemoryStore::new();
        let seen = Mutex::default();
        Self {
            how,
            place: Arc::clone(place),
            own,
            beside,
            is_anew: beside == 0 && !is_first,
            seen,
        }
    }

    /// Does as it is asked, as is right: while its place is in trouble, nothing is written, and it says so.
    pub(super) async fn right(&self, mut ask: Ask) -> Told {
        if self.is_troubled() && (ask.write().is_some() || matches!(ask, Ask::Remove(..))) {
            return refused();
        }
        self.place.carry_out(ask).await
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.place.is_troubled.load(Ordering::SeqCst)
    }

    async fn ask(&self, ask: Ask) -> Told {
        (self.how)(self, ask).await
    }
}

/// Nothing was done, and it is said.
pub(super) fn refused() -> Told {
    Err(StoreError::not_executed("it was refused"))
}

/// A fresh store that does so.
pub(super) fn fixture(how: How) -> Fixture {
    let clock = Arc::new(SettableClock::default());
    let place = Arc::new(Place {
        memory: MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
        folder: TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .unwrap(),
        history: Mutex::default(),
        is_troubled: AtomicBool::new(false),
        open: AtomicUsize::new(0),
    });
    let again = Arc::clone(&place);
    let losing = Arc::clone(&place);
    let troubled = Arc::clone(&place);
    Fixture::new(Arc::new(Wrong::open(&place, how, true)), clock)
        .with_reopen(move || {
            std::future::ready(Arc::new(Wrong::open(&again, how, false)) as Arc<dyn Store>)
        })
        .with_sharing()
        .with_loss(move || losing.memory.forget())
        .with_failures(move |begins| troubled.is_troubled.store(begins, Ordering::SeqCst))
        .with_files_in(place.folder.path())
}

impl Drop for Wrong {
    fn drop(&mut self) {
        self.place.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrong").finish_non_exhaustive()
    }
}

/// The answer to what was asked.
macro_rules! answer {
    ($told:expr, $form:pat => $answer:expr) => {
        match $told? {
            $form => Ok($answer),
            other => panic!("another answer than to what was asked: {other:?}"),
        }
    };
}

#[async_trait]
impl Store for Wrong {
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError> {
        let write = Write {
            key,
            entry: Arc::clone(entry),
            version,
            keep,
        };
        answer!(self.ask(Ask::Create(write)).await, Answer::Created(created) => created)
    }

    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError> {
        let write = Write {
            key,
            entry: Arc::clone(entry),
            version,
            keep,
        };
        answer!(self.ask(Ask::Replace(expected, write)).await, Answer::Replaced(replaced) => replaced)
    }

    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        let write = Write {
            key,
            entry: Arc::clone(entry),
            version,
            keep,
        };
        self.ask(Ask::ReplaceSoon(expected, write)).await.map(drop)
    }

    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
        answer!(self.ask(Ask::Remove(key, expected)).await, Answer::Removed(removed) => removed)
    }

    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
        answer!(self.ask(Ask::Get(key)).await, Answer::Got(stored, now) => (stored, now))
    }

    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
        answer!(self.ask(Ask::List(query.clone())).await, Answer::Listed(page) => page)
    }

    async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
        answer!(self.ask(Ask::Purge(at_most)).await, Answer::Purged(purged) => purged)
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.ask(Ask::Scrub).await.map(drop)
    }

    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
        let _ = self.ask(Ask::Changed(key, since, at_most)).await;
    }

    fn durability(&self) -> Durability {
        Durability::ProcessCrash
    }

    fn reads_cheaply(&self) -> bool {
        false
    }
}
