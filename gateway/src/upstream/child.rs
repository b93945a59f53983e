//! A server that is a child of this process, over its standard streams.
//!
//! It is not started again here, and not translated for. Its stderr is this process's own.

use super::{
    pending_responses::{PendingResponses, RegisterError, ResponseWaiter, answer_lost},
    trace_context,
};
use crate::{
    layer::{Client, NoResponse, RequestContext, Upstream},
    lines::{InputLine, LineReader, LineWriter},
    wire::{Message, MessageKind, RequestId},
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

/// The time that a child may take to end once its input is closed, before SIGTERM, and again before SIGKILL. MCP
/// clients give the gateway and its child two seconds together.
const END_WITHIN: Duration = Duration::from_millis(1_200);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no command.
    #[error("no command is given: write the server's own after `--`")]
    NoCommand,
    /// It cannot be started.
    #[error("the server `{command}` cannot be started: {why}")]
    Start {
        /// The command.
        command: String,
        /// Why.
        why: io::Error,
    },
}

/// A child that is a server.
#[derive(Debug)]
pub struct ChildServer {
    /// Taken away to close it.
    input: Mutex<Option<LineWriter>>,
    waiting: Arc<PendingResponses>,
    /// Ends with the child.
    reading: Mutex<Option<JoinHandle<()>>>,
    /// Cancelled before the child is waited for, so that until then its number is its own.
    ended: CancellationToken,
    number: Option<Pid>,
}

impl ChildServer {
    /// Starts the server. What it says of its own accord goes to `client`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &[OsString], client: Arc<dyn Client>) -> Result<Self, StartError> {
        let (program, arguments) = command.split_first().ok_or(StartError::NoCommand)?;
        let fault = |why| StartError::Start {
            command: program.to_string_lossy().into_owned(),
            why,
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(fault)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(fault(io::Error::other("it has no standard streams")));
        };
        let waiting = Arc::new(PendingResponses::default());
        let ended = CancellationToken::new();
        let number = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let reading = OutputReader {
            child,
            waiting: Arc::clone(&waiting),
            client,
            ended: ended.clone().drop_guard(),
        };
        let reading = Mutex::new(Some(tokio::spawn(reading.read(output))));
        let input = Mutex::new(Some(LineWriter::new(input)));
        Ok(Self {
            input,
            waiting,
            reading,
            ended,
            number,
        })
    }

    /// Returns once the child's output has ended and all pending requests are answered.
    pub(super) async fn ended(&self) {
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
            reason: "it is no request".to_owned(),
            sent: false,
        })?;
        let (waiter, response) = oneshot::channel();
        self.send(&id, request, ResponseWaiter::Asked(waiter))
            .await?;
        response.await.map_err(|_| ended(true))
    }

    /// Has the message written. Whether it is read is not known by that.
    async fn write(&self, message: Message) -> Result<(), NoResponse> {
        let input = self.input.lock().clone();
        let written = match input {
            Some(input) => input.send(message).await.is_ok(),
            None => false,
        };
        if written { Ok(()) } else { Err(ended(false)) }
    }

    async fn send(
        &self,
        id: &RequestId,
        request: Message,
        waiter: ResponseWaiter,
    ) -> Result<(), NoResponse> {
        self.waiting
            .add(id.clone(), waiter)
            .map_err(|not_sent| match not_sent {
                RegisterError::Lost => ended(false),
                RegisterError::SameId => NoResponse {
                    reason: format!("a request of the id {id} is not answered yet"),
                    sent: false,
                },
            })?;
        let written = self.write(request).await;
        if written.is_err() {
            self.waiting.take(id);
        }
        written
    }
}

#[async_trait]
impl Upstream for ChildServer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        let id = message
            .id()
            .filter(|_| message.kind() == MessageKind::Request)
            .cloned();
        let Some(id) = id else {
            return self.notify(message).await;
        };
        let message = trace_context::with_trace(message, &context.headers);
        if let Err(lost) = self
            .send(&id, message, ResponseWaiter::Passes(context.clone()))
            .await
        {
            answer_lost(&id, context, &lost).await;
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
        drop(self.input.lock().take());
        let reading = self.reading.lock().take();
        let Some(reading) = reading else { return };
        // Dropping this future kills the child, as dropping its task does.
        let mut reading = AbortOnDropHandle::new(reading);
        if timeout(END_WITHIN, &mut reading).await.is_err() {
            self.terminate();
            let _ = timeout(END_WITHIN, &mut reading).await;
        }
    }
}

impl ChildServer {
    /// Tells the child to end.
    fn terminate(&self) {
        if let Some(number) = self.number.filter(|_| !self.ended.is_cancelled())
            && let Err(error) = kill_process(number, Signal::TERM)
        {
            tracing::debug!(%error, "the server cannot be told to end");
        }
    }
}

impl Drop for ChildServer {
    /// Nobody speaks to the child any longer: it is killed as the task that owns it is dropped.
    fn drop(&mut self) {
        if let Some(reading) = self.reading.lock().take() {
            reading.abort();
        }
    }
}

fn ended(sent: bool) -> NoResponse {
    NoResponse {
        reason: "the server ended".to_owned(),
        sent,
    }
}

/// The task that reads a child's output.
struct OutputReader {
    child: tokio::process::Child,
    waiting: Arc<PendingResponses>,
    client: Arc<dyn Client>,
    ended: DropGuard,
}

impl OutputReader {
    /// Reads the child's output until it ends. Then no request waits any longer.
    async fn read(mut self, output: ChildStdout) {
        let mut lines = LineReader::new(output);
        while let Some(line) = lines.next().await {
            let InputLine::Read(line) = line else {
                tracing::warn!("the server wrote a line that is too long, which is skipped");
                continue;
            };
            for message in Message::read_all(line) {
                match message {
                    Ok(message) => take_in(message, &self.waiting, &self.client).await,
                    Err(unreadable) => {
                        tracing::warn!(why = %unreadable, "the server wrote what is no message")
                    }
                }
            }
        }
        self.waiting.lose("the server ended").await;
        drop(self.ended);
        // A child without output serves no client: if it still runs, dropping it kills it.
        match timeout(END_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => tracing::info!(%status, "the server ended"),
            Ok(Err(error)) => tracing::warn!(%error, "the server's end cannot be seen"),
            Err(_) => tracing::warn!("the server closed its stdout and goes on, and is killed"),
        }
    }
}

/// Takes in one message of the server.
async fn take_in(message: Message, waiting: &PendingResponses, client: &Arc<dyn Client>) {
    let is_response = matches!(message.kind(), MessageKind::Result | MessageKind::Error);
    // A client that has gone reads nothing, and closes its own stream besides.
    match message
        .id()
        .filter(|_| is_response)
        .map(|id| waiting.take(id))
    {
        None if is_response => tracing::warn!("the server answered a request without saying which"),
        None => client.send(message).await.unwrap_or_default(),
        Some(Some(ResponseWaiter::Passes(context))) => {
            context.client.send(message).await.unwrap_or_default()
        }
        Some(Some(ResponseWaiter::Asked(asked))) => drop(asked.send(message)),
        Some(None) => tracing::warn!("the server answered a request that nobody made, or twice"),
    }
}
