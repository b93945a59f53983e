//! A server as a child process, over its standard streams.
//!
//! It is not started again here, and messages are not translated. Its stderr is that of this
//! process.

use super::{
    pending_responses::{PendingResponses, RegisterError, ResponseReceiver, respond_no_response},
    trace_context,
};
use crate::{
    layer::{Client, NoResponse, RequestContext, Upstream},
    lines::{InputLine, LineReader, LineWriter},
    wire::{Message, RequestId},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::{ffi::OsString, io, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    process::{ChildStdout, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

/// The time that a child may take to end once its input is closed, before SIGTERM, and again before
/// SIGKILL. MCP clients give the gateway and its child two seconds together.
const END_TIMEOUT: Duration = Duration::from_millis(1_200);

/// A server that cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The command is empty.
    #[error("there is no command: write the server's command after `--`")]
    NoCommand,
    /// The operating system does not start the command.
    #[error("the server `{command}` cannot be started: {source}")]
    Spawn {
        /// The command.
        command: String,
        /// The reason.
        source: io::Error,
    },
}

/// A server as a child process.
#[derive(Debug)]
pub(crate) struct ChildServer {
    /// `None` once it is closed.
    input: Mutex<Option<LineWriter>>,
    pending: Arc<PendingResponses>,
    /// The task that owns the child and reads its output.
    reader: Mutex<Option<JoinHandle<()>>>,
    /// Cancelled before the child is waited for. Until then no other process has its id.
    ended: CancellationToken,
    process: Option<Pid>,
}

impl ChildServer {
    /// Starts the server. Messages that belong to no request go to `client`.
    pub(crate) fn start(command: &[OsString], client: Arc<dyn Client>) -> Result<Self, StartError> {
        let (program, arguments) = command.split_first().ok_or(StartError::NoCommand)?;
        let spawn_error = |source| StartError::Spawn {
            command: program.to_string_lossy().into_owned(),
            source,
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(spawn_error)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(spawn_error(io::Error::other("it has no standard streams")));
        };
        let pending = Arc::new(PendingResponses::default());
        let ended = CancellationToken::new();
        let process = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let reader = OutputReader {
            child,
            pending: Arc::clone(&pending),
            client,
            ended: ended.clone().drop_guard(),
        };
        Ok(Self {
            input: Mutex::new(Some(LineWriter::new(input))),
            pending,
            reader: Mutex::new(Some(tokio::spawn(reader.read_output(output)))),
            ended,
            process,
        })
    }

    /// Returns once the child's output has ended and all pending requests are answered.
    pub(super) async fn wait_for_end(&self) {
        self.ended.cancelled().await;
    }

    /// Sends a notification.
    pub(super) async fn notify(&self, notification: Message) {
        // The next request reports a server that has ended.
        let _ = self.write(notification).await;
    }

    /// Sends a request, and waits for its response.
    pub(super) async fn send_request(&self, request: Message) -> Result<Message, NoResponse> {
        let id = request.id().cloned().ok_or_else(|| NoResponse {
            reason: "the message is not a request".to_owned(),
            sent: false,
        })?;
        let (sender, response) = oneshot::channel();
        self.send(&id, request, ResponseReceiver::Layer(sender))
            .await?;
        response.await.map_err(|_| server_ended(true))
    }

    /// Queues a message for the child's input. The child may end before it reads the message.
    async fn write(&self, message: Message) -> Result<(), NoResponse> {
        let input = self.input.lock().clone();
        let input = input.ok_or_else(|| server_ended(false))?;
        input.send(message).await.map_err(|_| server_ended(false))
    }

    async fn send(
        &self,
        id: &RequestId,
        request: Message,
        receiver: ResponseReceiver,
    ) -> Result<(), NoResponse> {
        // Before it is written: the response may come before `write` returns.
        let registered = self.pending.register(id.clone(), receiver);
        registered.map_err(|error| match error {
            RegisterError::Lost => server_ended(false),
            RegisterError::DuplicateId => NoResponse {
                reason: format!("an earlier request with the id {id} has no response yet"),
                sent: false,
            },
        })?;
        let written = self.write(request).await;
        if written.is_err() {
            self.pending.take_receiver(id);
        }
        written
    }
}

#[async_trait]
impl Upstream for ChildServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        let Some(id) = message.request_id().cloned() else {
            return self.notify(message).await;
        };
        let request = trace_context::with_trace(message, &context.headers);
        let receiver = ResponseReceiver::Client(context.clone());
        if let Err(no_response) = self.send(&id, request, receiver).await {
            respond_no_response(&id, context, &no_response).await;
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        self.send_request(trace_context::with_trace(request, &context.headers))
            .await
    }

    async fn close(&self) {
        // The order of MCP's stdio transport: close the input, then SIGTERM, then SIGKILL.
        drop(self.input.lock().take());
        let reader = self.reader.lock().take();
        let Some(reader) = reader else { return };
        // The task owns the child, so dropping this future kills the child.
        let mut reader = AbortOnDropHandle::new(reader);
        if timeout(END_TIMEOUT, &mut reader).await.is_err() {
            self.terminate();
            // After the timeout, dropping the task kills the child.
            let _ = timeout(END_TIMEOUT, &mut reader).await;
        }
    }
}

impl ChildServer {
    /// Sends SIGTERM to the child.
    fn terminate(&self) {
        if self.ended.is_cancelled() {
            // Another process may have the id by now.
            return;
        }
        if let Some(process) = self.process
            && let Err(error) = kill_process(process, Signal::TERM)
        {
            tracing::debug!(%error, "the server cannot be terminated");
        }
    }
}

impl Drop for ChildServer {
    /// Kills the child, with the task that owns it.
    fn drop(&mut self) {
        if let Some(reader) = self.reader.lock().take() {
            reader.abort();
        }
    }
}

fn server_ended(sent: bool) -> NoResponse {
    NoResponse {
        reason: "the server ended".to_owned(),
        sent,
    }
}

/// The owner of a child, which reads its output.
struct OutputReader {
    child: tokio::process::Child,
    pending: Arc<PendingResponses>,
    client: Arc<dyn Client>,
    ended: DropGuard,
}

impl OutputReader {
    /// Reads the child's output until it ends. Then all pending requests fail.
    async fn read_output(mut self, output: ChildStdout) {
        let mut lines = LineReader::new(output);
        while let Some(line) = lines.next().await {
            let InputLine::Read(line) = line else {
                tracing::warn!("skipped a line of the server that is too long");
                continue;
            };
            for message in Message::read_all(line) {
                match message {
                    Ok(message) => deliver_message(message, &self.pending, &self.client).await,
                    Err(error) => {
                        tracing::warn!(%error, "skipped an invalid message of the server")
                    }
                }
            }
        }
        self.pending.fail_all("the server ended").await;
        drop(self.ended);
        // A child without output serves no client: if it still runs, dropping it kills it.
        match timeout(END_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => tracing::info!(%status, "the server ended"),
            Ok(Err(error)) => tracing::warn!(%error, "the server's exit status is unknown"),
            Err(_) => tracing::warn!("killing the server: it closed its stdout and did not end"),
        }
    }
}

/// Delivers a message of the server to its receiver.
async fn deliver_message(message: Message, pending: &PendingResponses, client: &Arc<dyn Client>) {
    if !message.is_response() {
        // A disconnected client reads nothing.
        let _ = client.send(message).await;
        return;
    }
    let Some(id) = message.id() else {
        tracing::warn!("skipped a response of the server without an id");
        return;
    };
    match pending.take_receiver(id) {
        Some(ResponseReceiver::Client(context)) => {
            // A disconnected client reads nothing.
            let _ = context.client.send(message).await;
        }
        // The layer may no longer wait.
        Some(ResponseReceiver::Layer(sender)) => drop(sender.send(message)),
        None => tracing::warn!("skipped a response of the server to an unknown request"),
    }
}
