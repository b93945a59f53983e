//! The text that people and scripts read: data goes to stdout, messages go to stderr.

use crate::exit::{CommandError, ExitReason, OrExit};
use std::{
    fmt,
    io::{self, Write},
};

/// Writes a message to stderr.
pub(crate) fn print_message(message: impl fmt::Display) {
    // A closed stderr is no reason to fail: the exit code and stdout still say what happened.
    let _ = writeln!(io::stderr().lock(), "semel: {message}");
}

/// Writes the error that ends the command, and returns its exit code.
pub(crate) fn report_error(error: &CommandError) -> u8 {
    print_message(&error.message);
    error.reason.code()
}

/// Writes data to stdout.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot write to stdout: {error}"))
        .or_exit(ExitReason::NoOutput)
}

/// Writes a line of data to stdout.
pub(crate) fn write_line(text: &str) -> Result<(), CommandError> {
    write_stdout(format!("{text}\n").as_bytes())
}

/// Makes a text from outside fit for one line of a terminal: replaces control characters, and cuts the text after
/// `chars_max` characters.
pub(crate) fn single_line(text: &str, chars_max: usize) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    let mut line: String = text.chars().take(chars_max).map(printable).collect();
    if text.chars().nth(chars_max).is_some() {
        line.push('…');
    }
    line
}
