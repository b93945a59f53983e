//! What the engine promises, held against guests that keep the contract and guests that do not.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../../../tests/guests/assemble.rs"]
#[expect(unreachable_pub, reason = "shared between test binaries")]
mod assemble;
mod bombs;
mod contained;
mod decisions;
mod guests;
mod hostile;
mod kept;
mod loading;
mod noise;

use assemble::Guest;
use semel::{
    engine::{Engine, Limits, LoadError, Policy},
    model::Call,
};
use serde_json::json;

fn engine() -> Engine {
    engine_with(|_| {})
}

fn engine_with(change: impl FnOnce(&mut Limits)) -> Engine {
    let mut limits = Limits::default();
    limits.decision.at_once = 4;
    change(&mut limits);
    Engine::builder(limits).snapshot_settings().build().unwrap()
}

async fn load(engine: &Engine, guest: &Guest) -> Result<Policy, LoadError> {
    engine.load(&guest.component(), json!({})).await
}

fn call() -> Call {
    Call::new("refund", json!({ "order": 17, "amount": "10.00" })).unwrap()
}
