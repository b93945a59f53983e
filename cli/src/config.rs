//! `semel config`: describes the configuration.

mod schema;

use crate::exit::CommandError;
use clap::Subcommand;

/// Describes the configuration
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Schema(schema::SchemaArgs),
}

pub(crate) fn run(command: ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Schema(_) => schema::run(),
    }
}
