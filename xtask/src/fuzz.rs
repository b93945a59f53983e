//! `cargo xtask fuzz`: lets the host take in generated and altered policies for as long as asked.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::{policies, workspace};

/// The tests that every run of the suite makes with some thousand inputs.
const TESTS: &str = "binary(=engine) and test(/^noise::/)";

/// Generate modules and components, alter real policies, and load them all: no panic, and a typed fault for each.
#[derive(clap::Args)]
pub(crate) struct FuzzArguments {
    /// The time to run.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// Repeat the run of this seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &FuzzArguments) -> Result<()> {
    policies::build_all()?;
    let mut fuzz = Command::new("cargo");
    // The same build as of all tests, so that nothing is compiled for other features.
    fuzz.args([
        "nextest",
        "run",
        "--workspace",
        "--all-targets",
        "--locked",
        "--no-fail-fast",
        "--success-output=final",
    ])
    .args(["-E", TESTS])
    .current_dir(workspace::root())
    .env("SEMEL_FUZZ_MINUTES", arguments.minutes.to_string())
    .env("SEMEL_FUZZ_SEED", arguments.seed.to_string());
    let status = fuzz.status().context("cannot run `cargo nextest`")?;
    ensure!(
        status.success(),
        "an input did harm: the report above names its case and the file that holds it"
    );
    Ok(())
}
