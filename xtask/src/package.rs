//! `cargo xtask package`: packs what is published, and builds it again from nothing but the packages.
//!
//! The packages are unpacked into a workspace of their own. The members that are not published stand there as empty
//! crates with their dependencies alone: so every dependency is asked for with the same features as here, and cargo takes
//! what it has compiled already. Only the packages themselves are compiled again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{policies, workspace};

/// The published packages: name, folder, and the files that a user of the package needs.
const PUBLISHED: &[(&str, &str, &[&str])] = &[
    ("semel-core", "core", &[]),
    ("semel-store", "store", &[]),
    ("semel-conformance", "store/conformance", &[]),
    ("semel-sqlite", "store/sqlite", &[]),
    ("semel-postgres", "store/postgres", &[]),
    ("semel-redis", "store/redis", &[]),
    ("semel", "host", &["wit/policy.wit"]),
    ("semel-guest", "guest", &["wit/policy.wit"]),
    (
        "semel-policies",
        "policies",
        &["built/hints.wasm", "built/intent.wasm", "built/stripe.wasm"],
    ),
    ("semel-config", "config", &[]),
    ("semel-mcp", "gateway", &[]),
    ("semel-cli", "cli", &[]),
];

/// Files that every package holds.
const EACH: &[&str] = &["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.toml"];

/// The parts of a manifest that say where sources lie, which an empty crate has none of.
const SOURCES: &[&str] = &[
    "[lib]",
    "[[bin]]",
    "[[example]]",
    "[[test]]",
    "[[bench]]",
    "[lints]",
];

/// Pack what is published, and build it outside this workspace.
#[derive(clap::Args)]
pub(crate) struct PackageArguments {}

pub(crate) fn run(_: &PackageArguments) -> Result<()> {
    policies::pack_all()?;
    let outside = workspace::root().join("target/package/outside");
    if outside.exists() {
        fs::remove_dir_all(&outside)
            .with_context(|| format!("cannot clear `{}`", outside.display()))?;
    }
    fs::create_dir_all(&outside)?;
    pack_all()?;
    for (package, _, needed) in PUBLISHED {
        unpack_package(package, needed, &outside)?;
    }
    write_workspace(&outside)?;
    build_packages(&outside)?;
    try_packages()
}

/// All in one call, so that each finds the others' packages though no registry has them.
fn pack_all() -> Result<()> {
    let mut cargo = cargo(workspace::root());
    cargo.args([
        "package",
        "--no-verify",
        "--allow-dirty",
        "--quiet",
        "--locked",
    ]);
    for (package, ..) in PUBLISHED {
        cargo.args(["--package", package]);
    }
    ensure!(cargo.status()?.success(), "`cargo package` failed");
    Ok(())
}

/// Unpacks a package and checks that it holds all that its users need.
fn unpack_package(package: &str, needed: &[&str], outside: &Path) -> Result<()> {
    let name = versioned_name(package);
    let file = workspace::root()
        .join("target/package")
        .join(format!("{name}.crate"));
    // With the time of now: all that is packed is of one old date, by which cargo would take an earlier build for it.
    let unpacked = Command::new("tar")
        .arg("-xzmf")
        .arg(&file)
        .arg("-C")
        .arg(outside)
        .status();
    ensure!(
        unpacked.context("cannot run tar")?.success(),
        "`{}` cannot be unpacked",
        file.display()
    );
    for needed in EACH.iter().chain(needed) {
        let path = outside.join(&name).join(needed);
        let bytes = fs::metadata(&path).map_or(0, |data| data.len());
        ensure!(
            bytes > 0,
            "the package `{name}` lacks `{needed}`: see `include` in its manifest, and its folder"
        );
    }
    println!("{name:<22} {:>6.1} KiB packed", size_in_kibibytes(&file)?);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a size to look at")]
fn size_in_kibibytes(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / 1024.0)
}

/// All packages have the version of the workspace, which is also this program's.
fn versioned_name(package: &str) -> String {
    format!("{package}-{}", env!("CARGO_PKG_VERSION"))
}

/// Makes a workspace of the unpacked packages and of the other members' dependencies.
fn write_workspace(outside: &Path) -> Result<()> {
    let manifest = fs::read_to_string(workspace::root().join("Cargo.toml"))?;
    let (before, list, after) = split_members(&manifest)?;
    let mut names: Vec<String> = PUBLISHED
        .iter()
        .map(|(package, ..)| versioned_name(package))
        .collect();
    // It is built to see that it can be, not to be fast.
    let mut after = without_optimised_members(after);
    for member in list
        .iter()
        .filter(|member| PUBLISHED.iter().all(|(_, folder, _)| folder != *member))
    {
        write_stand_in(member, outside)?;
        names.push(format!("rest/{member}"));
        after = after.replace(
            &format!("path = \"{member}\""),
            &format!("path = \"rest/{member}\""),
        );
    }
    let mut outer = format!("{before}{names:?}{after}\n[patch.crates-io]\n");
    for (package, folder, _) in PUBLISHED {
        outer = outer.replace(
            &format!("path = \"{folder}\""),
            &format!("path = \"{}\"", versioned_name(package)),
        );
        outer.push_str(&format!(
            "{package} = {{ path = \"{}\" }}\n",
            versioned_name(package)
        ));
    }
    fs::write(outside.join("Cargo.toml"), outer)?;
    fs::copy(
        workspace::root().join("Cargo.lock"),
        outside.join("Cargo.lock"),
    )?;
    Ok(())
}

