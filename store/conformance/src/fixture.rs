//! A store to be tested, and the means that only its author has: to let time pass, to open it
//! again, to make it lose writes, and to make requests fail.

use super::{any_key, expectation::expect_eq, fresh_version};
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

/// Opens the store again.
type OpenStore =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send + Sync>;

/// A fresh, empty store under test, with a clock that the test sets.
///
/// Each case consumes one. A capability that the fixture leaves out is not tested.
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// The store's clock.
    pub clock: Arc<SettableClock>,
    pub(super) is_steady: bool,
    pub(super) entry_bytes_max: usize,
    pub(super) open: Option<OpenStore>,
    pub(super) is_shared: bool,
    pub(super) lose: Option<Box<dyn Fn() + Send + Sync>>,
    pub(super) fail: Option<Box<dyn Fn(bool) + Send + Sync>>,
    pub(super) files: Option<PathBuf>,
    /// Declared last, so that it is dropped after the store.
    kept_alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl Fixture {
    /// Creates a fixture from a store and its clock.
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
            fail: None,
            files: None,
            kept_alive: Vec::new(),
        }
    }

    /// The store has no steady clock and does not recognise reboots: its steady time repeats the
    /// wall time.
    #[must_use]
    pub fn with_wall_clock_only(self) -> Self {
        Self {
            is_steady: false,
            ..self
        }
    }

    /// The store accepts entries up to this size, where that is less than [`ENTRY_BYTES_MAX`].
    #[must_use]
    pub fn with_entries_up_to(self, bytes: usize) -> Self {
        Self {
            entry_bytes_max: bytes,
            ..self
        }
    }

    /// The store can be opened again after it was dropped, as the next process would. A store that
    /// claims any durability needs this.
    #[must_use]
    pub fn with_reopen<F>(self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Arc<dyn Store>> + Send + 'static,
    {
        Self {
            open: Some(Box::new(move || Box::pin(open()))),
            ..self
        }
    }

    /// The store can be open several times at once, as several hosts open it.
    #[must_use]
    pub fn with_sharing(self) -> Self {
        Self {
            is_shared: true,
            ..self
        }
    }

    /// `lose` makes the store lose acknowledged writes.
    #[must_use]
    pub fn with_loss(self, lose: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            lose: Some(Box::new(lose)),
            ..self
        }
    }

    /// `fail(true)` makes some requests of the store fail, and `fail(false)` ends that.
    #[must_use]
    pub fn with_failures(self, fail: impl Fn(bool) + Send + Sync + 'static) -> Self {
        Self {
            fail: Some(Box::new(fail)),
            ..self
        }
    }

    /// The store's files are in this folder.
    #[must_use]
    pub fn with_files_in(self, folder: impl AsRef<Path>) -> Self {
        Self {
            files: Some(folder.as_ref().to_owned()),
            ..self
        }
    }

    /// Keeps a value alive as long as the store, such as its folder or its server.
    #[must_use]
    pub fn keep_alive(mut self, kept_alive: impl Any + Send + Sync) -> Self {
        self.kept_alive.push(Box::new(kept_alive));
        self
    }

    /// Opens the store once more beside this one, or returns `None` if it cannot be shared.
    pub(super) async fn open_another(&self) -> Option<Arc<dyn Store>> {
        match &self.open {
            Some(open) if self.is_shared => Some(open().await),
            _ => None,
        }
    }

    /// Drops the store and opens it again.
    pub(super) async fn reopen(self) -> Option<Self> {
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

    /// Advances the clock.
    pub(crate) fn advance_seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Creates the entry at an unused key, without an end, and returns its version.
    pub async fn create(&self, key: StoreKey, entry: &Arc<Entry>) -> Version {
        self.create_for(key, entry, Retention::UntilRemoved).await
    }

    /// Creates the entry at an unused key with this retention, and returns its version.
    pub async fn create_for(&self, key: StoreKey, entry: &Arc<Entry>, keep: Retention) -> Version {
        let version = fresh_version();
        let created = self.store.create(key, entry, version, keep).await;
        expect!(
            created,
            Ok(CreateResult::Created(_)),
            "a creation of an absent entry"
        );
        version
    }

    /// Returns the entry at the key.
    pub(crate) async fn entry_at(&self, key: StoreKey) -> Option<StoredEntry> {
        self.store.get(key).await.expect("a working store reads").0
    }

    /// Returns the version at the key.
    pub(super) async fn version_at(&self, key: StoreKey) -> Option<Version> {
        self.entry_at(key).await.map(|stored| stored.version)
    }

    /// Returns the store's time, as it reports it for an absent entry.
    pub(crate) async fn store_time(&self) -> Stamp {
        let (nothing, now) = self
            .store
            .get(any_key())
            .await
            .expect("a working store reads");
        expect_eq("the entry at an unused key", &nothing, &None);
        now
    }

    /// Returns the stamp that the store should give now.
    pub(crate) async fn expected_stamp(&self) -> Stamp {
        self.clock_reading()
            .stamp(self.store_time().await.incarnation)
    }

    /// Returns the clock's reading as a store of this kind understands it.
    fn clock_reading(&self) -> ClockReading {
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
