//! Guarding calls: an engine's policies, a ledger, and the driver of the guard. The part that an embedder uses.
//!
//! A first call costs one write for its claim and one for its settlement, a repeat one read; renewals, handles, undoing
//! and delivery marks cost more, and only where they are used. The work between two actions of the caller runs in the
//! caller's own task. Where the caller drops it, it runs to completion in another task, so that no record is lost.
//!
//! Read in this order: `semel`, `builder` and `tool` (what an embedder sets up), `call` (how one call travels),
//! `ledger_client` (how a call reads and writes its record), `operator` (how a person works on the ledger), `shadow` (how
//! a tool is observed without a guard). `call` uses `ledger_client`; `ledger_client` knows no calls; `shadow` uses both.
//!
//! **What it costs** (`cargo xtask bench`, two cores, `intent`, a call of 300 bytes, the ledger in memory): 37 µs executed, 21
//! of them two decisions of the policy; 17 µs replayed, 11 of them one decision. No task is spawned and no thread woken for
//! a call that ends before its lease is due for renewal.
//!
//! Nothing here prints or exits, and nothing here knows what a call means.

mod builder;
mod semel;
mod tool;

mod host;

mod call;

mod ledger_client;

mod operator;

#[cfg(feature = "shadow")]
mod shadow;

pub use builder::{OpenError, SemelBuilder};
pub use call::delivery::Delivery;
pub use call::error::CallError;
pub use call::late_outcome::LateRecorder;
pub use call::run::{CallStep, DeliverableAnswer, ToolRun};
pub use call::ticket::Ticket;
pub use host::Prober;
pub use ledger_client::{error::LedgerError, scheme::SchemeError};
pub use operator::erasure::{ErasureReport, ErasureScope};
pub use operator::{Ledger, LookUpError, LookUpResult, RecordView, SweepReport};
pub use semel::Semel;
pub use tool::{LEASE_SECONDS, OUTCOME_BYTES_MAX, REFUSAL_SECONDS, Tool, ToolPatternError};
