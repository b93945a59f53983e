//! A declarative policy: its settings name the arguments that identify an operation, the meaning of answers, and a probe
//! for operations in doubt. Most users need no code.
//!
//! ```
//! use semel_guest::{Call, Policy, json};
//! use semel_policy_intent::Intent;
//!
//! let policy = Intent::configure(json!({ "operation": "refund", "identity": ["order_id"] }))?;
//! let call = |note| Call::new("refund_order", json!({ "order_id": "A1", "note": note }));
//! assert_eq!(policy.derive(&call("late"))?, policy.derive(&call("very late"))?);
//! # Ok::<(), String>(())
//! ```
//!
//! See the README for the settings.

mod answer;
mod condition;
mod escapes;
mod field;
mod intent;
mod pointer;
mod probe;
mod rule;
mod settings;
mod span;
mod target;
mod template;

pub use intent::Intent;

semel_guest::export!(Intent);

#[cfg(test)]
mod tests;
