//! A store to be tried, and what only its author can bring about: that time passes, that it is opened anew, that its
//! place loses something or is in trouble.

use super::{any_key, expecting::expect_eq, fresh_version};
use semel_core::{
    ledger::{ENTRY_BYTES_MAX, Entry},
    model::{Stamp, StoreKey},
};
use semel_store::{
    Clock, ClockReading, CreateResult, Retention, SettableClock, Store, StoredEntry, Version,
};
use std::{
    any::Any,
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

/// Opens the place of a store.
type Open = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send + Sync>;

/// A store to be tried: fresh, empty, and by a clock that can be set.
///
/// A case uses it up. What a store cannot do or claim is left out, and what rests on it is not asked.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock that it goes by.
    pub clock: Arc<SettableClock>,
    pub(super) is_steady: bool,
    pub(super) entry_bytes_max: usize,
    pub(super) open: Option<Open>,
    pub(super) is_shared: bool,
    pub(super) lose: Option<Box<dyn Fn() + Send + Sync>>,
    pub(super) trouble: Option<Box<dyn Fn(bool) + Send + Sync>>,
    pub(super) files: Option<PathBuf>,
    /// Dropped last.
    place: Vec<Box<dyn Any + Send + Sync>>,
}

impl Fixture {
    /// This store, which goes by this clock.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<SettableClock>) -> Self {
        Self {
            store,
            clock,
            is_steady: true,
            entry_bytes_max: ENTRY_BYTES_MAX,
            open: None,
            is_shared: false,
            lose: None,
            trouble: None,
            files: None,
            place: Vec::new(),
        }
    }

    /// It has no clock that nobody sets, and does not tell boots apart: its steady time repeats the wall time.
    #[must_use]
    pub fn by_the_wall_clock_only(self) -> Self {
        Self {
            is_steady: false,
            ..self
        }
    }

    /// It keeps entries of so many bytes at the most, where that is less than [`ENTRY_BYTES_MAX`].
    #[must_use]
    pub fn with_entries_up_to(self, bytes: usize) -> Self {
        Self {
            entry_bytes_max: bytes,
            ..self
        }
    }

    /// Its place can be opened anew once the store was dropped, as the next process would. Whatever claims to survive
    /// anything must be able to.
    #[must_use]
    pub fn opened_anew_by<F>(self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Arc<dyn Store>> + Send + 'static,
    {
        Self {
            open: Some(Box::new(move || Box::pin(open()))),
            ..self
        }
    }

    /// Its place can be open several times at once, as several hosts would have it.
    #[must_use]
    pub fn shared(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    /// This makes the store lose what it acknowledged. Left out, it does not, as long as its place is there.
    #[must_use]
    pub fn lost_by(self, lose: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            lose: Some(Box::new(lose)),
            ..self
        }
    }

    /// `true` brings trouble to its place, so that some calls fail at least, and `false` ends it.
    #[must_use]
    pub fn troubled_by(self, trouble: impl Fn(bool) + Send + Sync + 'static) -> Self {
        Self {
            trouble: Some(Box::new(trouble)),
            ..self
        }
    }

    /// Its files lie in this folder.
    #[must_use]
    pub fn with_files_in(self, folder: impl AsRef<Path>) -> Self {
        Self {
            files: Some(folder.as_ref().to_owned()),
            ..self
        }
    }

    /// Whatever must live as long as the store does, such as its folder or its server.
    #[must_use]
    pub fn beside(mut self, place: impl Any + Send + Sync) -> Self {
        self.place.push(Box::new(place));
        self
    }

    /// The place, opened once more beside this store; none: it cannot be.
    pub(super) async fn another(&self) -> Option<Arc<dyn Store>> {
        match &self.open {
            Some(open) if self.is_shared => Some(open().await),
            _ => None,
        }
    }

    /// The place, after the store was dropped and opened anew.
    pub(super) async fn opened_anew(self) -> Option<Self> {
        let Self { store, open, .. } = self;
        drop(store);
        let open = open?;
        let store = open().await;
        Some(Self {
            store,
            open: Some(open),
            ..self
        })
    }

    /// Time passes.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Writes the entry where nothing lies, to be kept, and tells its version.
    pub async fn put(&self, key: StoreKey, entry: &Arc<Entry>) -> Version {
        self.put_for(key, entry, Retention::UntilRemoved).await
    }

    /// Writes the entry where nothing lies, to be kept for so long, and tells its version.
    pub async fn put_for(&self, key: StoreKey, entry: &Arc<Entry>, keep: Retention) -> Version {
        let version = fresh_version();
        let created = self.store.create(key, entry, version, keep).await;
        expect!(
            created,
            Ok(CreateResult::Created(_)),
            "a creation where nothing lies"
        );
        version
    }

    /// What lies at the key.
    pub async fn at(&self, key: StoreKey) -> Option<StoredEntry> {
        self.store.get(key).await.expect("a store at work reads").0
    }

    /// The version that lies at the key.
    pub(super) async fn version_at(&self, key: StoreKey) -> Option<Version> {
        self.at(key).await.map(|stored| stored.version)
    }

    /// The time of the store, as it tells it on a miss.
    pub async fn now(&self) -> Stamp {
        let (nothing, now) = self
            .store
            .get(any_key())
            .await
            .expect("a store at work reads");
        expect_eq("what lies at a key that nobody used", &nothing, &None);
        now
    }

    /// The stamp that the clock shows now, in this life of the store.
    pub async fn stamp(&self) -> Stamp {
        self.moment().stamp(self.now().await.incarnation)
    }

    /// What a store of this kind makes of the moment that the clock shows.
    fn moment(&self) -> ClockReading {
        let shown = self.clock.now();
        if self.is_steady {
            shown
        } else {
            ClockReading::from_wall(shown.wall_ms)
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
