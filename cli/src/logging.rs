//! The log, which goes to stderr.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// The variable that holds the log's filter, such as `semel=debug`.
const LOG_VARIABLE: &str = "SEMEL_LOG";

/// The style of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogStyle {
    /// Lines for people
    Human,
    /// One JSON object per line
    Json,
}

impl Default for LogStyle {
    /// Lines for people on a terminal, else JSON for a log collector.
    fn default() -> Self {
        if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// Starts the log of a command, which is off unless `SEMEL_LOG` is set.
pub(crate) fn start_command_log() {
    if let Ok(filter) = EnvFilter::try_from_env(LOG_VARIABLE) {
        log_to_stderr(filter, LogStyle::Human);
    }
}

/// Starts the log of a server, which holds warnings and errors unless `SEMEL_LOG` is set.
pub(crate) fn start_server_log(style: LogStyle) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    log_to_stderr(filter, style);
}

fn log_to_stderr(filter: EnvFilter, style: LogStyle) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false);
    // This fails only where a log runs already, which then serves.
    let _ = match style {
        LogStyle::Human => log.try_init(),
        LogStyle::Json => log.json().try_init(),
    };
}
