//! One decision of a policy in a fresh instance, compared with the same code compiled natively.

use crate::{
    fixtures,
    results::{FigureGoal, ResultTable},
    sample::{self, Sample},
};
use anyhow::{Result, anyhow};
use semel::{
    engine::Policy,
    model::{Attempt, Call},
};
use semel_policy_hints::Hints;
use semel_policy_intent::Intent;
use serde_json::{Value, json};
use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// The time of a round of the comparison of two threads with one.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 9;

pub(crate) fn measure(rows: &mut ResultTable) -> Result<()> {
    let runtime = fixtures::start_runtime(1)?;
    let hints = fixtures::load_policy(&runtime, "hints", json!({}))?;
    let intent = fixtures::load_policy(&runtime, "intent", fixtures::REFUND_SETTINGS.clone())?;
    measure_derive(rows, "hints", &hints, derive_natively::<Hints>(json!({})))?;
    measure_derive(
        rows,
        "intent",
        &intent,
        derive_natively::<Intent>(fixtures::REFUND_SETTINGS.clone()),
    )?;
    measure_judge(rows, "hints", &hints)?;
    measure_judge(rows, "intent", &intent)?;
    measure_two_threads(rows, "hints", &hints)?;
    measure_two_threads(rows, "intent", &intent)
}

fn measure_derive(
    rows: &mut ResultTable,
    name: &str,
    policy: &Policy,
    mut native: impl FnMut() -> Result<()>,
) -> Result<()> {
    let call = fixtures::refund_call(17)?;
    let mut guest = || {
        black_box(policy.derive(&call)?);
        Ok(())
    };
    let [guest, native] = sample::measure_in_turn([&mut guest, &mut native])?;
    let goals = [FigureGoal::AtMost(10.0), FigureGoal::RatioAtMost(5.0)];
    rows.add_row(
        &format!("`{name}`: one derive in a fresh instance (floor: native)"),
        "µs",
        guest,
        Some(native),
        &goals,
    );
    Ok(())
}

fn measure_judge(rows: &mut ResultTable, name: &str, policy: &Policy) -> Result<()> {
    let call = fixtures::refund_call(17)?;
    let attempt = Attempt {
        number: 1,
        started_at_ms: 1_795_000_000_000,
        age_seconds: 0,
        key: "ca32d80d-fc3c-80de-8736-ea05723e3a28".to_owned(),
        outcome: fixtures::refund_outcome(),
        facts: Vec::new(),
    };
    let mut judge = || {
        black_box(policy.judge(&call, std::slice::from_ref(&attempt))?);
        Ok(())
    };
    let [judged] = sample::measure_in_turn([&mut judge])?;
    rows.add_row(
        &format!("`{name}`: one judge in a fresh instance"),
        "µs",
        judged,
        None,
        &[],
    );
    Ok(())
}

/// Returns the same work outside WebAssembly: the same code on the same settings and call, parsed from text.
fn derive_natively<P: semel_guest::Policy>(settings: Value) -> impl FnMut() -> Result<()> {
    let settings = settings.to_string();
    let arguments = fixtures::refund_arguments(17).to_string();
    move || {
        let settings = semel_guest::settings::read(black_box(&settings))
            .map_err(|mistake| anyhow!(mistake))?;
        let policy = P::configure(settings).map_err(|mistake| anyhow!(mistake))?;
        let call =
            semel_guest::Call::new("refund_order", serde_json::from_str(black_box(&arguments))?);
        black_box(policy.derive(&call).map_err(|mistake| anyhow!(mistake))?);
        Ok(())
    }
}

fn measure_two_threads(rows: &mut ResultTable, name: &str, policy: &Policy) -> Result<()> {
    let call = fixtures::refund_call(17)?;
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(derives_per_second(policy, &call, 1)?);
        together.push(derives_per_second(policy, &call, 2)?);
    }
    let alone = Sample::from_values(alone);
    let together = Sample::from_values(together);
    let name = format!("`{name}`: derives a second from two threads (floor: one thread)");
    rows.add_row(
        &name,
        "/s",
        together,
        Some(alone),
        &[FigureGoal::RatioAtLeast(1.8)],
    );
    Ok(())
}

fn derives_per_second(policy: &Policy, call: &Call, threads: usize) -> Result<f64> {
    let barrier = Barrier::new(threads);
    let decide = || -> Result<u64> {
        barrier.wait();
        let begun = Instant::now();
        let mut count = 0;
        while begun.elapsed() < ROUND {
            black_box(policy.derive(call)?);
            count += 1;
        }
        Ok(count)
    };
    let counts: Vec<Result<u64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(decide)).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
            })
            .collect()
    });
    let total: u64 = counts.into_iter().sum::<Result<u64>>()?;
    Ok(total as f64 / ROUND.as_secs_f64())
}
