//! Exit codes: one table for all commands, and the error that carries one of them.

use std::fmt;

/// Why a command ends otherwise than with what it was asked for. `semel exec` ends with the exit code of its own
/// command wherever that ran or is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was typed is no command.
    Usage = 64,
    /// It must not be done as it stands.
    Refused = 65,
    /// What was named is not there.
    NotFound = 66,
    /// The ledger cannot be used.
    Ledger = 69,
    /// Semel itself went wrong.
    Internal = 70,
    /// Something else stands under the same identity.
    Conflict = 73,
    /// It took effect, and its output cannot be had.
    NoOutput = 74,
    /// It is under way.
    Running = 75,
    /// It may have taken effect.
    InDoubt = 76,
    /// A person must decide.
    Held = 77,
    /// The set-up is wrong.
    Config = 78,
}

/// The table, for `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
   0  done; of `exec`: the command's own, or the recorded one
  64  usage: this is no command, or an option is missing or wrong
  65  refused: the call (or the decision) must not be carried out as it stands; nothing ran
  66  not found: no such record, or a file that cannot be read
  69  the ledger cannot be used; nothing ran
  70  an internal error
  73  conflict: the same operation with other content is recorded; nothing ran
  74  it took effect, but its output is not kept (whole), or could not be written
  75  running: another attempt is under way; try again later
  76  in doubt: it may have taken effect; nothing is sent again on its own
  77  held: it may have taken effect, and a person must decide (`semel ledger decide`)
  78  the configuration, a policy or its settings are wrong; nothing ran";

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The error of this exit code.
    pub(crate) fn error(self, message: impl fmt::Display) -> CommandError {
        CommandError {
            exit: self,
            message: message.to_string(),
        }
    }
}

/// The end of a command that could not do what it was asked.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

/// To be used where an error has one exit code whatever its cause.
pub(crate) trait OrExit<T> {
    /// The value, or the end with this exit code.
    fn or_exit(self, exit: Exit) -> Result<T, CommandError>;
}

impl<T, E: fmt::Display> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, CommandError> {
        self.map_err(|error| exit.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_table_and_between_64_and_78() {
        use Exit::*;
        let all = [
            Usage, Refused, NotFound, Ledger, Internal, Conflict, NoOutput, Running, InDoubt, Held,
            Config,
        ];
        for exit in all {
            assert!((64..=78).contains(&exit.code()), "{exit:?}");
            assert!(
                TABLE.contains(&format!("\n  {}  ", exit.code())),
                "{exit:?}"
            );
        }
        assert_eq!(TABLE.lines().count(), all.len() + 2);
    }
}
