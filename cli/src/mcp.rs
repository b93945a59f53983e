//! `semel mcp`: guards the tools of MCP servers.

mod assembly;
mod clients;
mod install;
mod key_headers;
mod options;
mod server_name;
mod serving;

use crate::{exit::CommandError, logging::LogStyle};

pub(crate) use options::McpArgs;

/// The commands below `semel mcp`, which itself serves.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum McpCommand {
    Install(install::InstallArgs),
}

impl McpArgs {
    pub(crate) fn log_style(&self) -> LogStyle {
        self.serve.log.unwrap_or_default()
    }
}

pub(crate) async fn run(args: McpArgs) -> Result<(), CommandError> {
    match args.command {
        Some(McpCommand::Install(args)) => install::run(&args),
        None => assembly::serve(args.serve.into_plan()?).await,
    }
}
