//! A model of callers, targets and people around the real ledger and the real guard.
//!
//! [`semel_core::ledger::apply`] and [`semel_core::guard::Guard`] are the ones of the library; around them stands a small world: a
//! target that may forget, messages that arrive late, lose their answers or lie, calls that crash, people who know and
//! people who do not, clocks that go back, a ledger that loses a record. A model checker walks every interleaving of a
//! [`plan`] and holds each answer against the [`Promise`]s. A *twin* is the same without one rule of the ledger: a
//! promise must break, or the rule is idle.
//!
//! Absent: stores and their faults, policies, the wire. Those are real in other tests.

mod drive;
pub mod plan;
mod plans;
mod promise;
mod town;
mod twins;
mod watch;
pub mod world;

pub use plans::plans;
pub use promise::Promise;
pub use town::{Deed, Mistake, Town};
pub use twins::{Twin, Walk, twins, walk};
