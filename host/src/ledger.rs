//! The ledger's meaning: the record of an operation, and what may happen to it.
//!
//! No I/O, no clock of its own: [`apply`] is a pure function from a stored record, a command and a stamp to the next
//! record and a reply, or a named refusal. Every store, the recovery and the model checker share it.

mod entry;
mod record;

pub use entry::*;
pub use record::*;
