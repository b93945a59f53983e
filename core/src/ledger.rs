//! The ledger's meaning: the record of an operation, and what may happen to it.
//!
//! No I/O, no clock of its own: [`apply`] is a pure function from a stored record, a command and a stamp to the next
//! record and a reply, or a named refusal. Every store, the recovery and the model checker share it.

mod apply;
mod command;
mod entry;
mod handle;
mod record;
mod rule;
mod sealed;
mod secrets;
mod shared;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;

pub use apply::apply_under;
pub use apply::{PresentRecord, Transition, apply, first_claim};
pub use command::*;
pub use entry::*;
pub use handle::*;
pub use record::*;
pub use rule::{Rule, Rules};
pub use sealed::SealedRecord;
pub use secrets::{RecordSecrets, SecretsMismatchError};
pub use shared::SharedValue;
pub use tally::{ShadowOutcome, Tally, TallyExample};
pub use verdict::{BoundedVerdict, ServerErrorRule, bound};
