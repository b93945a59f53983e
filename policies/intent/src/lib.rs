//! A declarative policy: its settings say which arguments make a call the operation it is, which answers mean what, and
//! how to look for what became of it. Most people write no code.
//!
//! See the README for the settings.

mod answer;
mod condition;
mod field;
mod intent;
mod pointer;
mod probe;
mod rule;
mod settings;
mod span;
mod target;
mod template;

pub use intent::Intent;

semel_guest::export!(Intent);

#[cfg(test)]
mod tests;
