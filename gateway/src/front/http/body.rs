//! The bodies of responses: one text, or a stream of server-sent events.

use super::{connection::FlushNotifier, stream::StreamReader};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::DropGuard;

/// The interval of keep-alive comments: proxies keep the stream, and a disconnected client is
/// noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Bytes of an event besides its id and its text.
const EVENT_OVERHEAD_BYTES: usize = 32;

/// The body of a response.
pub(super) enum ResponseBody {
    /// One text, and the sender to notify once it was written.
    Text {
        text: Option<Bytes>,
        receipt: Option<(FlushNotifier, oneshot::Sender<()>)>,
    },
    /// Server-sent events.
    Events(Box<ServerSentEvents>),
}

/// A message stream as server-sent events.
pub(super) struct ServerSentEvents {
    reader: StreamReader,
    flushes: FlushNotifier,
    /// Events have ids, by which a client may resume the stream.
    pub(super) has_ids: bool,
    /// The event before all messages.
    first: Option<Bytes>,
    /// Cancels the request if the connection ends before the stream does.
    cancel_on_drop: Option<DropGuard>,
    keep_alive: Pin<Box<Sleep>>,
}

impl ServerSentEvents {
    pub(super) fn new(
        reader: StreamReader,
        flushes: FlushNotifier,
        has_ids: bool,
        cancel_on_drop: Option<DropGuard>,
    ) -> Self {
        Self {
            reader,
            flushes,
            has_ids,
            first: None,
            cancel_on_drop,
            keep_alive: Box::pin(sleep(KEEP_ALIVE_INTERVAL)),
        }
    }

    /// Sends the stream's id first, so that a client can resume even if it reads nothing else.
    pub(super) fn with_first_id(mut self) -> Self {
        self.first = Some(format!("id: {}-0\ndata: \n\n", self.reader.stream_number()).into());
        self
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Poll::Ready(next) = self.reader.poll_next(cx) {
            let Some(next) = next else {
                // The client has everything: its connection may end now without cancelling the
                // request.
                if let Some(cancel) = self.cancel_on_drop.take() {
                    cancel.disarm();
                }
                return Poll::Ready(None);
            };
            if let Some(receipt) = next.receipt {
                self.flushes.notify_after_flush(receipt);
            }
            let id = if self.has_ids {
                format!("id: {}-{}\n", self.reader.stream_number(), next.number)
            } else {
                String::new()
            };
            return Poll::Ready(Some(encode_event(&id, next.message.text())));
        }
        ready!(self.keep_alive.as_mut().poll(cx));
        self.keep_alive
            .as_mut()
            .reset(Instant::now() + KEEP_ALIVE_INTERVAL);
        Poll::Ready(Some(Bytes::from_static(b": alive\n\n")))
    }
}

/// Encodes one event. JSON has line ends only between its tokens, where a space means the same.
fn encode_event(id: &str, text: &str) -> Bytes {
    let mut event = BytesMut::with_capacity(id.len() + text.len() + EVENT_OVERHEAD_BYTES);
    event.extend_from_slice(id.as_bytes());
    event.extend_from_slice(b"event: message\ndata: ");
    let start = event.len();
    event.extend_from_slice(text.as_bytes());
    for byte in event.iter_mut().skip(start) {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    event.extend_from_slice(b"\n\n");
    event.freeze()
}

impl ResponseBody {
    pub(super) fn empty() -> Self {
        Self::Text {
            text: None,
            receipt: None,
        }
    }

    pub(super) fn from_text(text: impl Into<Bytes>) -> Self {
        Self::Text {
            text: Some(text.into()),
            receipt: None,
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Text { text, receipt } => {
                // hyper writes the frame before it flushes, so the next flush covers this text.
                if let Some((flushes, sender)) = receipt.take() {
                    flushes.notify_after_flush(sender);
                }
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
            Self::Events(events) => events
                .poll_event(cx)
                .map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Text { text: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text { text, .. } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
