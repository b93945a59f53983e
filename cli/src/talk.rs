//! What people read: talk goes to stderr, data to stdout. Nothing here is fatal, but for data that nobody could read.

use crate::exit::{CommandError, Exit, OrExit};
use std::{
    fmt,
    io::{self, IsTerminal, Write},
};
use tracing_subscriber::EnvFilter;

/// The variable that turns the log on, such as `semel=debug`.
const LOG: &str = "SEMEL_LOG";

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogStyle {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for LogStyle {
    /// For whoever reads stderr.
    fn default() -> Self {
        if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// Sends the log to stderr where `SEMEL_LOG` asks for it.
pub(crate) fn start_log() {
    if let Ok(filter) = EnvFilter::try_from_env(LOG) {
        log_to_stderr(filter, LogStyle::Human);
    }
}

/// Sends the log of what serves to stderr: what `SEMEL_LOG` asks for, else whatever somebody should look at.
pub(crate) fn start_servers_log(style: LogStyle) {
    log_to_stderr(
        EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new("warn")),
        style,
    );
}

fn log_to_stderr(filter: EnvFilter, style: LogStyle) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false);
    // A second log in one process is no reason not to work.
    let _ = match style {
        LogStyle::Human => log.try_init(),
        LogStyle::Json => log.json().try_init(),
    };
}

/// Says something.
pub(crate) fn say(message: impl fmt::Display) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "semel: {message}");
}

/// Says why the command ends, and gives its exit code.
pub(crate) fn last_word(stop: CommandError) -> u8 {
    say(&stop.message);
    stop.exit.code()
}

/// Writes data.
pub(crate) fn data(bytes: &[u8]) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot write to stdout: {error}"))
        .or_exit(Exit::NoOutput)
}

/// Writes a line of data.
pub(crate) fn line(text: &str) -> Result<(), CommandError> {
    data(format!("{text}\n").as_bytes())
}

/// A text from outside on one line, fit for a terminal: without control characters, cut after so many characters.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let clean = |char: char| if char.is_control() { ' ' } else { char };
    let mut plain: String = text.chars().take(chars_max).map(clean).collect();
    if text.chars().nth(chars_max).is_some() {
        plain.push('…');
    }
    plain
}
