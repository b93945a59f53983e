//! `cargo xtask soak`: kills hosts at every named point and at any moment, as often as asked, and says what came of it.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::workspace;

/// The test that every run of the suite makes with a thousand kills.
const TEST: &str = "test(=whoever_is_killed_sends_nothing_twice::at_every_point_and_at_any_moment)";

/// Kill hosts at every point, restart, and count what a shop did: no double sending, no lost record.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many processes are killed.
    #[arg(long, default_value_t = 50_000)]
    kills: u64,
    /// Stop after so many minutes, however many were killed by then.
    #[arg(long)]
    minutes: Option<u64>,
    /// Repeat the run that printed this seed.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut soak = Command::new("cargo");
    // The same build as of all tests, so that nothing is compiled for other features.
    soak.args(["nextest", "run", "--workspace", "--all-targets", "--locked", "--no-capture", "-E", TEST])
        .current_dir(workspace::root())
        .env("SEMEL_SOAK_KILLS", arguments.kills.to_string());
    let wishes = [("SEMEL_SOAK_MINUTES", arguments.minutes), ("SEMEL_SOAK_SEED", arguments.seed)];
    soak.envs(wishes.into_iter().filter_map(|(name, wish)| Some((name, wish?.to_string()))));
    let status = soak.status().context("cannot run `cargo nextest`")?;
    ensure!(status.success(), "a promise was broken: the report above says which, and repeats it by its seed");
    Ok(())
}
