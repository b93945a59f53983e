//! What one decision costs: `cargo run -p semel --example decision_cost -- POLICY.wasm [SETTINGS]`.
//!
//! The policy is asked about one call of some 300 bytes. Printed are the medians of 20 rounds.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use semel::{
    engine::{Engine, Limits, Policy},
    model::Call,
};
use serde_json::{Value, json};
use std::{error::Error, hint::black_box, thread, time::Instant};

const ROUNDS: usize = 20;
const DECISIONS: u32 = 5_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("which policy? give the path of a component")?;
    let settings: Value = arguments
        .next()
        .map_or(Ok(json!({})), |text| serde_json::from_str(&text))?;
    let started = Instant::now();
    let policy = Engine::builder(Limits::default())
        .snapshot_settings()
        .build()?
        .load(&std::fs::read(path)?, settings)
        .await?;
    println!(
        "loaded in {:.0?}: {:?}",
        started.elapsed(),
        policy.inspection()
    );
    let call = call()?;
    println!("answer: {:?}", policy.derive(&call)?);
    println!(
        "one thread:  {:.2} µs a decision",
        microseconds(&policy, &call)
    );
    let together = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| microseconds(&policy, &call)));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(f64::NAN))
            .fold(0.0, f64::max)
    });
    println!("two threads: {together:.2} µs a decision on each");
    Ok(())
}

fn microseconds(policy: &Policy, call: &Call) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(policy, call)).collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}

fn round(policy: &Policy, call: &Call) -> f64 {
    let started = Instant::now();
    for _ in 0..DECISIONS {
        let _ = black_box(policy.derive(black_box(call)));
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

fn call() -> Result<Call, Box<dyn Error>> {
    let arguments = json!({
        "order_id": "W-2381-0047",
        "amount": "129.90",
        "currency": "EUR",
        "reason": "the parcel arrived damaged, and the customer sent photographs of it",
        "items": [{ "sku": "A-17", "quantity": 2 }, { "sku": "B-3", "quantity": 1 }],
        "notify": true,
    });
    Ok(Call::new("refund", arguments)?
        .in_run("run-1".to_owned().try_into()?)
        .with_fact("server", json!("shop")))
}
