//! The ledger's store: its contract, the store in memory, and what drivers share.
//!
//! A ledger keeps its entries in a [`Store`]: a key-value store with optimistic concurrency. A store
//! creates an entry if absent, replaces it if unchanged (compare-and-swap by [`Version`]), and
//! returns its own time. It stores entries without interpreting them: their meaning is the function
//! [`apply`](semel_core::ledger::apply) in [`semel_core::ledger`].
//!
//! # Write a store
//!
//! [`Store`] is an extension point. A driver for another database implements it in a crate of its
//! own, and passes the suite of `semel-conformance`. A wrapper implements it around another store,
//! as this one, which counts the writes:
//!
//! ```
//! use async_trait::async_trait;
//! use semel_core::{ledger::Entry, model::{Durability, Stamp, StoreKey}};
//! use semel_store::{
//!     CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store, StoreError,
//!     StoredEntry, Version,
//! };
//! use std::{
//!     sync::{Arc, atomic::{AtomicU64, Ordering}},
//!     time::Duration,
//! };
//!
//! #[derive(Debug)]
//! struct CountingStore {
//!     inner: Arc<dyn Store>,
//!     writes: AtomicU64,
//! }
//!
//! // A wrapper writes out every method: a default would bypass the inner store's own.
//! #[deny(clippy::missing_trait_methods)]
//! #[async_trait]
//! impl Store for CountingStore {
//!     async fn create(
//!         &self,
//!         key: StoreKey,
//!         entry: &Arc<Entry>,
//!         version: Version,
//!         keep: Retention,
//!     ) -> Result<CreateResult, StoreError> {
//!         self.writes.fetch_add(1, Ordering::Relaxed);
//!         self.inner.create(key, entry, version, keep).await
//!     }
//!
//!     async fn replace(
//!         &self,
//!         key: StoreKey,
//!         expected: Version,
//!         entry: &Arc<Entry>,
//!         version: Version,
//!         keep: Retention,
//!     ) -> Result<ReplaceResult, StoreError> {
//!         self.writes.fetch_add(1, Ordering::Relaxed);
//!         self.inner.replace(key, expected, entry, version, keep).await
//!     }
//!
//!     async fn replace_deferred(
//!         &self,
//!         key: StoreKey,
//!         expected: Version,
//!         entry: &Arc<Entry>,
//!         version: Version,
//!         keep: Retention,
//!     ) -> Result<(), StoreError> {
//!         self.writes.fetch_add(1, Ordering::Relaxed);
//!         self.inner.replace_deferred(key, expected, entry, version, keep).await
//!     }
//!
//!     async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
//!         self.writes.fetch_add(1, Ordering::Relaxed);
//!         self.inner.remove(key, expected).await
//!     }
//!
//!     async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
//!         self.inner.get(key).await
//!     }
//!
//!     async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
//!         self.inner.list(query).await
//!     }
//!
//!     async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
//!         self.inner.purge(at_most).await
//!     }
//!
//!     async fn scrub(&self) -> Result<(), StoreError> {
//!         self.inner.scrub().await
//!     }
//!
//!     async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
//!         self.inner.wait_for_change(key, since, at_most).await;
//!     }
//!
//!     fn durability(&self) -> Durability {
//!         self.inner.durability()
//!     }
//!
//!     fn reads_cheaply(&self) -> bool {
//!         self.inner.reads_cheaply()
//!     }
//! }
//! ```
//!
//! Drivers find here what they share: [`Clock`] and [`SystemClock`] for stamps, [`ChangeNotifier`]
//! and [`Backoff`] for waiters, [`fresh_nonce`], [`RunToCompletion`] for requests that outlive their
//! caller, and [`ServerAddress`], [`ServerError`] and [`ServerReport`] for stores on servers.
//!
//! Absent: the states of an operation. They appear in no store, only as labels that a list filters by.

use async_trait::async_trait;
use semel_core::{
    ledger::{Entry, StateLabel},
    model::{Durability, Nonce, Stamp, StoreKey, Tenant},
};
use std::{fmt, sync::Arc, time::Duration};

mod backoff;
mod change_notifier;
mod clock;
mod error;
#[doc(hidden)]
pub mod failpoints;
mod fresh;
mod memory;
mod run_to_completion;
#[cfg(feature = "sealing")]
mod sealing;
mod server;

pub use backoff::Backoff;
pub use change_notifier::{ChangeNotifier, NOTIFIER_SLOTS};
pub use clock::{Clock, ClockReading, SettableClock, SystemClock};
pub use error::{SharedError, StoreError};
pub use fresh::{RandomnessError, fresh_nonce};
pub use memory::MemoryStore;
pub use run_to_completion::RunToCompletion;
#[cfg(feature = "sealing")]
pub use sealing::{ResealReport, SealCounts, SealingError, SealingKey, SealingKeys, SealingStore};
pub use server::{ServerAddress, ServerError, ServerReport};

/// The most keys of a page.
pub const PAGE_MAX: usize = 1000;

/// The version of an entry, for compare-and-swap: a fresh random value of the writer.
///
/// It never recurs for a key, not even after a removal. A writer that lost the answer to its write
/// recognises the write by its version.
pub type Version = Nonce;

