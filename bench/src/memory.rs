//! A guarded call on a ledger in memory: the cost of Semel itself.

use crate::{
    fixtures,
    results::{FigureGoal, ResultTable},
    sample,
};
use anyhow::Result;
use semel::{engine::Policy, runtime::Semel, store::MemoryStore};
use serde_json::json;
use std::{hint::black_box, sync::Arc};
use tokio::runtime::Runtime;

pub(crate) fn measure(rows: &mut ResultTable) -> Result<()> {
    let runtime = fixtures::start_runtime(1)?;
    let hints = fixtures::load_policy(&runtime, "hints", json!({}))?;
    let intent = fixtures::load_policy(
        &runtime,
        "intent",
        fixtures::refund_settings_without_handles(),
    )?;
    measure_policy(rows, &runtime, "hints", hints)?;
    measure_policy(rows, &runtime, "intent", intent)
}

fn measure_policy(
    rows: &mut ResultTable,
    runtime: &Runtime,
    name: &str,
    policy: Policy,
) -> Result<()> {
    let host = fixtures::open_host(runtime, Arc::new(MemoryStore::new()), policy.clone())?;
    let settled = settle_call(runtime, &host)?;
    let mut executed = || runtime.block_on(execute_new(host.clone()));
    let mut replayed = || {
        let host = host.clone();
        let call = settled.clone();
        runtime.block_on(async move { fixtures::replay_call(&host, call).await })
    };
    let mut derived = || {
        black_box(policy.derive(&settled)?);
        Ok(())
    };
    // `hints` keeps an outcome until its delivery, which the first reader acknowledges: there is nothing to replay.
    let replays = name != "hints";
    let mut nothing = || Ok(());
    let replayed: sample::BenchWork<'_> = if replays { &mut replayed } else { &mut nothing };
    let [executed, replayed, derived] =
        sample::measure_in_turn([&mut executed, replayed, &mut derived])?;
    let twice = derived.map(|derive| derive * 2.0);
    let title = |what: &str| format!("`{name}`: guarded call in memory, {what}");
    rows.add_row(
        &title("executed (floor: two derives)"),
        "µs",
        executed,
        Some(twice),
        &[FigureGoal::AtMost(26.0)],
    );
    if replays {
        rows.add_row(
            &title("replayed (floor: one derive)"),
            "µs",
            replayed,
            Some(derived),
            &[FigureGoal::AtMost(13.0)],
        );
    }
    Ok(())
}

async fn execute_new(host: Semel) -> Result<()> {
    fixtures::execute_call(&host, fixtures::new_call()?).await
}

fn settle_call(runtime: &Runtime, host: &Semel) -> Result<semel::model::Call> {
    let call = fixtures::new_call()?;
    runtime.block_on(fixtures::execute_call(host, call.clone()))?;
    Ok(call)
}
