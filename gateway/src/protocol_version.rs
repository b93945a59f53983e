//! Clients and servers of two eras: up to 2025-11-25 a connection is opened once, and both sides ask each other; since 2026-07-28
//! each request stands for itself, and a server asks back by its answer.
//!
//! [`DowngradeConnector`] has clients of the newer era reach servers of the older one, [`UpgradeLayer`] the other way round. Where both ends are of
//! one era, both pass everything. Tasks of the newer era are not translated: a client of the older one has not declared
//! that it knows them, so that its server does not answer by one.

mod downgrade;
mod pending_call;
mod probe;
mod translation;
mod upgrade;

pub use downgrade::DowngradeConnector;
pub use upgrade::{ChangesClient, UpgradeLayer};
