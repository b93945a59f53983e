//! The policies, hosts and calls that the benchmarks use.

use anyhow::{Context, Result, ensure};
use semel::{
    engine::{Engine, Limits, Policy},
    model::{Answer, Call, Outcome},
    runtime::{Semel, Tool},
    store::Store,
};
use serde_json::{Value, json};
use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};
use tokio::runtime::Runtime;

/// The settings of `intent` for a tool that refunds an order, as in the policy's README.
pub(crate) static REFUND_SETTINGS: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "operation": "refund",
        "identity": ["order_id"],
        "content": [{ "at": "amount", "as": "money" }],
        "target": { "header": "Idempotency-Key", "repeats": "replayed", "remembers": "24h" },
        "handles": ["refund/{/id}"],
        "verdict": [
            { "when": { "code": "order_closed" }, "effect": "refused", "reason": "the order is closed" },
            { "when": { "status": "5xx" }, "effect": "unknown" },
        ],
    })
});

/// The same settings without handles: each handle costs another write.
pub(crate) fn refund_settings_without_handles() -> Value {
    let mut settings = REFUND_SETTINGS.clone();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("handles");
    }
    settings
}

/// The arguments of a refund, about 300 bytes with the tool's name.
pub(crate) fn refund_arguments(order: u64) -> Value {
    json!({
        "order_id": format!("ord_2026_11_{order:012}"),
        "amount": "129.90",
        "currency": "EUR",
        "reason": "the customer sent two of three items back and kept the third, as agreed on the phone",
        "items": [{ "sku": "A-1042", "count": 1 }, { "sku": "B-7781", "count": 2 }],
        "notify": { "email": "someone@example.com", "locale": "de-DE" },
    })
}

/// Returns a call that was not made before.
pub(crate) fn new_call() -> Result<Call> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    refund_call(NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn refund_call(order: u64) -> Result<Call> {
    Ok(Call::new("refund_order", refund_arguments(order))?)
}

/// The tool's answer to a refund.
pub(crate) fn refund_outcome() -> Outcome {
    Outcome::returned(json!({ "id": "re_8812", "status": "succeeded", "amount": "129.90" }))
}

/// Loads a ready-made policy with these settings.
pub(crate) fn load_policy(runtime: &Runtime, name: &str, settings: Value) -> Result<Policy> {
    let engine = Engine::builder(Limits::default())
        .snapshot_settings()
        .build()?;
    Ok(runtime.block_on(engine.load(semel_policies::get(name)?, settings))?)
}

/// Opens a host that guards every tool with `policy`.
pub(crate) fn open_host(runtime: &Runtime, store: Arc<dyn Store>, policy: Policy) -> Result<Semel> {
    Ok(runtime.block_on(Semel::builder(store).default_tool(Tool::new(policy)).open())?)
}

/// Makes a call that must be executed.
pub(crate) async fn execute_call(host: &Semel, call: Call) -> Result<()> {
    let answer = host.call(call, |_| async { refund_outcome() }).await?;
    ensure!(
        matches!(answer, Answer::Executed { .. }),
        "expected an executed call, found {}",
        answer.word()
    );
    Ok(())
}

/// Makes a call that must be replayed.
pub(crate) async fn replay_call(host: &Semel, call: Call) -> Result<()> {
    let answer = host
        .call(call, |_| async { Outcome::not_sent("must not run") })
        .await?;
    ensure!(
        matches!(answer, Answer::Replayed { .. }),
        "expected a replayed call, found {}",
        answer.word()
    );
    Ok(())
}

/// Starts an async runtime with so many worker threads.
pub(crate) fn start_runtime(threads: usize) -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the async runtime")
}

/// The resident memory of this process, in MiB.
pub(crate) fn resident_memory_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
