//! `semel ledger trust`

use crate::{common_args::ConfigArgs, exit::CommandError, talk};
use semel::ledger::Person;

/// Ends the time for which nothing is sent because the ledger may have lost what it acknowledged.
///
/// Such a time begins when a standby took over, a server was emptied, or a backup was put back: a record that is missing
/// proves nothing then. Make sure first that no call of before is made again, or that it may be.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// Who says so
    #[arg(long, value_name = "NAME")]
    who: String,
    /// On what ground
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    place: ConfigArgs,
}

pub(super) async fn run(options: TrustArgs) -> Result<(), CommandError> {
    let person = Person {
        who: super::decide::text("--who", &options.who)?,
        why: super::decide::text("--why", &options.why)?,
    };
    let ledger = super::open(&options.place).await?;
    let ended = ledger.trust(&person).await?;
    talk::line(if ended {
        "calls are sent again"
    } else {
        "calls are sent as ever: nothing was withheld"
    })
}
