#![doc = include_str!("../README.md")]

pub mod access;
pub mod era;
pub mod fan;
pub mod front;
pub mod guarded;
pub mod health;
pub mod limits;
mod lines;
pub mod link;
pub mod metrics;
pub mod sharing;
pub mod tower;
pub mod upstream;
pub mod wire;
