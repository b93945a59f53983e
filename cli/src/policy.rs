//! `semel policy`: what a policy is.

mod inspect;

use crate::exit::CommandError;
use clap::Subcommand;

/// Describes policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Inspect(inspect::InspectArgs),
}

pub(crate) async fn run(command: PolicyCommand) -> Result<(), CommandError> {
    match command {
        PolicyCommand::Inspect(options) => inspect::run(options).await,
    }
}
