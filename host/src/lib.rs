#![doc = include_str!("../README.md")]
//!
//! # The library, in the order of reading
//!
//! 1. [`Semel`] guards calls. A program sets it up with [`Semel::builder`], one [`Tool`] for each rule, and hands calls to
//!    [`Semel::call`], as in *Embed it* above. A program that runs the tool in its own way uses [`Semel::begin`], and
//!    reports the outcome to the [`ToolRun`](runtime::ToolRun).
//! 2. [`Ticket`] is the permission to send, with the key that goes to the system behind the tool; [`Answer`] is what the
//!    caller gets.
//! 3. [`engine`] loads policies from WebAssembly, within limits. A policy of your own is a crate with [`semel-guest`].
//! 4. [`store`] keeps the ledger. A store of your own is a type that implements [`store::Store`].
//! 5. [`runtime::Prober`] runs the reads that a policy requests for an operation in doubt.
//! 6. [`ledger`], [`guard`] and [`key`] hold the meaning: pure functions and values, from the crate `semel-core`.
//!
//! # Probe what is in doubt
//!
//! An attempt timed out. A policy may request a probe: a read that shows whether the refund was made. The host runs it
//! through a [`Prober`](runtime::Prober), which calls the read tool without a guard:
//!
//! ```
//! use async_trait::async_trait;
//! use semel::{
//!     Call, MemoryStore, Outcome, Semel, Tool,
//!     engine::Policy,
//!     model::Probe,
//!     runtime::{OpenError, Prober},
//! };
//! use serde_json::json;
//! use std::sync::Arc;
//!
//! #[derive(Debug)]
//! struct RefundProber;
//!
//! #[async_trait]
//! impl Prober for RefundProber {
//!     async fn probe(&self, call: &Call, probe: &Probe) -> Outcome {
//!         match probe.tool.as_str() {
//!             // Read the refund of `probe.arguments` from your own system here.
//!             "get_refund" => Outcome::Returned(json!({ "order": call.arguments()["order_id"] })),
//!             other => Outcome::not_sent(format!("there is no read tool `{other}`")),
//!         }
//!     }
//! }
//!
//! async fn open(policy: Policy) -> Result<Semel, OpenError> {
//!     Semel::builder(Arc::new(MemoryStore::new()))
//!         .prober(Arc::new(RefundProber))
//!         .tool(["refund_*"], Tool::new(policy))
//!         .open()
//!         .await
//! }
//! ```
//!
//! # Features
//!
//! `sqlite` (a ledger in a file), `sealing` (encryption of records under the operator's key) and `shadow` (a dry run of
//! the guard) are on by default.
//!
//! [`semel-guest`]: https://docs.rs/semel-guest

pub mod engine;
pub mod runtime;

pub use semel_core::{guard, json, key, ledger, model, place};

#[doc(inline)]
pub use engine::Engine;
#[doc(inline)]
pub use model::{Answer, Call, Outcome};
#[doc(inline)]
pub use runtime::{Semel, Ticket, Tool};
#[doc(inline)]
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use store::SqliteStore;

/// The place of a ledger: the contract of a store, and the stores that come with this crate.
///
/// # A store of your own
///
/// A store creates an entry if absent, replaces it if unchanged (compare-and-swap), and reports its time. What an entry
/// means is not its concern. The crate `semel-conformance` runs a case for each sentence of the contract on any store. Most
/// stores of an embedder wrap another one:
///
/// ```
/// use async_trait::async_trait;
/// use semel::{
///     MemoryStore, Semel,
///     ledger::Entry,
///     model::{Durability, Stamp, StoreKey},
///     store::{
///         CreateResult, EntryQuery, KeyPage, RemoveResult, ReplaceResult, Retention, Store,
///         StoreError, StoredEntry, Version,
///     },
/// };
/// use std::{
///     sync::Arc,
///     sync::atomic::{AtomicU64, Ordering},
///     time::Duration,
/// };
///
/// /// Counts the operations that are new to the ledger.
/// #[derive(Debug)]
/// struct CountingStore<S> {
///     inner: S,
///     created: AtomicU64,
/// }
///
/// #[async_trait]
/// impl<S: Store> Store for CountingStore<S> {
///     async fn create(
///         &self,
///         key: StoreKey,
///         entry: &Arc<Entry>,
///         version: Version,
///         keep: Retention,
///     ) -> Result<CreateResult, StoreError> {
///         let result = self.inner.create(key, entry, version, keep).await?;
///         if matches!(result, CreateResult::Created(_)) {
///             self.created.fetch_add(1, Ordering::Relaxed);
///         }
///         Ok(result)
///     }
///
///     async fn replace(
///         &self,
///         key: StoreKey,
///         expected: Version,
///         entry: &Arc<Entry>,
///         version: Version,
///         keep: Retention,
///     ) -> Result<ReplaceResult, StoreError> {
///         self.inner.replace(key, expected, entry, version, keep).await
///     }
///
///     async fn remove(&self, key: StoreKey, expected: Version) -> Result<RemoveResult, StoreError> {
///         self.inner.remove(key, expected).await
///     }
///
///     async fn get(&self, key: StoreKey) -> Result<(Option<StoredEntry>, Stamp), StoreError> {
///         self.inner.get(key).await
///     }
///
///     async fn list(&self, query: &EntryQuery) -> Result<KeyPage, StoreError> {
///         self.inner.list(query).await
///     }
///
///     async fn purge(&self, at_most: usize) -> Result<usize, StoreError> {
///         self.inner.purge(at_most).await
///     }
///
///     async fn scrub(&self) -> Result<(), StoreError> {
///         self.inner.scrub().await
///     }
///
///     async fn wait_for_change(&self, key: StoreKey, since: Version, at_most: Duration) {
///         self.inner.wait_for_change(key, since, at_most).await;
///     }
///
///     fn durability(&self) -> Durability {
///         self.inner.durability()
///     }
///
///     fn reads_cheaply(&self) -> bool {
///         self.inner.reads_cheaply()
///     }
/// }
///
/// let store = CountingStore { inner: MemoryStore::new(), created: AtomicU64::new(0) };
/// let builder = Semel::builder(Arc::new(store));
/// # drop(builder);
/// ```
pub mod store {
    #[cfg(feature = "sqlite")]
    pub use semel_sqlite::{SqliteOpenError, SqliteStore};
    #[doc(inline)]
    pub use semel_store::*;
}