pub use semel_core::ledger::Retention;

/// An entry as a store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: Arc<Entry>,
    /// The version that the last write gave it.
    pub version: Version,
    /// The time of its creation.
    pub created: Stamp,
    /// The time of the last write.
    pub written: Stamp,
}

/// The result of [`Store::create`].
#[derive(Debug)]
pub enum CreateResult {
    /// The entry was created, at this time.
    Created(Stamp),
    /// The key has this entry already. The second field is the store's time.
    Exists(StoredEntry, Stamp),
}

/// The result of [`Store::replace`].
#[derive(Debug)]
pub enum ReplaceResult {
    /// The entry was replaced, at this time.
    Replaced(Stamp),
    /// The key has another version, or no entry. The second field is the store's time.
    Changed(Option<StoredEntry>, Stamp),
}

/// The result of [`Store::remove`].
#[derive(Debug)]
pub enum RemoveResult {
    /// The entry was removed.
    Removed,
    /// The key has another version, or no entry. The second field is the store's time.
    Changed(Option<StoredEntry>, Stamp),
}

/// The filter of [`Store::list`]: entries must match all fields that are set.
#[derive(Debug, Clone, Default)]
pub struct EntryQuery {
    /// The tenant, or any.
    pub tenant: Option<Tenant>,
    /// The states, or any if empty.
    pub states: Vec<StateLabel>,
    /// True for entries only that are due by now.
    pub due: bool,
    /// The key after which the page begins: the last one of the page before.
    pub after: Option<StoreKey>,
    /// The most keys of the page. A store may return fewer, and never more than [`PAGE_MAX`].
    pub limit: usize,
}

/// A page of keys, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<StoreKey>,
    /// True if there may be more keys after the last one.
    pub more: bool,
}

/// A key-value store with optimistic concurrency, as a ledger needs it.
///
/// The contract. `semel-conformance` has a case for each of these sentences, and more for the
/// methods; run it on every store, as `store/folder` in the repository does:
/// 1. The store stamps each write with its own time, and returns its time with every answer but that
///    of a removal, also where there is no entry.
/// 2. A version never recurs for a key, not even after a removal: it is the writer's random value,
///    and the store never makes one up.
/// 3. Of all writes that expect one version, one succeeds: of many increments of a counter, none is
///    lost.
/// 4. Each write sets the retention of its entry, counted from that write, and clears the retention
///    that an earlier write set.
/// 5. An expired entry is absent to every request, and its key can be created again.
/// 6. An entry up to the size limit is returned as it was written.
/// 7. A list contains every entry that matches tenant and states, in the order of keys; it may
///    contain more, never less.
/// 8. Each answer, reads included, rests on state as durable as the store claims: the store still has
///    it after it was opened again.
/// 9. An error says whether certainly nothing was written; a failed group commit is unknown for all
///    its members.
/// 10. The incarnation in stamps stays while no acknowledged write is lost, and changes once one may
///     have been lost.
/// 11. A request that was begun is executed even if its future is dropped.
/// 12. Every request after a deferred replacement is answered as if that replacement had been
///     executed.
///
/// The size limit is [`ENTRY_BYTES_MAX`](semel_core::ledger::ENTRY_BYTES_MAX). A retention is a
/// time to live: an entry past its retention is *expired*. No case can test from outside that
/// a read of a write that is not durable yet waits until it is: sentence 8 requires it all the same.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Creates the entry if the key has none, or an expired one.
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError>;

    /// Replaces the entry if its version is `expected` (compare-and-swap).
    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError>;

    /// Replaces the entry as [`Store::replace`] does, but perhaps a moment later, together with the
    /// next write.
    ///
    /// For writes that may be lost: the caller does not learn whether the version was `expected`,
    /// other hosts see the write late, and a killed process loses it. Only the mark of a delivered
    /// outcome is written this way.
    ///
    /// The default replaces at once, which is right for a server, where writes of many callers share
    /// a commit. SQLite overrides it: a call with another within 10 ms costs two commits in
    /// place of three, measured. Calls farther apart, and 64 concurrent callers, gain little.
    async fn replace_deferred(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<(), StoreError> {
        self.replace(key, expected, entry, version, keep)
            .await
            .map(drop)
    }

    /// Removes the entry if its version is `expected`.
    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError>;

    /// Returns the entry at the key, and the store's time.
    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError>;

    /// Returns a page of keys, in order.
    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError>;

    /// Deletes up to `at_most` expired entries, and returns their number. No other answer changes.
    async fn purge(&self, at_most: usize) -> Result<usize, StoreError>;

    /// Removes the content of replaced and removed entries from the store's own files. It may take
    /// long, and block other requests.
    async fn scrub(&self) -> Result<(), StoreError>;

    /// Waits until the key has another version than `since`, or for `at_most`. It may return early:
    /// the caller reads the entry in any case.
    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration);

    /// Returns what an acknowledged write survives.
    fn durability(&self) -> Durability;

    /// Returns whether a read costs less than a creation that finds an entry.
    ///
    /// A claim then reads before it creates. SQLite repeats a call by one read in place of a write
    /// transaction; a server saves the round trip of a read before each first call.
    fn reads_cheaply(&self) -> bool;
}
