//! What a component imports and exports, held against the contract, before it is compiled.

use super::{census::ComponentCensus, error::LoadError};

/// The version of the contract that this host speaks.
pub(super) const SPOKEN: &str = "0.1.0";
/// Versions that begin like this only add interfaces to it.
const COMPATIBLE: &str = "0.1.";
/// The package of the contract.
const PACKAGE: &str = "semel:policy/";
/// The interface that holds types only. Nothing acts by importing it.
const TYPES: &str = "types";
/// The interfaces that every policy exports.
const EXPORTED: [&str; 3] = ["about", "key", "retry"];

/// Checks a component's imports and exports.
///
/// # Errors
/// If it imports what acts, speaks another version, or leaves out part of the contract.
pub(super) fn check(census: &ComponentCensus) -> Result<(), LoadError> {
    if let Some(other) = census
        .exports
        .iter()
        .chain(&census.imports)
        .find(|name| other_version(name))
    {
        return Err(LoadError::Version {
            found: other.clone(),
            spoken: SPOKEN,
        });
    }
    let foreign = |name: &&String| interface(name) != Some(TYPES);
    refuse_imports(census.imports.iter().filter(foreign))?;
    let exports = |wanted: &str| {
        census
            .exports
            .iter()
            .any(|name| interface(name) == Some(wanted))
    };
    let missing: Vec<String> = EXPORTED
        .iter()
        .filter(|wanted| !exports(wanted))
        .map(|wanted| name_of(wanted))
        .collect();
    if !missing.is_empty() {
        return Err(LoadError::Exports { missing });
    }
    if census.composed {
        Err(LoadError::Composed)
    } else {
        Ok(())
    }
}

/// Refuses imports, if there are any, with the way to do without.
pub(super) fn refuse_imports<'a>(
    imports: impl Iterator<Item = &'a String>,
) -> Result<(), LoadError> {
    let imports: Vec<String> = imports.cloned().collect();
    match imports.first() {
        None => Ok(()),
        Some(first) => Err(LoadError::Imports {
            cure: cure_of(first),
            imports,
        }),
    }
}

/// The whole name of an interface of the contract.
pub(super) fn name_of(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{SPOKEN}")
}

fn cure_of(import: &str) -> &'static str {
    if import.starts_with("wasi") {
        "build it for `wasm32-unknown-unknown` (Rust), or with WASI stubbed out (`componentize-qjs --stub-wasi`, \
         `componentize-py --stub-wasi`), and leave out what needs a clock, randomness or files"
    } else if import.contains("__wbindgen") {
        "turn off the features for browsers (`js`, `wasm-bindgen`) of its dependencies"
    } else if import.starts_with("env::") {
        "link in what it calls, or leave out the dependency that wants it"
    } else {
        "leave out what needs it: all that a policy may know is in the call and its facts"
    }
}

/// The interface of the contract that a name speaks of, in a version that this host understands.
fn interface(name: &str) -> Option<&str> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    version.starts_with(COMPATIBLE).then_some(interface)
}

fn other_version(name: &str) -> bool {
    name.starts_with(PACKAGE) && interface(name).is_none()
}
