//! The default policy, for tools without a rule of their own: every argument is identity, until the outcome was
//! delivered.
//!
//! A server's hints about its tools count only where the operator trusts that server. Without trust, a hint could make
//! the policy less careful than no hint does.
//!
//! ```
//! use semel_guest::{Call, Policy, json};
//! use semel_policy_hints::Hints;
//!
//! let policy = Hints::configure(json!({}))?;
//! let call = |amount| Call::new("pay", json!({ "amount": amount }));
//! assert_eq!(policy.derive(&call(10))?, policy.derive(&call(10))?);
//! assert_ne!(policy.derive(&call(10))?, policy.derive(&call(11))?);
//! # Ok::<(), String>(())
//! ```

mod failures;
mod turned_away;

use failures::FailureMeaning;
use semel_guest::{
    Attempt, Call, Derivation, Description, Operation, Policy, Scope, Until, Value, Verdict,
};

/// The time for which an undelivered outcome waits to be replayed: 30 days.
const WINDOW_SECONDS: u32 = 30 * 86_400;

/// The time limit of an attempt: five minutes, because nothing is known of the tool.
const ATTEMPT_SECONDS: u32 = 300;

/// The policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// True if the server's hints are believed; unset where the host decides by its trust in that
    /// server.
    trusted: Option<bool>,
    failures: FailureMeaning,
}

impl Policy for Hints {
    // Read by hand below: a derived reader, with its errors for every type, would be a fifth of this guest.
    type Settings = Value;

    fn describe() -> Description {
        Description::new("hints", env!("CARGO_PKG_VERSION"))
            .summary("the default: equal calls are one operation until delivery")
            .tool("*")
            .settings_schema(include_str!("../settings.schema.json"))
    }

    fn configure(settings: Value) -> Result<Self, String> {
        let keys = settings.as_object().ok_or("the settings must be a table")?;
        let mut policy = Self::default();
        for (key, value) in keys {
            match (key.as_str(), value) {
                ("trusted", Value::Bool(trusted)) => policy.trusted = Some(*trusted),
                ("trusted", _) => {
                    return Err("settings: `trusted`: it must be true or false".into());
                }
                ("failures", value) => policy.failures = FailureMeaning::read(value)?,
                _ => return Err(unknown_key(key)),
            }
        }
        Ok(policy)
    }

    fn derive(&self, call: &Call) -> Result<Derivation, String> {
        let trusted = self.trusted.unwrap_or_else(|| call.is("server.trusted"));
        if trusted && only_reads(call) {
            return Ok(Derivation::Pass);
        }
        let operation = Operation::of_tool()
            // In a list, because an identity is never empty and a call may have no arguments.
            .identity("arguments", vec![Value::Object(call.arguments()?.clone())])
            .scope(scope_of(call))
            .until(Until::Delivery)
            .window_seconds(WINDOW_SECONDS)
            .attempt_seconds(ATTEMPT_SECONDS);
        Ok(operation.once())
    }

    fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        self.failures.judge(call, attempts)
    }
}

semel_guest::export!(Hints);

/// Two hints that contradict each other do not count.
fn only_reads(call: &Call) -> bool {
    call.is("hint.read-only") && !call.is("hint.destructive")
}

fn unknown_key(key: &str) -> String {
    format!("settings: `{key}`: unknown key; the keys are `trusted` and `failures`")
}

/// Calls of one run, where the host knows the run.
fn scope_of(call: &Call) -> Scope {
    match text_fact(call, "run") {
        Some(_) => Scope::Run,
        None => Scope::Tenant,
    }
}

/// A fact that is a text and not blank.
fn text_fact<'a>(call: &'a Call, fact: &str) -> Option<&'a str> {
    call.fact(fact)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
