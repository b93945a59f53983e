//! `cargo xtask soak`: what every run of the suite does a thousand times, as often as asked, and what came of it.

use anyhow::{Context, Result, ensure};
use std::process::Command;

use crate::workspace;

/// Kill hosts at every point, pull plugs, lose messages, and count what a shop did: no double sending, no lost record.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many processes are killed, at every named point and at any moment.
    #[arg(long, default_value_t = 50_000)]
    kills: u64,
    /// How many disks are built of what a power loss may leave, and as many after syncs that failed, and looked at.
    #[arg(long, default_value_t = 0)]
    images: u64,
    /// How many stories of lost requests, lost replies and late effects are told.
    #[arg(long, default_value_t = 0)]
    stories: u64,
    /// Stop each of them after so many minutes, however much was done by then.
    #[arg(long)]
    minutes: Option<u64>,
    /// Repeat the run that printed this seed: the same points and stories. When a crowd is killed is up to the machine.
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// What there is, by the test that does it, the variable that says how often, and how often.
    fn kinds(&self) -> [(&'static str, &'static str, u64); 4] {
        [
            ("whoever_is_killed_sends_nothing_twice::at_every_point_and_at_any_moment", "SEMEL_SOAK_KILLS", self.kills),
            ("power_loss_takes_nothing_back::at_any_moment", "SEMEL_SOAK_IMAGES", self.images),
            ("power_loss_takes_nothing_back::failed_syncs::at_any_moment", "SEMEL_SOAK_IMAGES", self.images),
            ("no_lost_message_sends_again::a_thousand_stories", "SEMEL_SOAK_STORIES", self.stories),
        ]
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for (test, variable, times) in arguments.kinds().into_iter().filter(|(.., times)| *times > 0) {
        let mut soak = Command::new("cargo");
        // The same build as of all tests, so that nothing is compiled for other features.
        soak.args(["nextest", "run", "--workspace", "--all-targets", "--locked", "--no-capture", "-E"])
            .arg(format!("test(={test})"))
            .current_dir(workspace::root())
            .env(variable, times.to_string());
        let wishes = [("SEMEL_SOAK_MINUTES", arguments.minutes), ("SEMEL_SOAK_SEED", arguments.seed)];
        soak.envs(wishes.into_iter().filter_map(|(name, wish)| Some((name, wish?.to_string()))));
        let status = soak.status().context("cannot run `cargo nextest`")?;
        ensure!(status.success(), "a promise was broken: what is printed above says which, and repeats it by its seed");
    }
    Ok(())
}
