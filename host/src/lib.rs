//! Semel sends an agent's tool call at most once, and tells when it cannot know.

pub mod engine;
pub mod guard;
pub mod json;
pub mod key;
pub mod ledger;
pub mod place;
pub mod runtime;
pub mod store;
pub mod words;
