//! Database servers that tests and measurements start on free ports, in folders of their own, and end; and a wire to them
//! that breaks.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

pub mod machine;
pub mod postgres;
pub mod proxy;
pub mod redis;
