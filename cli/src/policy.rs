//! `semel policy`: describes policies.

mod inspect;

use crate::exit::CommandError;
use clap::Subcommand;

/// Describes policies
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Inspect(inspect::InspectArgs),
}

pub(crate) async fn run(command: PolicyCommand) -> Result<(), CommandError> {
    match command {
        PolicyCommand::Inspect(args) => inspect::run(args).await,
    }
}
