//! Semel at work: an engine's policies, a ledger, and the driver of the guard. What an embedder uses.
//!
//! A first call costs one write for its claim and one for its settlement, a repeat one look-up; renewals, handles, undoing
//! and delivery marks cost more, and only where they are used. A stretch between two pauses of the caller runs in the caller's own
//! task; where the caller drops it, a task of its own carries it on, so that no record is lost.
//!
//! **What it costs** (`cargo xtask bench`, two cores, `intent`, a call of 300 bytes, the ledger in memory): 37 µs executed, 21
//! of them two decisions of the policy; 17 µs replayed, 11 of them one decision. No task is spawned and no thread woken for
//! a call that ends before its lease is due for renewal.
//!
//! Nothing here prints or exits, and nothing here knows what a call means.

mod answering;
mod clock;
mod delivery;
mod driver;
mod erasing;
mod late;
mod lease;
mod ledger;
mod life;
mod operator;
mod renewals;
mod report;
mod scheme;
mod semel;
mod shadow;
mod ticket;
mod tool;
mod undoing;

pub use delivery::Delivery;
pub use erasing::{Erased, Erasing};
pub use late::Late;
pub use ledger::LedgerError;
pub use operator::{Found, Ledger, Listed, LookUpError, Swept};
pub use scheme::SchemeError;
pub use semel::{Builder, OpenError, Prober, Semel};
pub use ticket::{Answered, Begun, CallError, Started, Ticket};
pub use tool::{LEASE_SECONDS, OUTCOME_BYTES_MAX, REFUSAL_SECONDS, Tool};
