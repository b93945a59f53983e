//! The command as a child process: started in a process group of its own, fed, read, and ended with its descendants.

use super::{
    capture::{CapturedOutput, KeptPart, forward_and_capture},
    process_group::ProcessGroup,
    signals::{self, SignalListener},
    stdout_value,
};
use crate::output;
use semel::{
    model::{Failure, Outcome},
    runtime::Ticket,
};
use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// The limit on the end of a command's stderr that is recorded as a failure's message, in bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// The limit on the length of a command's name in a message, in characters.
const NAME_CHARS_MAX: usize = 200;

/// The time for which output is still read after the command's process group was killed.
const LAST_OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);

/// A time limit that no process reaches.
const NO_TIMEOUT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommandEnd {
    /// It exited with this code.
    Exited(u8),
    /// This signal ended it.
    Killed(i32),
    /// It was killed at its time limit.
    TimedOut,
    /// It was never started. Shells exit with this code then.
    NotStarted(u8),
}

/// The result of running a command.
#[derive(Debug)]
pub(super) struct CommandResult {
    pub(super) outcome: Outcome,
    pub(super) end: CommandEnd,
    /// True if all of its stdout was forwarded.
    pub(super) was_written: bool,
}

/// A command that was started.
pub(super) struct ChildCommand {
    child: Child,
    group: Option<ProcessGroup>,
    stdout: JoinHandle<CapturedOutput>,
    stderr: JoinHandle<CapturedOutput>,
    /// Set to stop reading the output although its streams are open.
    stop_reading: watch::Sender<bool>,
}

impl ChildCommand {
    /// Starts the command. An error is the result of a command that was not started: nothing was sent.
    pub(super) fn spawn(
        command: &[OsString],
        ticket: &Ticket,
        forwards_stdout: bool,
    ) -> Result<Self, CommandResult> {
        let mut child = prepare_command(command, ticket)
            .spawn()
            .map_err(|error| not_started(command, &error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            let error = io::Error::other("its standard streams are not open");
            return Err(not_started(command, &error));
        };
        tokio::spawn(write_arguments(stdin, ticket.arguments_json.clone()));
        let (stop_reading, stop) = watch::channel(false);
        let stdout = forward_and_capture(
            stdout,
            forwards_stdout.then(tokio::io::stdout),
            KeptPart::First(stdout_value::STDOUT_BYTES_MAX),
            stop.clone(),
        );
        let stderr = forward_and_capture(
            stderr,
            Some(tokio::io::stderr()),
            KeptPart::Last(MESSAGE_BYTES_MAX),
            stop,
        );
        Ok(Self {
            group: ProcessGroup::led_by(&child),
            stdout: tokio::spawn(stdout),
            stderr: tokio::spawn(stderr),
            child,
            stop_reading,
        })
    }

    /// Waits until the command has ended and its output is forwarded. The first signal is passed on to the command's
    /// process group; a second one, or the time limit, kills the group.
    pub(super) async fn wait(
        mut self,
        timeout: Option<Duration>,
        signals: &mut SignalListener,
    ) -> CommandResult {
        let mut deadline = Instant::now() + timeout.unwrap_or(NO_TIMEOUT).min(NO_TIMEOUT);
        let mut timed_out = false;
        let mut was_killed = false;
        let mut was_signalled = false;
        let send_signal = |signal| {
            if let Some(group) = self.group {
                group.send_signal(signal);
            }
        };
        let mut end = std::pin::pin!(async {
            let status = self.child.wait().await;
            let stdout = (&mut self.stdout).await;
            let stderr = (&mut self.stderr).await;
            (status, stdout, stderr)
        });
        let (status, stdout, stderr) = loop {
            tokio::select! {
                end = &mut end => break end,
                () = sleep_until(deadline) => {
                    if was_killed {
                        // A process that left the group still holds the output open: no kill reaches it.
                        self.stop_reading.send_replace(true);
                        deadline += NO_TIMEOUT;
                        continue;
                    }
                    timed_out = true;
                }
                signal = signals.next_signal() => {
                    if !was_signalled {
                        was_signalled = true;
                        send_signal(signal);
                        continue;
                    }
                }
            }
            send_signal(libc::SIGKILL);
            was_killed = true;
            deadline = Instant::now() + LAST_OUTPUT_TIMEOUT;
        };
        to_result(
            command_end(status, timed_out),
            timeout,
            &stdout.unwrap_or_else(|_| CapturedOutput::lost()),
            &stderr.unwrap_or_else(|_| CapturedOutput::lost()),
        )
    }
}

fn prepare_command(command: &[OsString], ticket: &Ticket) -> Command {
    let mut words = command.iter();
    // The argument parser requires at least one word.
    let mut prepared = Command::new(words.next().map_or_else(OsString::new, Clone::clone));
    prepared
        .args(words)
        .process_group(0)
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
        // An outer `semel exec` may have set them for its own call.
        match value {
            Some(value) => prepared.env(name, value),
            None => prepared.env_remove(name),
        };
    }
    prepared
}

