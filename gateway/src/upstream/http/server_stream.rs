//! The stream of what no request caused.

use super::{
    HttpConnection,
    event_stream::EventStream,
    headers,
    post::{READ_ON_AFTER_MAX, kind, request},
};
use crate::wire::Message;
use bytes::Bytes;
use hyper::Method;
use std::{sync::Arc, time::Duration};

/// The initial delay before the stream is opened again. It doubles after each attempt without an event.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads the stream until the connection ends, or the server has none.
pub(super) async fn follow(shared: Arc<HttpConnection>) {
    let closing = shared.closing.clone();
    tokio::select! {
        () = read(&shared) => shared.session().is_listening = false,
        () = closing.cancelled() => {}
    }
}

async fn read(shared: &HttpConnection) {
    let mut last = None;
    let mut after = AGAIN_AFTER;
    loop {
        let session = shared.session().clone();
        let head = headers::for_stream(&shared.endpoint.headers, &session, last.as_deref());
        match request(shared, Method::GET, head, Bytes::new()).await {
            Ok(response)
                if response.status().is_success() && kind(&response) == "text/event-stream" =>
            {
                if take_all(
                    shared,
                    EventStream::from_body(response.into_body()),
                    &mut last,
                )
                .await
                {
                    after = AGAIN_AFTER;
                }
            }
            // It is for another day, or for a session that is opened anew.
            Ok(response) if response.status().is_server_error() => last = None,
            Ok(response) if shared.session().id != session.id => drop(response),
            Ok(_) => return,
            Err(lost) => tracing::debug!(%lost, "the server's own stream cannot be read"),
        }
        tokio::time::sleep(after).await;
        after = (after * 2).min(READ_ON_AFTER_MAX);
    }
}

/// Returns true if there was an event.
async fn take_all(
    shared: &HttpConnection,
    mut events: EventStream,
    last: &mut Option<String>,
) -> bool {
    let mut came = false;
    while let Some(event) = events.next().await {
        came = true;
        *last = event
            .id
            .filter(|place| !place.is_empty())
            .or_else(|| last.take());
        let Some(data) = event.data.filter(|data| !data.trim().is_empty()) else {
            continue;
        };
        for message in Message::read_all(data) {
            match message {
                Ok(message) => shared.take_in(message, None).await,
                Err(unreadable) => {
                    tracing::warn!(why = %unreadable, "the server sent what is no message")
                }
            }
        }
    }
    came
}
