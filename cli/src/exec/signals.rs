//! The signals that end a command.

use crate::exit::{CommandError, ExitReason, OrExit};
use tokio::signal::unix::{self, SignalKind};

/// A listener for SIGINT, SIGTERM and SIGHUP.
pub(super) struct SignalListener {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl SignalListener {
    /// Starts to listen. From then on these signals do not end this process.
    pub(super) fn start() -> Result<Self, CommandError> {
        let listen = |kind| {
            unix::signal(kind)
                .map_err(|error| format!("cannot listen for signals: {error}"))
                .or_exit(ExitReason::Internal)
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal, and returns its number.
    pub(super) async fn next_signal(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = self.hang_up.recv() => libc::SIGHUP,
        }
    }
}

/// The exit code that shells give to a process that this signal ended.
pub(super) fn exit_code(signal: i32) -> u8 {
    u8::try_from(signal).unwrap_or(127).saturating_add(128)
}

pub(super) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGABRT => "SIGABRT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGTERM => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
