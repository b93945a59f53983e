//! The server-sent events of a response, with a limit on the length of an event.

use crate::lines::LINE_BYTES_MAX;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http_body_util::{BodyDataStream, BodyExt, Limited};
use hyper::body::Incoming;
use sse_stream::{Sse, SseByteStream};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The reason why the events end before the stream does.
#[derive(Debug, thiserror::Error)]
enum EventStreamError {
    #[error("an event has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error(transparent)]
    Body(#[from] hyper::Error),
}

/// A stream of events.
pub(super) struct EventStream {
    events: SseByteStream<BoxStream<'static, Result<Bytes, EventStreamError>>>,
    /// The bytes since the last event.
    bytes: Arc<AtomicUsize>,
}

impl EventStream {
    pub(super) fn from_body(body: Incoming) -> Self {
        let bytes = Arc::new(AtomicUsize::new(0));
        let limited = limit_event_bytes(BodyDataStream::new(body), Arc::clone(&bytes));
        Self {
            events: SseByteStream::new(limited.boxed()),
            bytes,
        }
    }

    /// Returns the next event, or `None` once the stream has ended or broken.
    pub(super) async fn next(&mut self) -> Option<Sse> {
        match self.events.next().await? {
            Ok(event) => {
                self.bytes.store(0, Ordering::Relaxed);
                Some(event)
            }
            Err(error) => {
                tracing::debug!(%error, "a stream of events broke");
                None
            }
        }
    }
}

/// Fails once the bytes since the last event exceed the limit.
fn limit_event_bytes(
    body: impl Stream<Item = Result<Bytes, hyper::Error>>,
    bytes: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, EventStreamError>> {
    body.map(move |part| {
        let part = part?;
        let before = bytes.fetch_add(part.len(), Ordering::Relaxed);
        if before.saturating_add(part.len()) > LINE_BYTES_MAX {
            Err(EventStreamError::TooLong)
        } else {
            Ok(part)
        }
    })
}

/// Reads a body as a whole, or returns `None` if it breaks off or is too long.
pub(super) async fn read_body(body: Incoming) -> Option<Bytes> {
    let text = Limited::new(body, LINE_BYTES_MAX).collect().await;
    text.inspect_err(|error| tracing::debug!(%error, "a response broke"))
        .ok()
        .map(|text| text.to_bytes())
}
