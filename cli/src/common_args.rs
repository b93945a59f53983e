//! Arguments that several commands take.

use clap::ValueEnum;
use std::path::PathBuf;

/// The argument that names the configuration.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file [default: `SEMEL_CONFIG`, ./semel.toml, then semel/semel.toml in the user's
    /// configuration folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// The format in which data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people and shells
    #[default]
    Text,
    /// One JSON value
    Json,
}
