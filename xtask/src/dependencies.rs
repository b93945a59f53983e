//! Which package may depend on what, held against `cargo tree`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// The features with which each package is built, by its name and version. A package that proc macros use, too, may be
/// built with two sets of them.
type FeatureSets = BTreeMap<String, BTreeSet<String>>;

/// Returns what `cargo tree` with these arguments selects.
fn dependency_tree(arguments: &[&str]) -> Result<FeatureSets> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p}|{f}",
        ])
        .args(arguments)
        .current_dir(workspace::root())
        .output()
        .context("cannot run `cargo tree`")?;
    let errors = String::from_utf8_lossy(&tree.stderr);
    ensure!(tree.status.success(), "`cargo tree` failed: {errors}");
    let mut sets = FeatureSets::new();
    for line in String::from_utf8_lossy(&tree.stdout).lines() {
        // A repeated subtree ends in `(*)`, a package of this workspace names its folder.
        let line = line.trim_end_matches(" (*)");
        if let Some((package, features)) = line.split_once('|') {
            let mut words = package.split(' ');
            let name = words.by_ref().take(2).collect::<Vec<_>>().join(" ");
            sets.entry(name).or_default().insert(features.to_owned());
        }
    }
    ensure!(!sets.is_empty(), "`cargo tree` printed nothing");
    Ok(sets)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that fails panics")]

    use super::*;

    /// Crates that read files, open connections, read clocks or draw random numbers.
    const DOES_IO: &[&str] = &[
        "async-trait",
        "getrandom",
        "libc",
        "mio",
        "rustix",
        "socket2",
        "tokio",
        "tracing",
    ];

    /// The names of all packages that `package` is built from, proc macros left out.
    fn dependencies_of(package: &str) -> Vec<String> {
        let arguments = ["--package", package, "--edges", "normal,no-proc-macro"];
        let tree = dependency_tree(&arguments).unwrap();
        tree.into_keys()
            .map(|key| key.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    fn assert_free_of(package: &str, forbidden: &[&str]) {
        let found: Vec<_> = dependencies_of(package)
            .into_iter()
            .filter(|name| forbidden.contains(&&**name))
            .collect();
        assert!(found.is_empty(), "`{package}` depends on {found:?}");
    }

    #[test]
    fn the_core_can_do_no_io() {
        assert_free_of("semel-core", DOES_IO);
        // The control: the host can.
        assert!(dependencies_of("semel").iter().any(|name| name == "tokio"));
    }

    #[test]
    fn stores_know_neither_policies_nor_each_other() {
        for driver in [
            "semel-store",
            "semel-postgres",
            "semel-redis",
            "semel-sqlite",
        ] {
            assert_free_of(driver, &["semel", "semel-policies", "toml", "wasmtime"]);
        }
        assert_free_of("semel-postgres", &["redis", "rusqlite"]);
        assert_free_of("semel-redis", &["rusqlite", "tokio-postgres"]);
    }

    #[test]
    fn the_library_knows_no_front_end() {
        assert_free_of(
            "semel",
            &[
                "clap",
                "hyper",
                "redis",
                "semel-config",
                "tokio-postgres",
                "toml",
            ],
        );
    }

    /// Fails if a build of these packages compiles a dependency with features that the tests' build does not.
    #[track_caller]
    fn assert_built_as_tests_are(packages: &[&str]) {
        let tests = dependency_tree(&["--workspace", "--edges", "normal,build,dev"]).unwrap();
        let mut arguments = vec!["--edges", "normal,build"];
        arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
        for (package, sets) in dependency_tree(&arguments).unwrap() {
            for features in sets {
                let known = tests.get(&package).unwrap();
                assert!(
                    known.contains(&features),
                    "{package} would be compiled twice, for {packages:?} and for the tests: it is asked for with \
                     `{features}` and with {known:?}; let both ask for the same, in `tests/features/Cargo.toml`"
                );
            }
        }
    }

    #[test]
    fn the_demo_asks_for_the_features_of_the_tests() {
        assert_built_as_tests_are(&["semel-demo"]);
    }

    #[test]
    fn the_command_line_asks_for_the_features_of_the_tests() {
        assert_built_as_tests_are(&["semel-cli", "semel-features"]);
    }

    #[test]
    fn xtask_asks_for_the_features_of_the_tests() {
        assert_built_as_tests_are(&["xtask"]);
    }
}
