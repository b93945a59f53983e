//! Stripe for stories: a server that behaves as its documents say and counts what it did, a client that does what Stripe's
//! own libraries do, and a host under the ready-made policy between them.

mod books;
mod client;
mod localstripe;
mod server;

pub use books::Fault;
pub use client::Client;
pub use localstripe::LocalStripe;
pub use server::Stripe;

use crate::world::policy;
use semel::{
    model::{Answer, Boot, Call, Outcome},
    runtime::{Semel, Tool},
    store::{Clock, ClockReading, MemoryStore, SettableClock, Store},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The tools of all stories.
const TOOLS: [&str; 1] = ["*"];

/// A tool under `stripe`, set up so.
pub async fn guarded(settings: Value) -> Tool {
    Tool::new(policy("stripe", settings).await)
}

/// A host on `store` with every tool under `stripe`, set up so.
pub async fn host(store: Arc<dyn Store>, settings: Value) -> Semel {
    host_of(store, guarded(settings).await).await
}

pub async fn host_of(store: Arc<dyn Store>, tool: Tool) -> Semel {
    Semel::builder(store)
        .tool(TOOLS, tool)
        .open()
        .await
        .unwrap()
}

/// A host that leaves what is in doubt to a later call.
pub async fn impatient(store: Arc<dyn Store>, settings: Value) -> Semel {
    let mut tool = guarded(settings).await;
    tool.allowance.wait_ms = 0;
    host_of(store, tool).await
}

/// 10.00 of a payment of 50.00 given back.
pub fn refund() -> Call {
    call(
        "create_refund",
        json!({ "payment_intent": "pi_1", "amount": 1000 }),
    )
}

pub fn call(tool: &str, arguments: Value) -> Call {
    Call::new(tool, arguments).unwrap()
}

/// Makes `call` of Stripe through `semel`.
pub async fn ask(semel: &Semel, call: Call, client: &Client) -> Answer {
    let tool = call.tool().to_owned();
    semel
        .call(call, |ticket| {
            let (client, tool) = (client.clone(), tool.clone());
            async move { client.guarded(&tool, &ticket).await }
        })
        .await
        .unwrap()
}

/// The word of an answer, and the id of the object that it names, if it names one.
pub fn told(answer: &Answer) -> (&'static str, Option<&str>) {
    match answer.outcome() {
        Some(Outcome::Returned(value)) => (answer.word(), value["id"].as_str()),
        _ => (answer.word(), None),
    }
}

/// Stripe and a ledger in memory that live by the same clock.
pub struct Days {
    clock: Arc<SettableClock>,
    pub store: Arc<dyn Store>,
    pub stripe: Stripe,
}

impl Days {
    pub async fn begin() -> Self {
        let clock = Arc::new(SettableClock::new(ClockReading {
            wall_ms: 1_800_000_000_000,
            steady_ms: 5_000,
            boot: Boot(1),
        }));
        let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
        Self {
            clock,
            store,
            stripe: Stripe::start().await,
        }
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.stripe.pass(time);
    }

    pub fn pass_hours(&self, hours: u64) {
        self.pass(Duration::from_secs(hours * 3_600));
    }
}
