//! What a policy for Semel is written with.

// The bindings are named by their own path in the macro that they generate.
extern crate self as semel_guest;

#[doc(hidden)]
pub mod bindings;
mod call;
pub mod careful;
mod description;
mod export;
pub mod normal;
mod operation;
mod outcome;
mod policy;
pub mod settings;

pub use bindings::semel::policy::types::{
    Attempt, Derivation, Description, Effect, Failure, Field, Finding, Form, Operation, Outcome, Place, Probe,
    Recovery, Repeats, Scope, Silence, Target, Until, Verdict,
};
pub use call::Call;
pub use policy::Policy;
pub use serde_json::{Value, json};
pub use settings::NoSettings;

/// What [`export!`] expands to calls these.
#[doc(hidden)]
pub mod run {
    pub use crate::export::{configure, derive, judge, recover, weigh};
}
