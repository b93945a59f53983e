//! Native tests, by what they promise: which calls are one operation, what Stripe's answers mean, what is done in doubt.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod answers;
mod calls;
mod doubt;
mod mistakes;

use semel_guest::{
    Attempt, Call, Derivation, Effect, Operation, Outcome, Policy, Value, Verdict, json,
};

use crate::Stripe;

fn policy(settings: Value) -> Stripe {
    Stripe::configure(settings).unwrap()
}

fn plain() -> Stripe {
    policy(json!({}))
}

fn operation(policy: &Stripe, call: &Call) -> Operation {
    match policy.derive(call).unwrap() {
        Derivation::Once(operation) => operation,
        other => panic!("guarded, not {other:?}"),
    }
}

fn refused(policy: &Stripe, call: &Call) -> String {
    match policy.derive(call) {
        Ok(Derivation::Refuse(why)) | Err(why) => why,
        other => panic!("refused, not {other:?}"),
    }
}

fn refund() -> Call {
    Call::new(
        "create_refund",
        json!({ "payment_intent": "pi_1", "amount": 1000 }),
    )
}

fn judged(outcome: impl Into<Outcome>) -> Verdict {
    plain()
        .judge(&refund(), &[Attempt::new("k-1", outcome)])
        .unwrap()
}

fn effect(outcome: impl Into<Outcome>) -> Effect {
    judged(outcome).effect
}

/// Stripe's body for a failure.
fn body(kind: &str, code: Option<&str>) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "so it is" } })
}
