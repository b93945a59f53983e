//! The agent's tools as an operator sets them up: two policies from settings, and a ledger in a file.

use anyhow::Result;
use semel::{
    engine::{Engine, Limits},
    runtime::{Semel, Tool},
    store::SqliteStore,
};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

/// The lease of a host that died, in seconds: short, so that the story ends soon.
const LEASE_SECONDS: u32 = 2;

/// A host with the tools `charge_card` and `cancel_charge`, and its ledger at `path`.
pub(crate) async fn open_host(path: &Path) -> Result<Semel> {
    let engine = Engine::new(Limits::default())?;
    let intent = semel_policies::get("intent")?;
    let mut builder = Semel::builder(Arc::new(SqliteStore::open(path)?));
    for (name, settings) in [("charge_card", charge()), ("cancel_charge", cancel())] {
        let mut tool = Tool::new(engine.load(intent, settings).await?);
        tool.lease_seconds = LEASE_SECONDS;
        builder = builder.tool([name], tool);
    }
    Ok(builder.open().await?)
}

fn payment_target() -> Value {
    json!({ "header": "Idempotency-Key", "repeats": "replayed", "remembers": "24h" })
}

fn charge() -> Value {
    json!({
        "operation": "charge",
        "identity": ["order_id"],
        "content": [{ "at": "amount", "as": "money" }],
        "target": payment_target(),
        "handles": ["charge/{/id}"],
    })
}

fn cancel() -> Value {
    json!({
        "operation": "charge.cancel",
        "identity": ["charge_id"],
        "target": payment_target(),
        "undoes": ["charge/{/charge_id}"],
    })
}
