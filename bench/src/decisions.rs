//! One decision: a fresh instance that takes its settings in and derives, beside the same code compiled natively.

use crate::{
    row::{Reach, Rows},
    sample::{self, Sample},
    world,
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

/// The time of a round in which two threads decide against one.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 9;

pub(crate) fn measure(rows: &mut Rows) -> Result<()> {
    let runtime = world::runtime(1)?;
    let hints = world::policy(&runtime, "hints", json!({}))?;
    let intent = world::policy(&runtime, "intent", world::REFUNDING.clone())?;
    one(rows, "hints", &hints, natively::<Hints>(json!({})))?;
    one(
        rows,
        "intent",
        &intent,
        natively::<Intent>(world::REFUNDING.clone()),
    )?;
    judging(rows, "hints", &hints)?;
    judging(rows, "intent", &intent)?;
    two_threads(rows, "hints", &hints)?;
    two_threads(rows, "intent", &intent)
}

fn one(
    rows: &mut Rows,
    name: &str,
    policy: &Policy,
    mut native: impl FnMut() -> Result<()>,
) -> Result<()> {
    let call = world::call(17)?;
    let mut guest = || {
        black_box(policy.derive(&call)?);
        Ok(())
    };
    let [guest, native] = sample::microseconds([&mut guest, &mut native])?;
    let reach = [Reach::AtMost(10.0), Reach::TimesAtMost(5.0)];
    rows.add(
        &format!("`{name}`: one derive in a fresh instance (floor: native)"),
        "µs",
        guest,
        Some(native),
        &reach,
    );
    Ok(())
}

fn judging(rows: &mut Rows, name: &str, policy: &Policy) -> Result<()> {
    let call = world::call(17)?;
    let attempt = Attempt {
        number: 1,
        started_at_ms: 1_795_000_000_000,
        age_seconds: 0,
        key: "ca32d80d-fc3c-80de-8736-ea05723e3a28".to_owned(),
        outcome: world::outcome(),
        facts: Vec::new(),
    };
    let mut judge = || {
        black_box(policy.judge(&call, std::slice::from_ref(&attempt))?);
        Ok(())
    };
    let [judged] = sample::microseconds([&mut judge])?;
    rows.add(
        &format!("`{name}`: one judge in a fresh instance"),
        "µs",
        judged,
        None,
        &[],
    );
    Ok(())
}

/// The same settings and the same call, by the same code outside WebAssembly, from and to the same texts.
fn natively<P: semel_guest::Policy>(settings: Value) -> impl FnMut() -> Result<()> {
    let settings = settings.to_string();
    let arguments = world::arguments(17).to_string();
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

fn two_threads(rows: &mut Rows, name: &str, policy: &Policy) -> Result<()> {
    let call = world::call(17)?;
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(per_second(policy, &call, 1)?);
        together.push(per_second(policy, &call, 2)?);
    }
    let alone = Sample::of(alone);
    let together = Sample::of(together);
    let name = format!("`{name}`: derives a second from two threads (floor: one thread)");
    rows.add(
        &name,
        "/s",
        together,
        Some(alone),
        &[Reach::TimesAtLeast(1.8)],
    );
    Ok(())
}

fn per_second(policy: &Policy, call: &Call, threads: usize) -> Result<f64> {
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
