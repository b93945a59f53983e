//! `semel` as its users meet it: real processes, real files, every fault with its exit code and its message.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod cache;
mod concurrency;
mod exec;
mod help;
mod inspecting;
mod interruption;
mod ledger;
mod mcp;
mod network;
mod readme;
mod sealing;
mod secrets;
mod servers;
mod shadow;
mod workshop;
