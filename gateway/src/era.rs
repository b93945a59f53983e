//! Clients and servers of two eras: up to 2025-11-25 a connection is opened once, and both sides ask each other; since 2026-07-28
//! each request stands for itself, and a server asks back by its answer.
//!
//! [`Lowering`] has clients of the newer era reach servers of the older one, [`Raised`] the other way round. Where both ends are of
//! one era, both pass everything. Tasks of the newer era are not translated: a client of the older one has not declared
//! that it knows them, so that its server does not answer by one.

mod held;
mod lowered;
mod meaning;
mod probe;
mod raised;

pub use lowered::Lowering;
pub use raised::{Changes, Raised};
