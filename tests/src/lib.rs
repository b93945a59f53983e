//! The promises of Semel, tested end to end. Every module is named after one.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod ready_made_policies_run_like_anybodys;
mod same_key_in_every_language;
