//! `semel ledger purge`: removes records past their retention.

use crate::{common_args::ConfigArgs, exit::CommandError, output};
use std::time::Duration;

/// Removes records past their retention, and marks operations with an expired lease as in doubt
///
/// A record of an operation that is running, in doubt or held has no end, and is never removed. Prints the number of
/// removed records.
#[derive(Debug, clap::Args)]
pub(crate) struct PurgeArgs {
    /// Limit on the number of removed records
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: usize,
    /// Forget the outcomes of operations that landed longer ago than this, such as 7d, but not that they landed
    ///
    /// A repeat is then answered that the operation landed, without its outcome. Operations that later calls may undo
    /// keep theirs.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    forget_outcomes_after: Option<Duration>,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: PurgeArgs) -> Result<(), CommandError> {
    let ledger = super::open_ledger(&args.config).await?;
    let swept = ledger.sweep().await?;
    if swept.expired > 0 {
        output::print_message(format_args!(
            "{} operations are now in doubt, because their lease has ended",
            swept.expired
        ));
    }
    if let Some(age) = args.forget_outcomes_after {
        let forgotten = ledger.forget_outcomes(age).await?;
        output::print_message(format_args!("{forgotten} outcomes are forgotten"));
    }
    let removed = ledger.purge(args.limit).await?;
    output::write_line(&removed.to_string())
}
