//! A host with the guarded tool `charge`, and the charges that it made.

use semel::{
    engine::{Engine, Limits, Policy},
    model::{Answer, Call, Outcome},
    runtime::{CallError, Semel, Tool},
    store::Store,
};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::OnceCell;

/// Compiled once for all hosts of a test.
static POLICY: OnceCell<Policy> = OnceCell::const_new();

async fn policy() -> Policy {
    let settings =
        json!({ "operation": "charge", "identity": ["order_id"], "content": ["amount"] });
    let engine = Engine::builder(Limits::default()).build().unwrap();
    engine
        .load(semel_policies::get("intent").unwrap(), settings)
        .await
        .unwrap()
}

/// A host on this store.
pub async fn charging(store: Arc<dyn Store>) -> Semel {
    let policy = POLICY.get_or_init(policy).await.clone();
    Semel::builder(store)
        .tool(["charge"], Tool::new(policy))
        .open()
        .await
        .unwrap()
}

/// The number of charges for each order.
#[derive(Clone, Default)]
pub struct Charges(Arc<Mutex<HashMap<u32, usize>>>);

impl Charges {
    fn add(&self, order: u32) {
        *self.0.lock().unwrap().entry(order).or_default() += 1;
    }

    pub fn of(&self, order: u32) -> usize {
        self.0.lock().unwrap().get(&order).copied().unwrap_or(0)
    }

    pub fn all(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }
}

/// Charges for an order.
pub async fn charge(host: &Semel, order: u32, charges: &Charges) -> Result<Answer, CallError> {
    charge_slowly(host, order, charges, async {}).await
}

/// The same, which takes until something else is over.
pub async fn charge_slowly(
    host: &Semel,
    order: u32,
    charges: &Charges,
    over: impl Future<Output = ()>,
) -> Result<Answer, CallError> {
    let call = Call::new(
        "charge",
        json!({ "order_id": format!("A{order}"), "amount": "1.00" }),
    )
    .unwrap();
    let (charges, mut over) = (charges.clone(), Some(over));
    let run = move |_| {
        charges.add(order);
        let over = over.take();
        async {
            if let Some(over) = over {
                over.await;
            }
            Outcome::returned(json!({ "id": "ch_1" }))
        }
    };
    host.call(call, run).await
}
