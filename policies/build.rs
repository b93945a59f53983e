//! Embeds the ready-made policies that are built, and leaves out those that are not.
//!
//! In the workspace they lie where `cargo xtask policies` writes them; in a package, in its folder `built`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

include!("src/names.rs");

fn main() -> Result<(), Box<dyn Error>> {
    let built = built_component(Path::new(&env::var("CARGO_MANIFEST_DIR")?))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut table = String::from("&[\n");
    for name in NAMES {
        let bytes = embed_component(name, &built, &out)?;
        writeln!(table, "    ({name:?}, {bytes}),")?;
    }
    table.push_str("]\n");
    fs::write(out.join("table.rs"), table)?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/names.rs");
    println!("cargo::rerun-if-changed={}", built.display());
    Ok(())
}

/// The folder of built policies. In the workspace it is made where it is missing: cargo runs a build script again
/// and again while a path that it watches does not exist.
fn built_component(package: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let workspace = package.join("..");
    if !workspace.join("xtask/Cargo.toml").is_file() {
        return Ok(package.join("built"));
    }
    let folder = workspace.canonicalize()?.join("target/policies");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The expression for a policy's bytes. They are copied first, so that a build never sees half of a change.
fn embed_component(name: &str, built: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let file = built.join(name).with_extension("wasm");
    if !file.is_file() {
        return Ok("None".to_owned());
    }
    fs::copy(file, out.join(name).with_extension("wasm"))?;
    Ok(format!(
        "Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\")))"
    ))
}