/// The manifest without the profiles of this workspace's own packages.
fn without_optimised_members(manifest: &str) -> String {
    let mut kept = String::new();
    let mut in_profile = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_profile = line.starts_with("[profile.dev.package.semel");
        }
        if !in_profile {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The members of the workspace, and its manifest before and after their list.
fn split_members(manifest: &str) -> Result<(String, Vec<&str>, &str)> {
    const MEMBERS: &str = "members = ";
    let parts = manifest.split_once(MEMBERS).and_then(|(before, rest)| {
        let (list, after) = rest.strip_prefix('[')?.split_once(']')?;
        let names = list
            .split(',')
            .map(|name| name.trim().trim_matches('"'))
            .filter(|name| !name.is_empty());
        Some((format!("{before}{MEMBERS}"), names.collect(), after))
    });
    parts.context("the manifest of the workspace lists no members")
}

/// An empty crate with the dependencies of a member.
fn write_stand_in(member: &str, outside: &Path) -> Result<()> {
    let manifest = fs::read_to_string(workspace::root().join(member).join("Cargo.toml"))?;
    let folder = outside.join("rest").join(member);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("src/lib.rs"),
        "//! Nothing but its dependencies.\n",
    )?;
    fs::write(folder.join("Cargo.toml"), without_sources(&manifest))?;
    Ok(())
}

fn without_sources(manifest: &str) -> String {
    let mut kept = true;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            kept = !SOURCES.contains(&line.trim_end());
        }
        if kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Builds it all with what is compiled already, and says what was not. Examples are built, too: with them cargo
/// takes the features that tests ask for, as it does here.
fn build_packages(outside: &Path) -> Result<()> {
    let mut cargo = cargo(outside);
    // Not locked: what a package needs for the tests of this workspace alone is not in it, and leaves the lock file.
    cargo.args([
        "build",
        "--workspace",
        "--lib",
        "--bins",
        "--examples",
        "--offline",
        "--quiet",
    ]);
    cargo
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "what is published does not build outside this workspace: see `{}`",
        outside.display()
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let rebuilt: Vec<_> = messages.lines().filter_map(compiled_dependency).collect();
    println!(
        "built outside this workspace; dependencies compiled again for it: {}",
        rebuilt.len()
    );
    for package in rebuilt.iter().take(5) {
        eprintln!("compiled again: {package}");
    }
    Ok(())
}

/// The dependency named in a message of cargo, if it was compiled and not reused.
fn compiled_dependency(message: &str) -> Option<String> {
    let message: Value = serde_json::from_str(message).ok()?;
    let package = message.get("package_id")?.as_str()?;
    let is_anew = message.get("fresh")? == false && package.starts_with("registry");
    is_anew.then(|| package.to_owned())
}

/// The program that was built is asked for its policies.
fn try_packages() -> Result<()> {
    let program = target().join("debug/semel");
    for (package, _, needed) in PUBLISHED
        .iter()
        .filter(|(package, ..)| *package == "semel-policies")
    {
        for name in needed
            .iter()
            .filter_map(|file| file.strip_prefix("built/")?.strip_suffix(".wasm"))
        {
            let told = Command::new(&program)
                .args(["policy", "inspect", name])
                .output()?;
            if !told.status.success() {
                bail!(
                    "`{package}` does not embed `{name}`: {}",
                    String::from_utf8_lossy(&told.stderr)
                );
            }
        }
    }
    Ok(())
}

/// Cargo in a folder, with the target directory of this workspace.
fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).env("CARGO_TARGET_DIR", target());
    cargo
}

fn target() -> PathBuf {
    workspace::root().join("target")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_stand_in_has_the_dependencies_and_nothing_that_lies_in_a_file() {
        let manifest = "[package]\nname = \"a\"\n\n[lib]\ncrate-type = []\n\n[dependencies]\nb = \"1\"\n\n[[bin]]\nname = \"c\"\n";
        assert_eq!(
            without_sources(manifest),
            "[package]\nname = \"a\"\n\n[dependencies]\nb = \"1\"\n\n"
        );
    }

    #[test]
    fn the_members_are_read_from_the_manifest_and_all_else_is_kept() {
        let (before, names, after) =
            split_members("[workspace]\nmembers = [\"a\", \"b/c\"]\nx = 1\n").unwrap();
        assert_eq!(
            (before.as_str(), after),
            ("[workspace]\nmembers = ", "\nx = 1\n")
        );
        assert_eq!(names, ["a", "b/c"]);
        assert!(split_members("[workspace]\n").is_err());
    }

    #[test]
    fn only_what_was_compiled_of_others_is_anew() {
        let message = |id: &str, fresh: bool| format!(r#"{{"package_id":"{id}","fresh":{fresh}}}"#);
        assert!(
            compiled_dependency(&message("registry+https://x#wasmtime@48.0.8", false)).is_some()
        );
        assert_eq!(
            compiled_dependency(&message("registry+https://x#wasmtime@48.0.8", true)),
            None
        );
        assert_eq!(
            compiled_dependency(&message("path+file:///x#semel@0.1.0", false)),
            None
        );
        assert_eq!(compiled_dependency("no json"), None);
    }
}
