//! `semel ledger purge`

use crate::{common_args::ConfigArgs, exit::CommandError, talk};
use std::time::Duration;

/// Removes what is past its end, and marks as in doubt what nobody holds any more.
///
/// What is running, in doubt or held never ends by itself, and is never removed. Prints how many records were removed.
#[derive(Debug, clap::Args)]
pub(crate) struct PurgeArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: usize,
    /// First forget the outcomes of what landed so long ago, such as 7d, but not that it landed
    ///
    /// A repeat is told that it landed, and nothing more. What later calls may undo is left whole.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    forget_outcomes_after: Option<Duration>,
    #[command(flatten)]
    place: ConfigArgs,
}

pub(super) async fn run(options: PurgeArgs) -> Result<(), CommandError> {
    let ledger = super::open(&options.place).await?;
    let swept = ledger.sweep().await?;
    if swept.expired > 0 {
        talk::say(format_args!(
            "{} operations are in doubt, because nobody holds them any more",
            swept.expired
        ));
    }
    if let Some(older_than) = options.forget_outcomes_after {
        let forgotten = ledger.forget_outcomes(older_than).await?;
        talk::say(format_args!("{forgotten} outcomes are forgotten"));
    }
    let removed = ledger.purge(options.limit).await?;
    talk::line(&removed.to_string())
}
