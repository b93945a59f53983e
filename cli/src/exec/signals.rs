//! The signals that end a command.

use crate::exit::{CommandError, Exit, OrExit};
use tokio::signal::unix::{self, SignalKind};

/// What listens to SIGINT, SIGTERM and SIGHUP.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// Listens from now on; the signals end this process no more.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let listen = |kind| {
            unix::signal(kind)
                .map_err(|error| format!("cannot listen to signals: {error}"))
                .or_exit(Exit::Internal)
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => libc::SIGINT,
            _ = self.terminate.recv() => libc::SIGTERM,
            _ = self.hang_up.recv() => libc::SIGHUP,
        }
    }
}

/// The exit code of a process that this signal ended, as shells tell it.
pub(super) fn exit_code(signal: i32) -> u8 {
    u8::try_from(signal).unwrap_or(127).saturating_add(128)
}

/// The signal's name.
pub(super) fn name(signal: i32) -> String {
    let known = match signal {
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
    known.to_owned()
}
