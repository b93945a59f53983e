//! `semel config schema`: prints the JSON Schema of the configuration.

use crate::{exit::CommandError, output};

/// Prints the JSON Schema (draft 2020-12) of semel.toml, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {}

pub(super) fn run() -> Result<(), CommandError> {
    output::write_line(&format!("{:#}", semel_config::json_schema()))
}
