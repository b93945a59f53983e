#![doc = include_str!("../README.md")]
//!
//! # The library, in the order of reading
//!
//! 1. [`Semel`] guards calls. A program sets it up with [`Semel::builder`], one [`Tool`] for each rule, and hands calls to
//!    [`Semel::call`], as in *Embed it* above. A program that runs the tool in its own way uses [`Semel::begin`], and
//!    reports the outcome to the [`ToolRun`](runtime::ToolRun).
//! 2. [`Ticket`] is the permission to send, with the key that goes to the system behind the tool; [`Answer`] is what the
//!    caller gets.
//! 3. [`engine`] loads policies from WebAssembly, within limits. A policy of your own is a crate with [`semel-guest`].
//! 4. [`store`] keeps the ledger. A store of your own is a type that implements [`store::Store`]: the crate
//!    [`semel_store`] shows one.
//! 5. [`runtime::Prober`] runs the reads that a policy requests for an operation in doubt.
//! 6. [`ledger`], [`guard`] and [`key`] hold the meaning: pure functions and values, from the crate `semel-core`.
//!
//! # Probe what is in doubt
//!
//! An attempt timed out. A policy may request a probe: a read that shows whether the refund was made. The host runs it
//! through a [`Prober`](runtime::Prober), which calls the read tool without a guard:
//!
//! ```
//! use async_trait::async_trait;
//! use semel::{
//!     Call, MemoryStore, Outcome, Semel, Tool,
//!     engine::Policy,
//!     model::Probe,
//!     runtime::{OpenError, Prober},
//! };
//! use serde_json::json;
//! use std::sync::Arc;
//!
//! #[derive(Debug)]
//! struct RefundProber;
//!
//! #[async_trait]
//! impl Prober for RefundProber {
//!     async fn probe(&self, call: &Call, probe: &Probe) -> Outcome {
//!         match probe.tool.as_str() {
//!             // Read the refund of `probe.arguments` from your own system here.
//!             "get_refund" => Outcome::returned(json!({ "order": call.arguments()["order_id"].as_str() })),
//!             other => Outcome::not_sent(format!("there is no read tool `{other}`")),
//!         }
//!     }
//! }
//!
//! async fn open(policy: Policy) -> Result<Semel, OpenError> {
//!     Semel::builder(Arc::new(MemoryStore::new()))
//!         .prober(Arc::new(RefundProber))
//!         .tool(["refund_*"], Tool::new(policy))
//!         .open()
//!         .await
//! }
//! ```
//!
//! # Run the tool yourself
//!
//! A front end that streams its answer runs the tool between two calls of its own, and acknowledges the delivery only once
//! the client has the answer:
//!
//! ```
//! use semel::{
//!     Answer, Call, Outcome, Semel, Ticket,
//!     runtime::{CallError, CallStep},
//! };
//!
//! async fn serve(
//!     semel: &Semel,
//!     call: Call,
//!     send: impl AsyncFn(&Ticket) -> Outcome,
//!     write: impl AsyncFn(&Answer) -> bool,
//! ) -> Result<(), CallError> {
//!     let mut step = semel.begin(call).await?;
//!     let answered = loop {
//!         match step {
//!             CallStep::Answered(answered) => break answered,
//!             CallStep::Run(run) => {
//!                 let outcome = send(&run.ticket).await;
//!                 step = run.report(outcome).await?;
//!             }
//!         }
//!     };
//!     let (answer, delivery) = answered.into_parts();
//!     if write(&answer).await
//!         && let Some(delivery) = delivery
//!     {
//!         delivery.acknowledge().await;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! `sqlite` (a ledger in a file), `sealing` (encryption of records under the operator's key) and `shadow` (a dry run of
//! the guard) are on by default.
//!
//! [`semel-guest`]: https://docs.rs/semel-guest

pub mod engine;
pub mod runtime;

pub use semel_core::{guard, json, key, ledger, model, place};

#[doc(inline)]
pub use engine::Engine;
#[doc(inline)]
pub use model::{Answer, Call, Outcome};
#[doc(inline)]
pub use runtime::{Semel, Ticket, Tool};
#[doc(inline)]
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use store::SqliteStore;

/// The place of a ledger: the contract of a store, and the stores that come with this crate.
///
/// A store of your own implements [`Store`](semel_store::Store). The page of the crate [`semel_store`] has an example, and
/// `semel-conformance` tests any store against the contract.
pub mod store {
    #[cfg(feature = "sqlite")]
    pub use semel_sqlite::{SqliteOpenError, SqliteStore};
    #[doc(inline)]
    pub use semel_store::*;
}
