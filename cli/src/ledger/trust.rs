//! `semel ledger trust`: ends the quarantine of a ledger.

use super::statement::PersonArgs;
use crate::{common_args::ConfigArgs, exit::CommandError, output};

/// Ends a quarantine, in which nothing is sent because the ledger may have lost acknowledged writes
///
/// A quarantine begins after a standby took over, a server was emptied, or a backup was restored: a missing record
/// proves nothing then. Make sure first that no earlier call is made again, or that it may be sent again.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: TrustArgs) -> Result<(), CommandError> {
    let person = args.person.to_person()?;
    let ledger = super::open_ledger(&args.config).await?;
    let was_quarantined = ledger.trust(&person).await?;
    output::write_line(if was_quarantined {
        "the quarantine has ended: calls are sent again"
    } else {
        "the ledger was not in quarantine: nothing changed"
    })
}
