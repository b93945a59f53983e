//! The words that every layer shares: call, operation, key, outcome, verdict, answer.
//!
//! Nothing here is asynchronous, does I/O or knows WebAssembly. The types mirror the contract in
//! `wit/policy.wit`; code that builds one from outside input checks it.

mod answer;
mod arguments;
mod call;
mod identifiers;
mod mode;
mod operation;
mod outcome;
mod recovery;
mod time;

pub use answer::{
    Answer, AnswerSubject, ConflictState, Durability, NextStep, OperatorSwitch, RecordStatus,
    RecordedOperation, UndoNote, UnguardedReason,
};
pub use call::checked_name;
pub use call::{Call, Field, IdentifierError, Run, Tenant};
pub use identifiers::to_hex;
pub use identifiers::{CallDigest, Fingerprint, Nonce, PolicyDigest, StoreKey};
pub use mode::ToolMode;
pub use operation::{
    Derivation, KeyForm, KeyPlace, Operation, OperationLifetime, RepeatEffect, Scope, Target,
};
pub use outcome::{Effect, Failure, MissingAnswer, Outcome, Verdict};
pub use recovery::{Attempt, PolicyDescription, Probe, ProbeVerdict, Recovery};
pub use time::{Boot, Incarnation, Stamp, rfc3339};
