#![doc = include_str!("../README.md")]

pub mod guard;
pub mod json;
pub mod key;
pub mod ledger;
pub mod model;
pub mod place;
