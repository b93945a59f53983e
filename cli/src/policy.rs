//! `semel policy`: what a policy is.

mod inspect;

use crate::exit::Stop;
use clap::Subcommand;

/// Looks at policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::Options),
}

pub(crate) async fn run(command: Command) -> Result<(), Stop> {
    match command {
        Command::Inspect(options) => inspect::run(options).await,
    }
}
