//! A person's statement on the command line: a name and a reason, each one line of text.

use crate::exit::{CommandError, ExitReason};
use semel::ledger::Person;

/// The limit on a name, a reason or a handle, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The person that the ledger records with a decision.
#[derive(Debug, clap::Args)]
pub(super) struct PersonArgs {
    /// Name of the deciding person
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Reason for the decision
    #[arg(long, value_name = "TEXT")]
    why: String,
}

impl PersonArgs {
    pub(super) fn to_person(&self) -> Result<Person, CommandError> {
        Ok(Person {
            who: parse_line("--who", &self.who)?,
            why: parse_line("--why", &self.why)?,
        })
    }
}

/// Parses the value of an option that takes one line of text.
pub(super) fn parse_line(option: &str, value: &str) -> Result<String, CommandError> {
    let line = value.trim();
    if line.is_empty() || line.len() > TEXT_BYTES_MAX || line.contains(char::is_control) {
        return Err(ExitReason::Usage.error(format!(
            "`{option}` takes one line of 1 to {TEXT_BYTES_MAX} bytes"
        )));
    }
    Ok(line.to_owned())
}
