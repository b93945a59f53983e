//! The response to a request: one JSON text if its answer is a single message, else a stream of
//! events.

use super::{
    body::{ResponseBody, ServerSentEvents},
    connection::FlushNotifier,
    request::RequestHead,
    request_error::{json_response, typed_response},
    stream::{StreamMessage, StreamReader, StreamStart},
};
use crate::wire::{ErrorCode, Message, MessageKind, version};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use std::{future::poll_fn, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time without an answer after which the response becomes a stream of events.
const EVENTS_AFTER: Duration = Duration::from_secs(1);

/// The header that makes proxies pass events on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response to a request, and its message where it is a single one.
pub(super) struct HttpReply {
    pub(super) response: Response<ResponseBody>,
    pub(super) single: Option<Message>,
}

/// Waits for the stream's first message, and returns the response that fits. `cancellation` is
/// cancelled if the client's connection ends before the response is complete.
pub(super) async fn reply_to_request(
    mut reader: StreamReader,
    head: &RequestHead,
    is_batch: bool,
    flushes: FlushNotifier,
    cancellation: Option<CancellationToken>,
) -> HttpReply {
    let cancel_on_drop = cancellation.map(CancellationToken::drop_guard);
    let may_be_single = head.accepts_json && !is_batch;
    let start = poll_fn(|cx| reader.poll_start(cx));
    // A client that reads no events waits as long as it takes.
    let start = if head.accepts_events {
        tokio::time::timeout(EVENTS_AFTER, start)
            .await
            .unwrap_or(StreamStart::MoreToCome)
    } else {
        start.await
    };
    if matches!(start, StreamStart::Complete)
        && may_be_single
        && let Some(message) = poll_fn(|cx| reader.poll_next(cx)).await
    {
        return single_reply(message, head, flushes, cancel_on_drop);
    }
    // Only streams of a session can be resumed, and only requests without one can be cancelled.
    let has_ids = cancel_on_drop.is_none();
    let events = ServerSentEvents::new(reader, flushes, has_ids, cancel_on_drop);
    HttpReply {
        response: events_response(events, head),
        single: None,
    }
}

/// A response of events. A session's stream sends its id first, where the client's protocol version
/// provides for it.
pub(super) fn events_response(
    events: ServerSentEvents,
    head: &RequestHead,
) -> Response<ResponseBody> {
    let sends_first_id = events.has_ids && head.is_at_least(version::V2025_11_25);
    let events = if sends_first_id {
        events.with_first_id()
    } else {
        events
    };
    let mut response = typed_response(
        StatusCode::OK,
        "text/event-stream",
        ResponseBody::Events(Box::new(events)),
    );
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn single_reply(
    message: StreamMessage,
    head: &RequestHead,
    flushes: FlushNotifier,
    cancel_on_drop: Option<DropGuard>,
) -> HttpReply {
    let status = if head.is_at_least(version::V2026_07_28) {
        error_status(&message.message)
    } else {
        StatusCode::OK
    };
    // The body is complete: a client that goes now cancels nothing.
    if let Some(cancel) = cancel_on_drop {
        cancel.disarm();
    }
    let mut response = json_response(status, message.message.bytes().clone());
    if let ResponseBody::Text { receipt, .. } = response.body_mut()
        && let Some(sender) = message.receipt
    {
        *receipt = Some((flushes, sender));
    }
    HttpReply {
        response,
        single: Some(message.message),
    }
}

/// The HTTP status of a message, which repeats its error code since 2026-07-28.
fn error_status(message: &Message) -> StatusCode {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        code: i64,
    }
    if message.kind() != MessageKind::Error {
        return StatusCode::OK;
    }
    let error = message
        .body()
        .and_then(|body| serde_json::from_str::<ErrorBody>(body).ok());
    let Some(ErrorBody { code }) = error else {
        return StatusCode::OK;
    };
    let bad_requests = [
        ErrorCode::HeaderMismatch,
        ErrorCode::MissingCapability,
        ErrorCode::UnsupportedVersion,
    ];
    if bad_requests.iter().any(|error| error.number() == code) {
        StatusCode::BAD_REQUEST
    } else if code == ErrorCode::MethodNotFound.number() {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    }
}
