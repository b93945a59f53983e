//! `semel mcp`: guards the tools of MCP servers.

mod assembly;
mod clients;
mod install;
mod name;
mod options;
mod places;
mod serving;

use crate::{exit::Stop, talk::LogStyle};

pub(crate) use options::Options;

/// What else there is to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Install(install::Options),
}

impl Options {
    /// How the log is to be written.
    pub(crate) fn log(&self) -> LogStyle {
        self.serve.log.unwrap_or_default()
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Stop> {
    match options.command {
        Some(Command::Install(options)) => install::run(&options),
        None => assembly::serve(options.serve.plan()?).await,
    }
}
