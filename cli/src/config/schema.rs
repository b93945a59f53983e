//! `semel config schema`

use crate::{exit::CommandError, talk};

/// Prints the JSON Schema (draft 2020-12) of semel.toml, for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {}

pub(super) fn run() -> Result<(), CommandError> {
    talk::line(&format!("{:#}", semel_config::json_schema()))
}
