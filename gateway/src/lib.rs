#![doc = include_str!("../README.md")]

pub mod access;
pub mod aggregate;
mod bounded_map;
pub mod front;
pub mod guarded;
pub mod health;
pub mod layer;
pub mod limits;
mod lines;
pub mod metrics;
pub mod protocol_version;
pub mod shared_session;
pub mod stack;
pub mod upstream;
pub mod wire;
