//! The bodies of responses: one text, or a stream of server-sent events.

use super::{connection::Written, stream::Reading};
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

/// How often a stream says that it stands, so that proxies keep it and a client that has gone is noticed.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The body of a response.
pub(super) enum Body {
    /// A text, and who wants to know that it was written.
    Whole {
        text: Option<Bytes>,
        written: Option<(Written, oneshot::Sender<()>)>,
    },
    /// Events.
    Events(Box<Events>),
}

/// A stream as server-sent events.
pub(super) struct Events {
    pub(super) reading: Reading,
    pub(super) written: Written,
    /// Whether events have ids, by which a client may come back for the rest.
    pub(super) has_ids: bool,
    /// What is said first.
    pub(super) first: Option<Bytes>,
    /// Says that nobody waits any longer, if the connection ends before the stream does.
    pub(super) waits: Option<DropGuard>,
    alive: Pin<Box<Sleep>>,
}

impl Events {
    pub(super) fn of(
        reading: Reading,
        written: Written,
        has_ids: bool,
        waits: Option<DropGuard>,
    ) -> Self {
        Self {
            reading,
            written,
            has_ids,
            first: None,
            waits,
            alive: Box::pin(sleep(ALIVE_EVERY)),
        }
    }

    /// Says first where the stream is, so that a client can come back even if it reads nothing else.
    pub(super) fn beginning_with_its_place(mut self) -> Self {
        self.first = Some(format!("id: {}-0\ndata: \n\n", self.reading.stream().number).into());
        self
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Poll::Ready(read) = self.reading.poll(cx) {
            let Some(read) = read else {
                // Who has it all waits no longer, and nothing is cancelled by that.
                let _ = self.waits.take().map(DropGuard::disarm);
                return Poll::Ready(None);
            };
            read.written
                .into_iter()
                .for_each(|who| self.written.tell(who));
            let id = self
                .has_ids
                .then(|| format!("id: {}-{}\n", self.reading.stream().number, read.number));
            return Poll::Ready(Some(event(
                id.as_deref().unwrap_or_default(),
                read.message.text(),
            )));
        }
        ready!(self.alive.as_mut().poll(cx));
        self.alive.as_mut().reset(Instant::now() + ALIVE_EVERY);
        Poll::Ready(Some(Bytes::from_static(b": alive\n\n")))
    }
}

/// One event. In JSON a line end stands only between its parts, where a space says the same.
fn event(id: &str, text: &str) -> Bytes {
    let mut event = BytesMut::with_capacity(id.len() + text.len() + 32);
    event.extend_from_slice(id.as_bytes());
    event.extend_from_slice(b"event: message\ndata: ");
    let start = event.len();
    event.extend_from_slice(text.as_bytes());
    for byte in event
        .iter_mut()
        .skip(start)
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
    {
        *byte = b' ';
    }
    event.extend_from_slice(b"\n\n");
    event.freeze()
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::Whole {
            text: None,
            written: None,
        }
    }

    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self::Whole {
            text: Some(text.into()),
            written: None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole { text, written } => {
                written
                    .take()
                    .into_iter()
                    .for_each(|(written, who)| written.tell(who));
                Poll::Ready(text.take().map(|text| Ok(Frame::data(text))))
            }
            Self::Events(events) => events.poll(cx).map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole { text: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { text, .. } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
