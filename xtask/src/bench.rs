//! `cargo xtask bench`: what a call through Semel costs, beside the same work without it.
//!
//! Both programs are built as they are shipped. That is a second compilation of everything, so CI leaves it out.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::{test::cargo, workspace};

/// Measure what a call through Semel costs, beside the same work without it.
#[derive(clap::Args)]
pub(crate) struct BenchArguments {
    /// Arguments for the program itself: groups such as `mcp`, and `--json`, `--folder FOLDER`, `--history COUNT`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    passed_on: Vec<String>,
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let target = workspace::root().join("target");
    let folder = target.display().to_string();
    let packages = ["--package", "semel-bench", "--package", "semel-cli"];
    cargo(
        &[
            &["build", "--quiet", "--release", "--target-dir", &folder],
            packages.as_slice(),
        ]
        .concat(),
    )?;
    let status = Command::new(target.join("release/semel-bench"))
        .arg("--semel")
        .arg(target.join("release/semel"))
        .args(&arguments.passed_on)
        .status()
        .context("cannot run the built `semel-bench`")?;
    ensure!(status.success(), "measuring failed");
    Ok(())
}
