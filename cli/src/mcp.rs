//! `semel mcp`: guards the tools of MCP servers.

mod assembly;
mod clients;
mod install;
mod name;
mod options;
mod places;
mod serving;

use crate::{exit::CommandError, talk::LogStyle};

pub(crate) use options::McpArgs;

/// What else there is to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum McpCommand {
    Install(install::InstallArgs),
}

impl McpArgs {
    /// How the log is to be written.
    pub(crate) fn log(&self) -> LogStyle {
        self.serve.log.unwrap_or_default()
    }
}

pub(crate) async fn run(options: McpArgs) -> Result<(), CommandError> {
    match options.command {
        Some(McpCommand::Install(options)) => install::run(&options),
        None => assembly::serve(options.serve.plan()?).await,
    }
}
