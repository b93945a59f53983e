//! `cargo xtask test`: builds the ready-made policies, installs what tests talk to, then runs every test there is, and looks for
//! secrets in all that they logged.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::{canaries, localstripe, mcp_peers, policies, servers, workspace};

/// Build the policies and run all tests; a skipped one fails.
#[derive(clap::Args)]
pub(crate) struct TestArguments {}

pub(crate) fn run(_: &TestArguments) -> Result<()> {
    policies::build_all()?;
    localstripe::prepare()?;
    mcp_peers::prepare()?;
    servers::prepare()?;
    // No test is ignored: what could not run would have to fail.
    // One build of everything, so that no dependency is compiled twice for other features.
    cargo(&[
        "nextest",
        "run",
        "--workspace",
        "--all-targets",
        "--no-fail-fast",
    ])?;
    canaries::search_test_output()?;
    cargo(&["test", "--workspace", "--doc", "--quiet"])
}

/// Runs cargo in the workspace, with the environment of the caller.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let shown = arguments.join(" ");
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(workspace::root())
        .status()
        .with_context(|| format!("cannot run `cargo {shown}`"))?;
    ensure!(status.success(), "`cargo {shown}` failed");
    Ok(())
}
