//! The guarded command as a process: started in a group of its own, fed, read, and ended with all that it started.

use super::{
    group::Group,
    pass_on::{Keep, Written, pass_on},
    recorded,
    signals::{self, Signals},
};
use crate::talk;
use semel::{
    model::{Failure, Outcome},
    runtime::Ticket,
};
use serde_json::Value;
use std::{
    ffi::OsString, io, os::unix::process::ExitStatusExt, process::ExitStatus, process::Stdio,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// How much of a command's stderr is kept as a failure's message, in bytes.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

/// How long output is read after everything in the command's group was killed.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Longer than any process lives.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Killed(i32),
    /// It ran for too long.
    TimedOut,
    /// It was never started; the exit code that shells give then.
    NotStarted(u8),
}

/// What running a command came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) outcome: Outcome,
    pub(super) ending: Ending,
    /// Whether all that it printed was passed on.
    pub(super) was_written: bool,
}

/// A command that was started.
pub(super) struct Running {
    child: Child,
    group: Option<Group>,
    stdout: JoinHandle<Written>,
    stderr: JoinHandle<Written>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Starts the command, or says that nothing was sent.
    pub(super) fn start(
        command: &[OsString],
        ticket: &Ticket,
        passes_stdout: bool,
    ) -> Result<Self, Ran> {
        let mut child = prepared(command, ticket)
            .spawn()
            .map_err(|error| not_started(command, &error))?;
        let (stop, stopped) = watch::channel(false);
        let to = passes_stdout.then(tokio::io::stdout);
        let first = Keep::First(recorded::STDOUT_BYTES_MAX);
        let last = Keep::Last(MESSAGE_BYTES_MAX);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(not_started(
                command,
                &io::Error::other("its streams cannot be had"),
            ));
        };
        tokio::spawn(feed(stdin, Value::Object(ticket.arguments.clone())));
        Ok(Self {
            group: Group::led_by(&child),
            stdout: tokio::spawn(pass_on(stdout, to, first, stopped.clone())),
            stderr: tokio::spawn(pass_on(stderr, Some(tokio::io::stderr()), last, stopped)),
            child,
            stop,
        })
    }

    /// Waits until it ended and all that it printed was passed on. Signals are passed on to it; a second one kills it.
    pub(super) async fn finish(mut self, timeout: Option<Duration>, signals: &mut Signals) -> Ran {
        let mut deadline = Instant::now() + timeout.unwrap_or(FOR_EVER).min(FOR_EVER);
        let mut timed_out = false;
        let mut killed = false;
        let mut signalled = None;
        let send = |signal| self.group.into_iter().for_each(|group| group.send(signal));
        let mut ended = std::pin::pin!(async {
            let status = self.child.wait().await;
            (
                status,
                (&mut self.stdout).await.ok(),
                (&mut self.stderr).await.ok(),
            )
        });
        let (status, stdout, stderr) = loop {
            tokio::select! {
                ended = &mut ended => break ended,
                () = sleep_until(deadline) => {
                    if killed {
                        // Whoever still holds its output has left the group.
                        self.stop.send_replace(true);
                        deadline += FOR_EVER;
                        continue;
                    }
                    timed_out = true;
                }
                signal = signals.next() => {
                    if signalled.replace(signal).is_none() {
                        send(signal);
                        continue;
                    }
                }
            }
            send(libc::SIGKILL);
            killed = true;
            deadline = Instant::now() + LAST_OUTPUT;
        };
        let ending = ending(status, timed_out);
        conclude(
            ending,
            timeout,
            stdout.unwrap_or_else(lost),
            stderr.unwrap_or_else(lost),
        )
    }
}

fn prepared(command: &[OsString], ticket: &Ticket) -> Command {
    let mut words = command.iter();
    // The command line requires at least one word.
    let mut prepared = Command::new(words.next().map_or_else(OsString::new, Clone::clone));
    prepared.args(words).process_group(0);
    prepared
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let attempt = ticket.key.as_ref().map(|_| ticket.attempt.to_string());
    let variables = [
        ("SEMEL_KEY", ticket.key.clone()),
        ("SEMEL_ATTEMPT", attempt),
        ("SEMEL_OPERATION", ticket.operation.clone()),
    ];
    for (name, value) in variables {
        // What an outer call left in the environment is not this call's.
        match value {
            Some(value) => prepared.env(name, value),
            None => prepared.env_remove(name),
        };
    }
    prepared
}

/// A command need not read its stdin.
async fn feed(mut stdin: ChildStdin, arguments: Value) {
    let _ = stdin.write_all(format!("{arguments}\n").as_bytes()).await;
}

fn not_started(command: &[OsString], error: &io::Error) -> Ran {
    let name = command
        .first()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let message = format!("cannot start `{}`: {error}", talk::plain(&name, 200));
    let exit = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    Ran {
        outcome: Outcome::not_sent(message),
        ending: Ending::NotStarted(exit),
        was_written: true,
    }
}

fn lost() -> Written {
    Written {
        kept: Vec::new(),
        total_bytes: 1,
        was_passed: false,
    }
}

fn ending(status: io::Result<ExitStatus>, timed_out: bool) -> Ending {
    let killed = libc::SIGKILL;
    let Ok(status) = status else {
        return Ending::Killed(killed);
    };
    match (status.code(), status.signal()) {
        // It may have ended by itself right before it was to be killed.
        (Some(code), _) => Ending::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) if timed_out && signal == killed => Ending::TimedOut,
        (None, signal) => Ending::Killed(signal.unwrap_or(killed)),
    }
}

fn conclude(ending: Ending, timeout: Option<Duration>, stdout: Written, stderr: Written) -> Ran {
    let outcome = match ending {
        Ending::Exited(0) => Outcome::Returned(recorded::value(&stdout)),
        Ending::Exited(code) => Outcome::Failed(failure(code, &stdout, &stderr)),
        Ending::TimedOut => {
            let limit = humantime::format_duration(timeout.unwrap_or_default());
            Outcome::no_answer(format!("timed out after {limit}"))
        }
        Ending::NotStarted(_) => Outcome::not_sent("the command was not started"),
        Ending::Killed(signal) => Outcome::no_answer(format!(
            "the command was ended by {}",
            signals::name(signal)
        )),
    };
    Ran {
        outcome,
        ending,
        was_written: stdout.was_passed,
    }
}

fn failure(code: u8, stdout: &Written, stderr: &Written) -> Failure {
    let said = String::from_utf8_lossy(&stderr.kept);
    let message = match said.trim() {
        "" => format!("the command exited with {code}"),
        said => said.to_owned(),
    };
    let details = (stdout.total_bytes > 0).then(|| recorded::value(stdout));
    Failure {
        message,
        code: Some(format!("exit-{code}")),
        status: None,
        details,
    }
}
