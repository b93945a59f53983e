//! A stream of messages to one client, for one request or for none: messages in their order, read
//! at once, kept to be read again, or both.
//!
//! A writer never waits for the reader: a server that many clients share must not stall for the
//! slowest one. If the reader falls behind, the stream is cut. Nothing here knows how the reader
//! sends messages.

use crate::{
    layer::{Client, Confirmation, Disconnected},
    wire::{Message, MessageKind, RequestId},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::sync::oneshot;

/// The most messages that are kept to be read again.
const KEPT_MAX: usize = 256;

/// The most bytes of kept messages.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The most messages that wait for a reader.
const UNREAD_MAX: usize = 4_096;

/// The most bytes of waiting messages. A single message may be larger.
const UNREAD_BYTES_MAX: usize = 16 << 20;

/// A stream of messages.
pub(super) struct MessageStream {
    /// The stream's number in its session.
    pub(super) number: u64,
    state: Mutex<StreamState>,
}

struct StreamState {
    /// Kept messages that were read, then messages that wait for a reader.
    queue: VecDeque<QueuedMessage>,
    queue_bytes: usize,
    /// The number of the next message to be written.
    next: u64,
    /// The number of the first message that was never read.
    first_unread: u64,
    /// Requests without a response so far.
    open_requests: Vec<RequestId>,
    /// The stream ends once all requests have responses.
    ends_with_responses: bool,
    /// Messages are kept after they are read, and while there is no reader.
    keeps_messages: bool,
    has_ended: bool,
    reader: Option<CurrentReader>,
    /// The number of readers so far.
    readers: u64,
}

struct QueuedMessage {
    number: u64,
    message: Message,
    receipt: Option<oneshot::Sender<()>>,
}

/// The current reader; its number distinguishes it from earlier ones.
struct CurrentReader {
    number: u64,
    waker: Option<Waker>,
}

/// A message that was read from a stream.
pub(super) struct StreamMessage {
    /// The message's number in the stream.
    pub(super) number: u64,
    pub(super) message: Message,
    /// The sender to notify once the message was written to a connection.
    pub(super) receipt: Option<oneshot::Sender<()>>,
}

/// The state of a stream when its first message is there.
pub(super) enum StreamStart {
    /// That message is all.
    Complete,
    /// More messages may come.
    MoreToCome,
}

impl MessageStream {
    /// Opens a stream that ends once these requests have responses.
    pub(super) fn for_requests(number: u64, requests: Vec<RequestId>) -> Arc<Self> {
        Self::open(number, requests, true, false)
    }

    /// Opens a stream for messages that no request caused. It lasts as long as its session.
    pub(super) fn for_session(number: u64) -> Arc<Self> {
        Self::open(number, Vec::new(), false, true)
    }

    fn open(
        number: u64,
        open_requests: Vec<RequestId>,
        ends_with_responses: bool,
        keeps_messages: bool,
    ) -> Arc<Self> {
        let state = StreamState {
            queue: VecDeque::new(),
            queue_bytes: 0,
            next: 1,
            first_unread: 1,
            open_requests,
            ends_with_responses,
            keeps_messages,
            has_ended: false,
            reader: None,
            readers: 0,
        };
        Arc::new(Self {
            number,
            state: Mutex::new(state),
        })
    }

    /// Keeps messages from now on, so that a client can resume the stream.
    pub(super) fn keep_messages(&self) {
        self.state().keeps_messages = true;
    }

    /// Starts to read: after the message of this number, or with the first message that was never
    /// read. An earlier reader gets nothing more. Returns `None` if the message to start with is no
    /// longer kept.
    pub(super) fn start_reading(self: &Arc<Self>, after: Option<u64>) -> Option<StreamReader> {
        let mut state = self.state();
        let position = match after {
            None => state.first_unread,
            Some(number) => number.saturating_add(1),
        };
        let oldest = match state.queue.front() {
            None => state.next,
            Some(queued) => queued.number,
        };
        if position < oldest || position > state.next {
            return None;
        }
        state.readers += 1;
        let number = state.readers;
        let earlier = state.reader.replace(CurrentReader {
            number,
            waker: None,
        });
        // The earlier reader takes the lock when it wakes.
        drop(state);
        wake(earlier.and_then(|reader| reader.waker));
        Some(StreamReader {
            stream: Arc::clone(self),
            number,
            position,
        })
    }

    pub(super) fn has_reader(&self) -> bool {
        self.state().reader.is_some()
    }

    /// Returns whether nothing more will be written.
    pub(super) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// Ends the stream. Messages that wait can still be read.
    pub(super) fn end(&self) {
        let waker = {
            let mut state = self.state();
            state.has_ended = true;
            state.take_waker()
        };
        wake(waker);
    }

    fn write(
        &self,
        message: Message,
        receipt: Option<oneshot::Sender<()>>,
    ) -> Result<(), Disconnected> {
        let waker = {
            let mut state = self.state();
            state.write(message, receipt)?;
            state.take_waker()
        };
        wake(waker);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl StreamState {
    fn take_waker(&mut self) -> Option<Waker> {
        self.reader.as_mut()?.waker.take()
    }

    fn write(
        &mut self,
        message: Message,
        receipt: Option<oneshot::Sender<()>>,
    ) -> Result<(), Disconnected> {
        if self.has_ended {
            return Err(Disconnected);
        }
        // The request counts as answered even if the response reaches no reader, so that the stream
        // ends.
        if !self.accept_response(&message) {
            tracing::warn!("a response is dropped, because no request on this stream waits for it");
            return Ok(());
        }
        if self.reader.is_none() && !self.keeps_messages {
            return Err(Disconnected);
        }
        self.queue_bytes += message.bytes().len();
        self.queue.push_back(QueuedMessage {
            number: self.next,
            message,
            receipt,
        });
        self.next += 1;
        if self.is_reader_too_slow() {
            tracing::warn!("a client's stream is cut, because the client does not read it");
            self.cut();
            return Err(Disconnected);
        }
        self.drop_oldest();
        Ok(())
    }

    /// Matches a response with an open request, and ends the stream with the last one. Returns
    /// `false` for a response that belongs to no request of this stream.
    fn accept_response(&mut self, message: &Message) -> bool {
        let is_response = matches!(message.kind(), MessageKind::Result | MessageKind::Error);
        if !self.ends_with_responses || !is_response {
            return true;
        }
        let Some(id) = message.id() else { return true };
        let Some(at) = self.open_requests.iter().position(|open| open == id) else {
            return false;
        };
        self.open_requests.swap_remove(at);
        self.has_ended = self.open_requests.is_empty();
        true
    }

    fn is_reader_too_slow(&self) -> bool {
        // A single message may exceed the limit, and kept messages count as bytes of the queue too.
        let unread = self.next - self.first_unread;
        self.reader.is_some()
            && unread > 1
            && (unread > UNREAD_MAX as u64 || self.queue_bytes > UNREAD_BYTES_MAX + KEPT_BYTES_MAX)
    }

    fn cut(&mut self) {
        self.queue.clear();
        self.queue_bytes = 0;
        self.has_ended = true;
        self.first_unread = self.next;
        self.keeps_messages = false;
    }

    /// Drops the oldest messages beyond the limits: those that were read, and without a reader the
    /// others too.
    fn drop_oldest(&mut self) {
        while let Some(oldest) = self.queue.front() {
            let is_read = oldest.number < self.first_unread;
            let is_over_limit = self.queue.len() > KEPT_MAX || self.queue_bytes > KEPT_BYTES_MAX;
            let may_go = if is_read {
                is_over_limit || !self.keeps_messages
            } else {
                is_over_limit && self.reader.is_none()
            };
            // The last message is often the response, so it stays for a client that resumes.
            let is_last_kept = self.queue.len() == 1 && self.keeps_messages;
            if !may_go || is_last_kept {
                return;
            }
            self.queue_bytes -= oldest.message.bytes().len();
            self.queue.pop_front();
        }
    }

    fn is_current(&self, reader: u64) -> bool {
        self.reader
            .as_ref()
            .is_some_and(|current| current.number == reader)
    }

    fn register_waker(&mut self, cx: &Context<'_>) {
        if let Some(reader) = &mut self.reader {
            reader.waker = Some(cx.waker().clone());
        }
    }
}

/// A reader of a stream. A stream has at most one at a time.
pub(super) struct StreamReader {
    stream: Arc<MessageStream>,
    number: u64,
    /// The number of the next message to read.
    position: u64,
}

impl StreamReader {
    pub(super) fn stream_number(&self) -> u64 {
        self.stream.number
    }

    /// Polls for the next message. `None` means that the stream has ended, or that another reader
    /// has taken over.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<StreamMessage>> {
        let mut state = self.stream.state();
        if !state.is_current(self.number) {
            return Poll::Ready(None);
        }
        let position = self.position;
        let next = state
            .queue
            .iter_mut()
            .find(|queued| queued.number >= position);
        if let Some(queued) = next {
            let message = StreamMessage {
                number: queued.number,
                message: queued.message.clone(),
                receipt: queued.receipt.take(),
            };
            self.position = message.number + 1;
            state.first_unread = state.first_unread.max(self.position);
            state.drop_oldest();
            return Poll::Ready(Some(message));
        }
        if state.has_ended {
            return Poll::Ready(None);
        }
        state.register_waker(cx);
        Poll::Pending
    }

    /// Polls for the first message, without reading it.
    pub(super) fn poll_start(&self, cx: &mut Context<'_>) -> Poll<StreamStart> {
        let mut state = self.stream.state();
        match (state.next - state.first_unread, state.has_ended) {
            // One message and the end: the response fits into a single JSON text.
            (1, true) => Poll::Ready(StreamStart::Complete),
            (0, false) => {
                state.register_waker(cx);
                Poll::Pending
            }
            _ => Poll::Ready(StreamStart::MoreToCome),
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        if !state.is_current(self.number) {
            return;
        }
        state.reader = None;
        // A dropped receipt reports that its message was not written.
        for queued in &mut state.queue {
            queued.receipt = None;
        }
        if !state.keeps_messages {
            // Nothing can resume this stream, so its writers learn that the client has
            // disconnected.
            state.cut();
        }
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Client for MessageStream {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if confirmation == Confirmation::None {
            return self.write(message, None);
        }
        if !self.has_reader() {
            // The message may still be read later, but its delivery cannot be confirmed.
            self.write(message, None)?;
            return Err(Disconnected);
        }
        let (receipt, is_written) = oneshot::channel();
        self.write(message, Some(receipt))?;
        is_written.await.map_err(|_| Disconnected)
    }
}

#[cfg(test)]
mod tests;
