//! Probes under `semel exec`: the tool's configured command looks whether an attempt took effect.

use super::{
    capture::{KeptPart, forward_and_capture},
    child::{not_started, to_failure, write_arguments},
    stdout_value,
};
use async_trait::async_trait;
use semel::{
    model::{Call, Outcome, Probe},
    runtime::Prober,
};
use std::{ffi::OsString, process::Stdio, time::Duration};
use tokio::{io::Sink, process::Command, sync::watch, time::timeout};

/// The longest time that a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// The limit on the end of a probe's stderr that is its message, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Runs a command for each probe. The command gets the probe's arguments on its stdin, the name of the probe's tool as
/// `SEMEL_PROBE`, and never a key.
#[derive(Debug)]
pub(super) struct CommandProber {
    command: Vec<OsString>,
}

impl CommandProber {
    pub(super) fn new(command: &[String]) -> Self {
        Self {
            command: command.iter().map(OsString::from).collect(),
        }
    }

    async fn run(&self, probe: &Probe) -> Outcome {
        let Some((program, arguments)) = self.command.split_first() else {
            return Outcome::not_sent("no command is set for probes");
        };
        let spawned = Command::new(program)
            .args(arguments)
            .env("SEMEL_PROBE", &probe.tool)
            .env_remove("SEMEL_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => return not_started(&self.command, &error).outcome,
        };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Outcome::not_sent("the standard streams of the probe's command are not open");
        };
        let (_stop, stop) = watch::channel(false);
        let stdout = forward_and_capture(
            stdout,
            None::<Sink>,
            KeptPart::First(stdout_value::STDOUT_BYTES_MAX),
            stop.clone(),
        );
        let stderr = forward_and_capture(
            stderr,
            None::<Sink>,
            KeptPart::Last(MESSAGE_BYTES_MAX),
            stop,
        );
        let arguments = write_arguments(stdin, probe.arguments.to_string());
        let (status, stdout, stderr, ()) = tokio::join!(child.wait(), stdout, stderr, arguments);
        match status.ok().and_then(|status| status.code()) {
            Some(0) => Outcome::Returned(stdout_value::encode(&stdout)),
            Some(code) => {
                let code = u8::try_from(code).unwrap_or(u8::MAX);
                Outcome::Failed(to_failure(code, &stdout, &stderr))
            }
            None => Outcome::no_answer("a signal ended the probe's command"),
        }
    }
}

#[async_trait]
impl Prober for CommandProber {
    async fn probe(&self, _call: &Call, probe: &Probe) -> Outcome {
        match timeout(PROBE_TIMEOUT, self.run(probe)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::no_answer("the probe's command took longer than 30 s"),
        }
    }
}
