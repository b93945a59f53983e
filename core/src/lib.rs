//! The pure core of Semel: what a call means, and what may happen to it.
//!
//! Nothing here does I/O, reads a clock, draws a random number or waits: times and nonces are arguments, and what is to be
//! done comes back as a value.

pub mod guard;
pub mod json;
pub mod key;
pub mod ledger;
pub mod model;
pub mod place;
