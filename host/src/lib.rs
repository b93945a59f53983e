#![doc = include_str!("../README.md")]

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

/// Where a ledger is kept: the contract of a store, and the stores that come with this crate.
pub mod store {
    #[cfg(feature = "sqlite")]
    pub use semel_sqlite::{SqliteOpenError, SqliteStore};
    #[doc(inline)]
    pub use semel_store::*;
}
