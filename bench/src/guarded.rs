//! A guarded call on the ledger in memory: what Semel itself costs.

use crate::{
    row::{Reach, Rows},
    sample, world,
};
use anyhow::Result;
use semel::{engine::Policy, runtime::Semel, store::MemoryStore};
use serde_json::json;
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Runtime;

pub(crate) fn measure(rows: &mut Rows) -> Result<()> {
    let runtime = world::runtime(1)?;
    let hints = world::policy(&runtime, "hints", json!({}))?;
    let intent = world::policy(&runtime, "intent", world::refunding_without_handles())?;
    one(rows, &runtime, "hints", hints)?;
    one(rows, &runtime, "intent", intent)
}

fn one(rows: &mut Rows, runtime: &Runtime, name: &str, policy: Policy) -> Result<()> {
    let host = world::host(runtime, Arc::new(MemoryStore::new()), policy.clone())?;
    let settled = settled(runtime, &host)?;
    let mut executed = || runtime.block_on(execute_one(host.clone()));
    let mut replayed = || {
        let host = host.clone();
        let call = settled.clone();
        runtime.block_on(async move { world::replay(&host, call).await })
    };
    let mut derived = || {
        black_box(policy.derive(&settled)?);
        Ok(())
    };
    // An outcome that lasts until delivery is delivered to its first reader, and then nothing is replayed.
    let replays = name != "hints";
    let mut nothing = || Ok(());
    let replayed: sample::Work<'_> = if replays { &mut replayed } else { &mut nothing };
    let [executed, replayed, derived] =
        sample::microseconds([&mut executed, replayed, &mut derived])?;
    let twice = derived.map(|derive| derive * 2.0);
    let title = |what: &str| format!("`{name}`: guarded call in memory, {what}");
    rows.add(
        &title("executed (floor: two derives)"),
        "µs",
        executed,
        Some(twice),
        &[Reach::AtMost(26.0)],
    );
    if replays {
        rows.add(
            &title("replayed (floor: one derive)"),
            "µs",
            replayed,
            Some(derived),
            &[Reach::AtMost(13.0)],
        );
    }
    Ok(())
}

async fn execute_one(host: Semel) -> Result<()> {
    world::execute(&host, world::fresh_call()?).await
}

fn settled(runtime: &Runtime, host: &Semel) -> Result<semel::model::Call> {
    let call = world::fresh_call()?;
    runtime.block_on(world::execute(host, call.clone()))?;
    Ok(call)
}
