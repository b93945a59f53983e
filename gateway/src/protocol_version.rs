//! Translation between two groups of protocol versions: *compatibility* of old and new peers.
//!
//! Up to 2025-11-25 (*older*) a connection has a session, and both sides send requests. Since
//! 2026-07-28 (*newer*) each request is self-contained, and a server asks back in its response.
//!
//! [`DowngradeConnector`] connects newer clients to older servers, `UpgradeLayer` older clients to
//! newer servers. If both ends negotiate the same group, both layers forward everything. A task of
//! a newer server is polled on behalf of an older client, which knows no tasks.

mod downgrade;
mod pending_call;
mod probe;
mod translation;
mod upgrade;

pub use downgrade::DowngradeConnector;
pub(crate) use upgrade::{ChangesClient, UpgradeLayer};
