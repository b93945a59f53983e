//! Ledgers on servers, over servers that are started here: the contract of a store, what is refused when one opens, and
//! what faults of servers, processes and networks leave behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test says what it expects"
)]

mod believing;
mod charging;
mod cuts;
mod either;
mod histories;
mod postgres;
mod redis;
mod waiting;
mod witness;
