#![doc = include_str!("../README.md")]

pub mod front;
pub mod guarded;
mod lines;
pub mod link;
pub mod tower;
pub mod upstream;
pub mod wire;
