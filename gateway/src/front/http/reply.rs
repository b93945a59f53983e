//! From what a request brings to the response that carries it: one JSON text where its answer is all there is, a stream of
//! events otherwise.

use super::{
    body::{Body, Events},
    connection::Written,
    refusal::{json, with_body},
    request::Head,
    stream::{Beginning, Read, Reading},
};
use crate::wire::{FaultCode, Kind, Message, version};
use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use std::{future::poll_fn, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a client waits for a single answer before it is told that a stream begins.
const EVENTS_AFTER: Duration = Duration::from_secs(1);

/// Has proxies on the way pass events on at once.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response to a request, and the message that it is, where it is one.
pub(super) struct Reply {
    pub(super) response: Response<Body>,
    pub(super) single: Option<Message>,
}

/// Waits for how the stream begins, and answers so.
pub(super) async fn to_request(
    mut reading: Reading,
    head: &Head,
    is_list: bool,
    written: Written,
    waits: Option<CancellationToken>,
) -> Reply {
    let waits = waits.map(CancellationToken::drop_guard);
    let may_be_single = head.reads_json && !is_list;
    let beginning = poll_fn(|cx| reading.poll_beginning(cx));
    // A client that reads no events waits as long as it takes.
    let beginning = match head.reads_events {
        true => tokio::time::timeout(EVENTS_AFTER, beginning)
            .await
            .unwrap_or(Beginning::Part),
        false => beginning.await,
    };
    if matches!(beginning, Beginning::Whole)
        && may_be_single
        && let Some(read) = poll_fn(|cx| reading.poll(cx)).await
    {
        return single(read, head, written, waits);
    }
    let response = of_events(Events::of(reading, written, waits.is_none(), waits), head);
    Reply {
        response,
        single: None,
    }
}

/// A response of events. A session's stream says its place first, to clients that know what that means.
pub(super) fn of_events(events: Events, head: &Head) -> Response<Body> {
    let says_its_place = events.has_ids && head.speaks(version::V2025_11_25);
    let events = if says_its_place {
        events.beginning_with_its_place()
    } else {
        events
    };
    let mut response = with_body(
        StatusCode::OK,
        "text/event-stream",
        Body::Events(Box::new(events)),
    );
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
    response
}

fn single(read: Read, head: &Head, written: Written, waits: Option<DropGuard>) -> Reply {
    let status = if head.speaks(version::V2026_07_28) {
        status(&read.message)
    } else {
        StatusCode::OK
    };
    // Its body is there as a whole: a client that goes now cancels nothing.
    let _ = waits.map(DropGuard::disarm);
    let mut response = json(status, read.message.bytes().clone());
    if let (Body::Whole { written: tell, .. }, Some(who)) = (response.body_mut(), read.written) {
        *tell = Some((written, who));
    }
    Reply {
        response,
        single: Some(read.message),
    }
}

/// The status that says the same as an error, since 2026-07-28.
fn status(message: &Message) -> StatusCode {
    #[derive(serde::Deserialize)]
    struct Coded {
        code: i64,
    }
    let error = message.body().filter(|_| message.kind() == Kind::Error);
    let code = error
        .and_then(|error| serde_json::from_str::<Coded>(error).ok())
        .map(|error| error.code);
    let bad = [
        FaultCode::HeaderMismatch,
        FaultCode::MissingCapability,
        FaultCode::UnsupportedVersion,
    ];
    match code {
        Some(code) if bad.iter().any(|bad| bad.number() == code) => StatusCode::BAD_REQUEST,
        Some(code) if code == FaultCode::MethodNotFound.number() => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}
