//! Puts guests for tests together: `lean.wat` with its slots filled, as a module or as a component.

use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const TEMPLATE: &str = include_str!("lean.wat");
const SLOTS: [(&str, &str); 10] = [
    ("memory", "4"),
    ("items", ""),
    ("realloc", ""),
    ("describe", ""),
    ("configure", ""),
    ("derive", ""),
    ("judge", ""),
    ("recover", ""),
    ("weigh", ""),
    ("data", ""),
];

/// A guest that does what the contract says, but for the slots that a test fills.
#[derive(Clone, Default)]
pub struct Guest(Vec<(&'static str, String)>);

impl Guest {
    /// The guest whose slots are all empty.
    pub fn lean() -> Self {
        Self::default()
    }

    /// The same with one slot filled.
    pub fn with(mut self, slot: &'static str, text: impl Into<String>) -> Self {
        assert!(
            SLOTS.iter().any(|(name, _)| *name == slot),
            "no slot `{slot}`"
        );
        self.0.push((slot, text.into()));
        self
    }

    /// As a text.
    pub fn text(&self) -> String {
        SLOTS
            .iter()
            .fold(TEMPLATE.to_owned(), |text, (name, empty)| {
                let filled = self.0.iter().find(|(slot, _)| slot == name);
                text.replace(
                    &format!("{{{{{name}}}}}"),
                    filled.map_or(*empty, |(_, filled)| filled.as_str()),
                )
            })
    }

    /// As a plain module that says which contract it was built for.
    pub fn module(&self) -> Vec<u8> {
        for_contract(&self.text(), &contract())
    }

    /// As a component.
    pub fn component(&self) -> Vec<u8> {
        component_of(&self.module())
    }
}

/// A module from a text, with the mark of a contract (in WIT) on it.
pub fn for_contract(text: &str, wit: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).expect("a guest that parses");
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("policy.wit", wit)
        .expect("a contract that parses");
    let world = resolve
        .select_world(&[package], Some("policy"))
        .expect("its world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a mark on the guest");
    module
}

/// The component that a module becomes.
pub fn component_of(module: &[u8]) -> Vec<u8> {
    let encoder = ComponentEncoder::default()
        .module(module)
        .expect("a module built for the contract");
    encoder.validate(true).encode().expect("a component")
}

/// The contract, as it is written.
pub fn contract() -> String {
    std::fs::read_to_string(root().join("wit/policy.wit")).expect("the contract")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_owned()
}
