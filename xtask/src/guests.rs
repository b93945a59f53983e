//! Builds guests: packages of this workspace, compiled to WebAssembly and turned into components that import nothing.
//!
//! Nothing of the calling cargo reaches the build of a guest: the bytes depend on the sources, the lock file and the
//! compiler only.

mod component;
mod toolchain;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;
pub(crate) use toolchain::CompilerSource;
use toolchain::Toolchain;

const TARGET: &str = "wasm32-unknown-unknown";

/// 64 KiB of stack: with the SDK's static arena a guest then never grows its memory.
const LEAN_STACK: &str = "link-arg=-zstack-size=65536";

/// A guest that was built.
pub(crate) struct BuiltGuest {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// True if its bytes differ from those of the file before.
    pub(crate) changed: bool,
}

/// Builds these packages into `out`, each as `NAME.wasm`, where the name is the package's without `semel-policy-`.
///
/// An unchanged file is not written, so that what depends on it is not built again.
pub(crate) fn build_guests(
    packages: &[String],
    out: &Path,
    from: Option<CompilerSource>,
) -> Result<Vec<BuiltGuest>> {
    let toolchain = toolchain::find_toolchain(from)?;
    eprintln!("guests are built with {toolchain}");
    packages
        .iter()
        .map(|package| build_one(package, out, &toolchain))
        .collect()
}

/// One cargo call for each package: together, the features that one asks for would change the bytes of the others.
fn build_one(package: &str, out: &Path, toolchain: &Toolchain) -> Result<BuiltGuest> {
    let module = compile_module(package, toolchain)?;
    let bytes = fs::read(&module).with_context(|| format!("cannot read `{}`", module.display()))?;
    let component = component::encode_component(&bytes)
        .with_context(|| format!("`{package}` does not make a component"))?;
    let name = package.strip_prefix("semel-policy-").unwrap_or(package);
    let path = out.join(format!("{name}.wasm"));
    let changed = replace_if_changed(&path, &component)
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(BuiltGuest {
        path,
        size: component.len() as u64,
        changed,
    })
}

/// Compiles a package to a core module and says where cargo put it.
fn compile_module(package: &str, toolchain: &Toolchain) -> Result<PathBuf> {
    let mut cargo = clean_cargo();
    cargo
        .args([
            "build",
            "--quiet",
            "--profile",
            "guest",
            "--lib",
            "--target",
            TARGET,
        ])
        .args([
            "--package",
            package,
            "--message-format",
            "json-render-diagnostics",
            "--target-dir",
        ])
        .arg(workspace::guest_target())
        .args(["--config", &guest_flags()?])
        .stderr(Stdio::inherit());
    toolchain.apply(&mut cargo);
    let output = cargo.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "`{package}` does not build for {TARGET}"
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    module_of(package, &messages)
        .with_context(|| format!("`{package}` makes no WebAssembly: its crate-type needs `cdylib`"))
}

/// The module among cargo's messages, which are one JSON object a line.
fn module_of(package: &str, messages: &str) -> Option<PathBuf> {
    let library = package.replace('-', "_");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(&library))
        .filter_map(|message| message.get("filenames").cloned())
        .flat_map(|names| names.as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
}

/// Flags for the guest alone (host build scripts do not see them), the machine's paths kept out of its messages.
fn guest_flags() -> Result<String> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    // A guest with a line of its own in the profile would lose the profile's `strip` by it.
    let mut flags = ["-C", LEAN_STACK, "-C", "strip=symbols"]
        .map(str::to_owned)
        .to_vec();
    flags.push(format!(
        "--remap-path-prefix={}=/semel",
        workspace::root().display()
    ));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    Ok(format!(
        "target.{TARGET}.rustflags={}",
        serde_json::to_string(&flags)?
    ))
}

/// Cargo without what a calling cargo, or its user, left in the environment to shape another build.
fn clean_cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(shapes_a_build) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Returns true for an environment variable that changes what cargo builds, and false for one of its network access.
fn shapes_a_build(name: &str) -> bool {
    const KEPT: &[&str] = &[
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
    ];
    let ours = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    ours && !KEPT.iter().any(|kept| name.starts_with(kept))
}

/// Puts `bytes` at `path` in one step, unless they are there already; says whether it did.
fn replace_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&beside, bytes)?;
    fs::rename(&beside, path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_calling_build_do_not_reach_a_guest() {
        for name in [
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_GUEST_OPT_LEVEL",
        ] {
            assert!(shapes_a_build(name), "{name}");
        }
    }

    #[test]
    fn the_way_to_the_registry_is_kept() {
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_X_INDEX",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!shapes_a_build(name), "{name}");
        }
    }

    #[test]
    fn the_module_is_found_among_the_messages_of_cargo() {
        let messages = r#"not json
{"reason":"compiler-artifact","target":{"name":"other"},"filenames":["/t/other.wasm"]}
{"reason":"compiler-artifact","target":{"name":"a_guest"},"filenames":["/t/liba_guest.rlib","/t/a_guest.wasm"]}"#;
        assert_eq!(
            module_of("a-guest", messages),
            Some(PathBuf::from("/t/a_guest.wasm"))
        );
        assert_eq!(module_of("none", messages), None);
    }
}
