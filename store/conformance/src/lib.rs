//! What every store must do: a case for each sentence of the contract of [`Store`](semel_store::Store).
//!
//! This is all that a store of somebody else's needs to be trusted. It says what it is in a [`Fixture`], and a test module
//! runs every case on it:
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
//!         Fixture::new(store, clock).lost_by(move || losing.forget())
//!     }
//!
//!     semel_conformance::store_conformance!(fixture);
//! }
//! ```
//!
//! Where a store costs something to make, or is opened by something asynchronous, [`CASES`] are run one by one
//! ([`ConformanceCase::run`]). A case that fails names the sentence, what was expected, and what came. [`alike`] holds a store's answers
//! to any sequence of questions against those of the store in memory, and [`FailingStore`] is a store around a store that
//! fails when it is told to.
//!
//! Absent: what only a store itself can bring about, such as a commit that fails, a full disk or a process that is killed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case that fails panics, as tests do"
)]

#[macro_use]
mod expecting;

pub mod alike;
mod case;
pub mod clearing;
pub mod contending;
pub mod erring;
mod failing;
mod fixture;
pub mod keeping;
pub mod listing;
pub mod opening;
mod samples;
pub mod sharing;
#[cfg(test)]
mod tests;
pub mod versions;
pub mod waiting;
pub mod writing;

use semel_store::Version;
use semel_store::fresh_nonce;

pub use case::{CASES, ConformanceCase, ContractViolation, run};
pub use failing::{FailingStore, INJECTED_FAILURES, InjectedFailure};
pub use fixture::Fixture;
pub use samples::{any_key, entry, handle, key, odd_entries, operation, tenant};

/// A version that no other write has.
#[must_use]
pub fn fresh_version() -> Version {
    fresh_nonce().expect("the machine gives randomness")
}
