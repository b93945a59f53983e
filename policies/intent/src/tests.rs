//! Native tests, by what they promise: the settings that are refused, the recorded airline, what answers mean, the probe.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod airline;
mod answers;
mod call;
mod mistakes;
mod recovery;

use semel_guest::{Attempt, Call, Derivation, Operation, Outcome, Policy, Value, Verdict};

use crate::Intent;

fn configure(settings: &Value) -> Result<Intent, String> {
    Intent::configure(settings.clone())
}

fn policy(settings: Value) -> Intent {
    configure(&settings).unwrap()
}

fn operation(policy: &Intent, call: &Call) -> Operation {
    match policy.derive(call).unwrap() {
        Derivation::Once(operation) => operation,
        other => panic!("guarded, not {other:?}"),
    }
}

fn judged(policy: &Intent, call: &Call, outcome: impl Into<Outcome>) -> Verdict {
    policy.judge(call, &[Attempt::new("k-1", outcome)]).unwrap()
}
