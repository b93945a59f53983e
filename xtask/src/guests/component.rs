//! Turns a core module into a component, and makes sure that it imports nothing that acts.

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};

/// The only package with interfaces that a policy may import: they hold types and no functions.
const CONTRACT: &str = "semel:policy/";

/// The component that a module built with the SDK stands for.
pub(super) fn encode_component(module: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .context("it is not built from the SDK, or imports what no host offers")?;
    let imports = forbidden_imports(&component)?;
    ensure!(
        imports.is_empty(),
        "it imports {}, and a policy may import nothing",
        imports.join(", ")
    );
    Ok(component)
}

/// The imports of a component beyond the types of the contract.
fn forbidden_imports(component: &[u8]) -> Result<Vec<String>> {
    let decoded = wit_component::decode(component).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        bail!("it is a package of interfaces, not a component")
    };
    let world = resolve
        .worlds
        .get(world)
        .context("the component has no world")?;
    let names = world.imports.keys().map(|key| resolve.name_world_key(key));
    Ok(names.filter(|name| !name.starts_with(CONTRACT)).collect())
}
