#![doc = include_str!("../README.md")]

pub mod config;
pub mod engine;
pub mod guard;
pub mod json;
pub mod key;
pub mod ledger;
pub mod place;
mod points;
pub mod runtime;
pub mod store;
mod stretch;
pub mod words;

#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use points::POINTS;
