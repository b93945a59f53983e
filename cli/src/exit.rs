//! Exit codes: one table for all commands, and the error that carries one of them.
//!
//! To add an exit code, add a row to the table below, in the order of codes. `semel --help` prints it from there: accept its
//! snapshot with `INSTA_UPDATE=always cargo nextest run -p semel-cli`.

use std::fmt;

/// Makes an enum of the table's rows: name, exit code, and the meaning that `semel --help` prints.
macro_rules! exit_reasons {
    ($($reason:ident = $code:literal, $meaning:literal;)*) => {
        /// A reason for which a command ends with an exit code of Semel's own.
        ///
        /// `semel exec` ends with the exit code of its command wherever that ran or is replayed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ExitReason {
            $(#[doc = $meaning] $reason = $code,)*
        }

        impl ExitReason {
            /// Every reason, by its code.
            const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// The meaning of the code, for a person.
            fn meaning(self) -> &'static str {
                match self { $(Self::$reason => $meaning,)* }
            }
        }
    };
}

exit_reasons! {
    Usage = 64, "usage: an unknown command, or an option is missing or wrong";
    Refused = 65, "refused: the call or the decision is not permitted as given; nothing ran";
    NotFound = 66, "not found: no such record, or a file or server that cannot be opened";
    Ledger = 69, "the ledger cannot be used; nothing ran";
    Internal = 70, "an internal error";
    Conflict = 73, "conflict: the same operation is recorded with other content; nothing ran";
    NoOutput = 74, "the output is not recorded in full, or could not be written";
    Running = 75, "running: another attempt is in progress; try again later";
    InDoubt = 76, "in doubt: it may have taken effect; nothing is sent again on its own";
    Held = 77, "held: it may have taken effect, and a person must decide (`semel ledger decide`)";
    Config = 78, "the configuration, a policy or its settings are wrong; nothing ran";
}

impl ExitReason {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Returns an error that ends the command with this exit code.
    pub(crate) fn error(self, message: impl fmt::Display) -> CommandError {
        CommandError {
            reason: self,
            message: message.to_string(),
        }
    }
}

/// The table of exit codes, for `semel --help`.
pub(crate) fn exit_code_help() -> String {
    let rows = ExitReason::ALL
        .iter()
        .map(|reason| format!("\n  {:>2}  {}", reason.code(), reason.meaning()));
    "Exit codes:\n   0  success; of `exec`: the command's own exit code, or the recorded one"
        .to_owned()
        + &rows.collect::<String>()
}

/// The failure that ends a command: a message for stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) reason: ExitReason,
    pub(crate) message: String,
}

/// Turns an error that has one exit code, whatever its cause, into a [`CommandError`].
pub(crate) trait OrExit<T> {
    fn or_exit(self, reason: ExitReason) -> Result<T, CommandError>;
}

impl<T, E: fmt::Display> OrExit<T> for Result<T, E> {
    fn or_exit(self, reason: ExitReason) -> Result<T, CommandError> {
        self.map_err(|error| reason.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shells use 126 and above, and most commands small numbers: a script can tell the three apart.
    #[test]
    fn every_exit_code_is_in_the_table_and_between_64_and_78() {
        let help = exit_code_help();
        for reason in ExitReason::ALL {
            assert!((64..=78).contains(&reason.code()), "{reason:?}");
            let row = format!("\n  {}  {}", reason.code(), reason.meaning());
            assert!(help.contains(&row), "{reason:?}");
        }
        assert!(ExitReason::ALL.is_sorted_by_key(|reason| reason.code()));
    }
}