pub(super) async fn write_arguments(mut stdin: ChildStdin, arguments: String) {
    // A command need not read its stdin, and may have closed it.
    let _ = stdin.write_all(format!("{arguments}\n").as_bytes()).await;
}

/// The result of a command that was not started, with the exit code that a shell gives for this error.
pub(super) fn not_started(command: &[OsString], error: &io::Error) -> CommandResult {
    let name = command
        .first()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = output::single_line(&name, NAME_CHARS_MAX);
    let exit_code = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    CommandResult {
        outcome: Outcome::not_sent(format!("cannot start `{name}`: {error}")),
        end: CommandEnd::NotStarted(exit_code),
        was_written: true,
    }
}

fn command_end(status: io::Result<ExitStatus>, timed_out: bool) -> CommandEnd {
    let Ok(status) = status else {
        return CommandEnd::Killed(libc::SIGKILL);
    };
    match (status.code(), status.signal()) {
        // A command that exited right before it was to be killed has exited all the same.
        (Some(code), _) => CommandEnd::Exited(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(libc::SIGKILL)) if timed_out => CommandEnd::TimedOut,
        (None, signal) => CommandEnd::Killed(signal.unwrap_or(libc::SIGKILL)),
    }
}

fn to_result(
    end: CommandEnd,
    timeout: Option<Duration>,
    stdout: &CapturedOutput,
    stderr: &CapturedOutput,
) -> CommandResult {
    let outcome = match end {
        CommandEnd::Exited(0) => Outcome::Returned(stdout_value::encode(stdout)),
        CommandEnd::Exited(code) => Outcome::Failed(to_failure(code, stdout, stderr)),
        CommandEnd::TimedOut => {
            let limit = humantime::format_duration(timeout.unwrap_or_default());
            Outcome::no_answer(format!("timed out after {limit}"))
        }
        CommandEnd::NotStarted(_) => Outcome::not_sent("the command was not started"),
        CommandEnd::Killed(signal) => {
            let name = signals::signal_name(signal);
            Outcome::no_answer(format!("the command was ended by {name}"))
        }
    };
    CommandResult {
        outcome,
        end,
        was_written: stdout.was_forwarded,
    }
}

pub(super) fn to_failure(code: u8, stdout: &CapturedOutput, stderr: &CapturedOutput) -> Failure {
    let stderr = String::from_utf8_lossy(&stderr.kept);
    let message = match stderr.trim() {
        "" => format!("the command exited with {code}"),
        text => text.to_owned(),
    };
    let details = (stdout.total_bytes > 0).then(|| stdout_value::encode(stdout));
    Failure {
        message,
        code: Some(format!("exit-{code}")),
        status: None,
        retry_after_ms: None,
        details,
    }
}
