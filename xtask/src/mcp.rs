//! `cargo xtask mcp`: the gateway between third-party clients and servers, and with every fault, and a table of
//! what came of it.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::{mcp_peers, workspace};

/// Play each client against each server with the gateway between them, and bring about its faults.
#[derive(clap::Args)]
pub(crate) struct McpArguments {
    /// All pairs over all carriers, and all places at which a stream can be cut: some minutes. Otherwise what a run of all
    /// tests plays.
    #[arg(long)]
    all: bool,
    /// At how many places a stream is cut, with `--all`.
    #[arg(long, default_value_t = 300)]
    cuts: usize,
}

/// The tests that play clients and servers, and those that cause faults.
const TESTS: &str = "binary(gateway) and (test(every_client_meets) or test(a_client_hears) or test(a_server_conforms) \
                     or test(no_fault) or test(no_cut) or test(a_framework))";

pub(crate) fn run(arguments: &McpArguments) -> Result<()> {
    mcp_peers::prepare()?;
    let mut tests = Command::new("cargo");
    // The same build as of all tests, so that nothing is compiled for other features.
    tests.args([
        "nextest",
        "run",
        "--workspace",
        "--all-targets",
        "--locked",
        "--no-fail-fast",
        "--success-output=final",
    ]);
    tests.args(["-E", TESTS]).current_dir(workspace::root());
    if arguments.all {
        tests
            .env("SEMEL_MCP_ALL", "1")
            .env("SEMEL_MCP_CUTS", arguments.cuts.to_string());
    }
    let status = tests.status().context("cannot run `cargo nextest`")?;
    ensure!(
        status.success(),
        "the gateway is not what it promises: what is printed above says where"
    );
    Ok(())
}
