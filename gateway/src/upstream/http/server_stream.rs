//! The stream of a server's messages that belong to no request.

use super::{
    HttpConnection,
    event_stream::EventStream,
    headers,
    post::{RESUME_DELAY_MAX, content_type, send_http},
};
use crate::wire::Message;
use bytes::Bytes;
use hyper::Method;
use std::{sync::Arc, time::Duration};

/// The initial delay before the stream is opened again. It doubles after each attempt without an
/// event.
const REOPEN_DELAY: Duration = Duration::from_secs(1);

/// Reads the stream until the connection closes, or the server has no such stream.
pub(super) async fn follow_stream(shared: Arc<HttpConnection>) {
    let closing = shared.closing.clone();
    tokio::select! {
        () = read_streams(&shared) => shared.session().is_listening = false,
        () = closing.cancelled() => {}
    }
}

async fn read_streams(shared: &HttpConnection) {
    let mut last_event = None;
    let mut delay = REOPEN_DELAY;
    loop {
        let session = shared.session().clone();
        let headers =
            headers::for_stream(&shared.endpoint.headers, &session, last_event.as_deref());
        match send_http(shared, Method::GET, headers, Bytes::new()).await {
            Ok(response)
                if response.status().is_success()
                    && content_type(&response) == "text/event-stream" =>
            {
                let events = EventStream::from_body(response.into_body());
                if deliver_events(shared, events, &mut last_event).await {
                    delay = REOPEN_DELAY;
                }
            }
            // The server may recover, but may no longer have the events.
            Ok(response) if response.status().is_server_error() => last_event = None,
            // The session was opened again in the meantime: the new one may have a stream.
            Ok(_) if shared.session().id != session.id => {}
            // The server has no such stream: MCP lets it answer 405.
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, "the server's own stream cannot be read"),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(RESUME_DELAY_MAX);
    }
}

/// Delivers the messages of all events. Returns true if there was an event.
async fn deliver_events(
    shared: &HttpConnection,
    mut events: EventStream,
    last_event: &mut Option<String>,
) -> bool {
    let mut has_events = false;
    while let Some(event) = events.next().await {
        has_events = true;
        if let Some(id) = event.id.filter(|id| !id.is_empty()) {
            *last_event = Some(id);
        }
        let Some(data) = event.data.filter(|data| !data.trim().is_empty()) else {
            continue;
        };
        for message in Message::read_all(data) {
            match message {
                Ok(message) => shared.deliver_other(message, None).await,
                Err(error) => tracing::warn!(%error, "skipped an invalid message of the server"),
            }
        }
    }
    has_events
}
