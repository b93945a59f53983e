//! Where a ledger is kept: the contract of a store, and what all stores share.
//!
//! A store is anything that can create an entry if absent, replace it if unchanged, and tell its time. What entries
//! mean is not its business: see [`semel_core::ledger`].

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

/// How many keys a page holds at the most.
pub const PAGE_MAX: usize = 1000;

/// A version of an entry: a fresh random value of whoever writes it, so that it never recurs for a key, not even
/// after removal, and a writer whose reply was lost knows its own write again.
pub type Version = Nonce;

pub use semel_core::ledger::Retention;

/// An entry as a store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// What lies there.
    pub entry: Arc<Entry>,
    /// Which version of it.
    pub version: Version,
    /// When the first version was written.
    pub created: Stamp,
    /// When this version was written.
    pub written: Stamp,
}

/// What became of a creation.
#[derive(Debug)]
pub enum CreateResult {
    /// It is written, at this time.
    Created(Stamp),
    /// Something lies there already, and the time is now.
    Exists(StoredEntry, Stamp),
}

/// What became of a replacement.
#[derive(Debug)]
pub enum ReplaceResult {
    /// It is written, at this time.
    Replaced(Stamp),
    /// Another version lies there (or none), and the time is now.
    Changed(Option<StoredEntry>, Stamp),
}

/// What became of a removal.
#[derive(Debug)]
pub enum RemoveResult {
    /// It is gone.
    Removed,
    /// Another version lies there (or none), and the time is now.
    Changed(Option<StoredEntry>, Stamp),
}

/// What to list: every entry that matches all that is given. A store may list too much, never too little.
#[derive(Debug, Clone, Default)]
pub struct EntryQuery {
    /// Only of this tenant.
    pub tenant: Option<Tenant>,
    /// Only in these states; none: in any.
    pub states: Vec<StateLabel>,
    /// Only what is due by now.
    pub due: bool,
    /// Only after this key, in the order of keys: the last key of the page before.
    pub after: Option<StoreKey>,
    /// How many at the most; a store may list fewer at a time than asked.
    pub limit: usize,
}

/// A page of keys, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<StoreKey>,
    /// Whether there may be more after the last of them.
    pub more: bool,
}

/// What a ledger needs of the place it is kept in. Every method is required but the one that only saves time, every answer is
/// a named enum.
///
/// The contract. The crate `semel-conformance` has a case for each of these sentences, and more for
/// what each method says; whoever writes a store runs them all on it, as `host/examples/folder-store` does in the repository:
/// - The store writes the times, and tells the time with every answer but that of a removal, on a miss, too.
/// - A version never recurs for a key, not even after removal: it is the writer's own random value, and the store never
///   makes one up.
/// - Of all that would write in place of one version, one wins: of many that count up in one entry, each counts.
/// - Each write states anew how long its entry is kept, counted from itself, and clears what was stated before.
/// - Past its end an entry is answered as absent to every question, and may be created anew.
/// - An entry up to the limit comes back as it went in.
/// - A list holds whatever matches tenant and states, in the order of keys: perhaps too much, never too little.
/// - What an answer rests on, reads included, is as durable as the store claims: it is there when the place is opened anew.
/// - An error says whether certainly nothing was written; a failed group commit is unknown for all its members.
/// - The incarnation in stamps stays as long as nothing acknowledged was lost, and changes when something may have been.
/// - A call that was begun is carried out whether or not its future is still awaited.
/// - What is asked after a replacement was put off is answered as if that had been carried out.
///
/// The limit is [`ENTRY_BYTES_MAX`](semel_core::ledger::ENTRY_BYTES_MAX). Whoever answers from what is not durable yet, be it a
/// read, waits until it is: that alone no case can see from outside.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Writes `entry` if nothing lies at `key` (or only what is past its end).
    async fn create(
        &self,
        key: StoreKey,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<CreateResult, StoreError>;

    /// Writes `entry` in place of the version `expected`.
    async fn replace(
        &self,
        key: StoreKey,
        expected: Version,
        entry: &Arc<Entry>,
        version: Version,
        keep: Retention,
    ) -> Result<ReplaceResult, StoreError>;

    /// As [`Store::replace`], for what nobody waits for: it may be put off for a moment, to be written together with what
    /// comes next. Nobody hears whether another version lay there, others who share the place see it that much later, and
    /// if the process is killed meanwhile it is lost.
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

    /// Removes the version `expected`.
    async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError>;

    /// What lies at `key`, and what time it is.
    async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError>;

    /// A page of keys, in their order.
    async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError>;

    /// Drops for good what is past its end, at most so many entries, and says how many. No other answer changes by it.
    async fn purge(&self, at_most: usize) -> Result<usize, StoreError>;

    /// Sees to it that nothing can be read from the store's own files of what was overwritten or removed. It may take
    /// long, and others may wait meanwhile.
    async fn scrub(&self) -> Result<(), StoreError>;

    /// Returns when another version than `since` lies at `key`, or after `at_most`; it may return for nothing.
    /// For those that wait: whoever is woken has gained no right by it.
    async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration);

    /// What an acknowledged write survives.
    fn durability(&self) -> Durability;

    /// Whether a look before a creation costs less than a creation that finds something.
    fn reads_cheaply(&self) -> bool;
}
