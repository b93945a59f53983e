#![doc = include_str!("../README.md")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests fail by panicking"
    )
)]

// The bindings are named by their own path in the macro that they generate.
extern crate self as semel_guest;

#[cfg(all(target_arch = "wasm32", feature = "arena"))]
mod arena;
#[doc(hidden)]
pub mod bindings;
#[cfg(any(test, all(target_arch = "wasm32", feature = "arena")))]
mod bump;
mod call;
pub mod careful;
mod description;
mod export;
pub mod normal;
mod operation;
mod outcome;
mod policy;
pub mod settings;
mod value;

pub use bindings::semel::policy::types::{
    Attempt, Derivation, Description, Effect, Failure, Field, Finding, Form, Operation, Outcome,
    Place, Probe, Recovery, Repeats, Scope, Silence, Target, Until, Verdict,
};
pub use call::Call;
pub use policy::Policy;
pub use settings::NoSettings;
pub use value::{InvalidJson, Map, Number, Value};

/// The functions that [`export!`] expands to.
#[doc(hidden)]
pub mod run {
    pub use crate::export::{configure, derive, judge, recover, weigh};
}
