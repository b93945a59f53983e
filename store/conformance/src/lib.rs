//! A conformance suite for stores: a case for each sentence of the contract of
//! [`Store`](semel_store::Store).
//!
//! Describe the store in a [`Fixture`]; a test module then runs every case on it:
//!
//! ```
//! # #[cfg(test)]
//! mod tests {
//!     use semel_conformance::Fixture;
//!     use semel_store::{Clock, MemoryStore, SettableClock};
//!     use std::sync::Arc;
//!
//!     fn fixture() -> Fixture {
//!         let clock = Arc::new(SettableClock::default());
//!         let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
//!         let losing = Arc::clone(&store);
//!         Fixture::new(store, clock).with_loss(move || losing.forget())
//!     }
//!
//!     semel_conformance::store_conformance!(fixture);
//! }
//! ```
//!
//! A case that fails names the sentence, the expected answer, and the actual one. A store that is
//! expensive to create, or opened by an async function, runs the [`CASES`] one by one
//! ([`ConformanceCase::run`]). [`equivalence`] compares a store's answers to any sequence of
//! requests with those of the store in memory. [`FailingStore`] injects failures into any store.
//!
//! The public items are an extension point: they serve stores outside this repository.
//!
//! Absent: faults below the store, such as a failed commit, a full disk or a killed process. Each
//! store tests those itself.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case that fails panics, as tests do"
)]

#[macro_use]
mod expectation;

mod case;
mod cleanup;
mod concurrency;
mod conditional_writes;
mod durability;
pub mod equivalence;
mod errors;
mod failing_store;
mod fixture;
mod listing;
mod notification;
mod retention;
mod samples;
mod sharing;
#[cfg(test)]
mod tests;
mod versions;

use semel_store::Version;
use semel_store::fresh_nonce;

pub use case::{CASES, ConformanceCase, ContractViolation, run};
pub use failing_store::{FailingStore, INJECTED_FAILURES, InjectedFailure};
pub use fixture::Fixture;
use samples::{any_key, odd_entries};
pub use samples::{entry, handle, key, operation, tenant};

/// Returns a fresh version, for one write.
#[must_use]
pub fn fresh_version() -> Version {
    fresh_nonce().expect("the operating system returns random bytes")
}
