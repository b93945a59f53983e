//! `semel mcp`: guards the tools of MCP servers.

mod assembly;
mod name;
mod options;
mod serving;

use crate::{exit::Stop, talk::LogStyle};

pub(crate) use options::Options;

impl Options {
    /// How the log is to be written.
    pub(crate) fn log(&self) -> LogStyle {
        self.serve.log.unwrap_or_default()
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Stop> {
    assembly::serve(options.serve.plan()?).await
}
