//! PostgreSQL and Redis servers for tests and benchmarks, and a TCP proxy that injects network
//! faults.
//!
//! Each server runs on a free port, with its data in a temporary folder, and ends when its value is
//! dropped. Faults are methods: `kill -9`, a lost power supply, a paused process, a full disk, a
//! cut or silent connection, a standby that is promoted. A method returns once the server is in the
//! state that its name says, and panics otherwise.
//!
//! | module | contents |
//! |---|---|
//! | [`postgres`] | one PostgreSQL server, or a primary with a standby |
//! | [`redis`] | one Redis server, or a cluster |
//! | [`proxy`] | a TCP proxy between a client and a server |
//! | [`machine`] | ports, processes and signals |
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
