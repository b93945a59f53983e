//! `cargo xtask soak`: what every run of the suite does for some seconds or a thousand times, as often as asked, and what came
//! of it.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::process::Command;

use crate::{servers, workspace};

/// The default time for which two hosts share ledgers.
const MINUTES: u64 = 5;

/// Let two hosts share a ledger on a server while all goes wrong, or kill hosts at every point, pull plugs and lose messages, and
/// count what a shop did: no double sending, no lost record.
#[derive(clap::Args)]
pub(crate) struct SoakArguments {
    /// For how long two hosts share ledgers on servers (5, divided among the kinds of ledger); or after how long each of what
    /// follows stops, however much was done by then.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// Only on this kind of ledger.
    #[arg(long, conflicts_with_all = ["kills", "images", "stories"])]
    ledger: Option<LedgerKind>,
    /// Processes on a file that are killed, at every failpoint and at random moments.
    #[arg(long)]
    kills: Option<u64>,
    /// Disk images that are checked after a power loss, and as many after failed syncs.
    #[arg(long)]
    images: Option<u64>,
    /// Stories of lost requests, lost replies and late effects that are played.
    #[arg(long)]
    stories: Option<u64>,
    /// Repeat the run that printed this seed: the same troubles, points and stories. What they meet is up to the machine.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LedgerKind {
    Postgres,
    Redis,
}

/// A test, and the variables that say how much of it.
type Kind = (&'static str, Vec<(&'static str, u64)>);

impl SoakArguments {
    fn soak_kinds(&self) -> Vec<Kind> {
        let asked = [
            (
                "whoever_is_killed_sends_nothing_twice::at_every_point_and_at_any_moment",
                "SEMEL_SOAK_KILLS",
                self.kills,
            ),
            (
                "power_loss_takes_nothing_back::at_any_moment",
                "SEMEL_SOAK_IMAGES",
                self.images,
            ),
            (
                "power_loss_takes_nothing_back::failed_syncs::at_any_moment",
                "SEMEL_SOAK_IMAGES",
                self.images,
            ),
            (
                "no_lost_message_sends_again::a_thousand_stories",
                "SEMEL_SOAK_STORIES",
                self.stories,
            ),
        ];
        let limit = self.minutes.map(|minutes| ("SEMEL_SOAK_MINUTES", minutes));
        let counted: Vec<Kind> = asked
            .into_iter()
            .filter_map(|(test, variable, times)| {
                Some((
                    test,
                    [(variable, times?)].into_iter().chain(limit).collect(),
                ))
            })
            .collect();
        if counted.is_empty() {
            self.soak_days()
        } else {
            counted
        }
    }

    /// A day on each kind of ledger, which share the time.
    fn soak_days(&self) -> Vec<Kind> {
        let ledgers = self.ledger.map_or_else(
            || LedgerKind::value_variants().to_vec(),
            |ledger| vec![ledger],
        );
        let seconds = self.minutes.unwrap_or(MINUTES) * 60 / ledgers.len() as u64;
        let day = |ledger| match ledger {
            LedgerKind::Postgres => "a_day_of_faults_sends_nothing_twice::on_postgres",
            LedgerKind::Redis => "a_day_of_faults_sends_nothing_twice::on_redis",
        };
        ledgers
            .into_iter()
            .map(|ledger| (day(ledger), vec![("SEMEL_SOAK_DAY_SECONDS", seconds)]))
            .collect()
    }
}

pub(crate) fn run(arguments: &SoakArguments) -> Result<()> {
    servers::prepare()?;
    for (test, much) in arguments.soak_kinds() {
        let mut soak = Command::new("cargo");
        // The same build as of all tests, so that nothing is compiled for other features.
        soak.args([
            "nextest",
            "run",
            "--workspace",
            "--all-targets",
            "--locked",
            "--no-capture",
            "-E",
        ])
        .arg(format!("test(={test})"))
        .current_dir(workspace::root());
        let seed = arguments.seed.map(|seed| ("SEMEL_SOAK_SEED", seed));
        soak.envs(
            much.into_iter()
                .chain(seed)
                .map(|(name, number)| (name, number.to_string())),
        );
        let status = soak.status().context("cannot run `cargo nextest`")?;
        ensure!(
            status.success(),
            "a promise was broken: what is printed above says which, and repeats it by its seed"
        );
    }
    Ok(())
}
