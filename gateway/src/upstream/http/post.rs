//! The POST of one message to a server, and the reading of its response.

use super::{
    HttpConnection, UpstreamSession,
    event_stream::{self, EventStream},
    headers, retry_after,
};
use crate::{
    layer::{NoResponse, RequestContext},
    wire::{ErrorCode, Message, MessageKind, ProtocolError, RequestId, method},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// The most attempts to resume a stream without a new event.
const RESUMES_MAX: u32 = 10;

/// The default delay before a stream is resumed. A server may set another.
const RESUME_DELAY: Duration = Duration::from_millis(500);

/// The longest delay before a stream is resumed. A server may ask for a longer one.
pub(super) const RESUME_DELAY_MAX: Duration = Duration::from_secs(30);

/// The timeout of the request that ends a session.
const END_SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a request and waits for its response.
pub(super) async fn send_request(
    shared: &Arc<HttpConnection>,
    request: &Message,
    context: &RequestContext,
) -> Result<Message, NoResponse> {
    let response = send(shared, request, context).await?;
    response.ok_or_else(|| no_response("the server accepted the request without a response"))
}

/// Sends a message once, and returns the response if it is a request.
pub(super) async fn send(
    shared: &Arc<HttpConnection>,
    message: &Message,
    context: &RequestContext,
) -> Result<Option<Message>, NoResponse> {
    if !message.asks(method::INITIALIZE) && message.own_version().is_none() {
        reopen_lost_session(shared, context).await?;
    }
    post_message(shared, message, context).await
}

async fn post_message(
    shared: &Arc<HttpConnection>,
    message: &Message,
    context: &RequestContext,
) -> Result<Option<Message>, NoResponse> {
    let session = if message.asks(method::INITIALIZE) {
        UpstreamSession::default()
    } else {
        shared.session().clone()
    };
    let own_headers = &shared.endpoint.headers;
    let headers = headers::for_message(message, context, own_headers, &session);
    let body = message.bytes().clone();
    let response = send_http(shared, Method::POST, headers, body).await?;
    let is_in_session = session.id.is_some() && message.own_version().is_none();
    // MCP up to 2025-11-25: a server answers 404 to a request in a session that has ended.
    if response.status() == StatusCode::NOT_FOUND && is_in_session {
        shared.session().is_lost = true;
        let reason = "the server no longer knows this session: try again, which opens a new one";
        return Err(NoResponse {
            reason: reason.to_owned(),
            sent: false,
        });
    }
    let headers = response.headers().clone();
    let reader = ResponseReader {
        shared,
        message,
        context,
        last_event: None,
        resume_delay: RESUME_DELAY,
    };
    let answer = reader.read_response(response).await?;
    if let Some(answer) = &answer {
        shared.record_session(message, answer, &headers);
    }
    Ok(answer)
}

/// Sends an HTTP request.
pub(super) async fn send_http(
    shared: &HttpConnection,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Incoming>, NoResponse> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = shared.endpoint.uri.clone();
    *request.headers_mut() = headers;
    let response = shared.endpoint.send(request).await;
    response.map_err(|error| NoResponse {
        reason: error.reason,
        sent: error.was_sent,
    })
}

fn no_response(reason: impl Into<String>) -> NoResponse {
    NoResponse {
        reason: reason.into(),
        sent: true,
    }
}

/// The reader of the response to one message.
struct ResponseReader<'a> {
    shared: &'a Arc<HttpConnection>,
    message: &'a Message,
    context: &'a RequestContext,
    /// The id of the last event that was read.
    last_event: Option<String>,
    resume_delay: Duration,
}

impl ResponseReader<'_> {
    async fn read_response(
        mut self,
        response: Response<Incoming>,
    ) -> Result<Option<Message>, NoResponse> {
        let status = response.status();
        if !status.is_success() {
            return self.read_error_response(response).await.map(Some);
        }
        let Some(id) = self.message.request_id().cloned() else {
            return Ok(None);
        };
        match content_type(&response).as_str() {
            "application/json" => {
                let text = event_stream::read_body(response.into_body()).await;
                let text = text.ok_or_else(|| {
                    no_response("the server's response broke off, or is too long")
                })?;
                match self.find_answer(&id, text).await {
                    Some(answer) => Ok(Some(answer)),
                    None => Err(no_response("the server's response is to another request")),
                }
            }
            "text/event-stream" => {
                let events = EventStream::from_body(response.into_body());
                self.follow_stream(&id, events).await.map(Some)
            }
            _ if status == StatusCode::ACCEPTED => Ok(None),
            other => Err(no_response(format!(
                "the server responded with the content type `{other}`"
            ))),
        }
    }

    /// Reads a response with an error status. The status is part of the answer to a call, with the protocol error of the
    /// body if there is one. To any other request only a protocol error is an answer.
    async fn read_error_response(
        &self,
        response: Response<Incoming>,
    ) -> Result<Message, NoResponse> {
        let status = response.status();
        let retry_after_ms = retry_after::read_delay_ms(response.headers(), SystemTime::now());
        let text = event_stream::read_body(response.into_body())
            .await
            .unwrap_or_default();
        let reason = format!("the server responded with the status {status}");
        let Some(id) = self.message.request_id() else {
            return Err(no_response(reason));
        };
        let answer = Message::read(text)
            .ok()
            .filter(|answer| answer.id().is_none_or(|own| own == id));
        let answer = match answer.as_ref().and_then(Message::error) {
            Some(error) => Message::response(Some(id), "error", error),
            None if self.message.asks(method::TOOLS_CALL) => {
                ProtocolError::new(ErrorCode::Internal, reason).response(Some(id))
            }
            None => return Err(no_response(reason)),
        };
        Ok(answer.with_http_status(status.as_u16(), retry_after_ms))
    }

    /// Returns the response to the request among these messages, and delivers all others.
    async fn find_answer(&self, id: &RequestId, text: Bytes) -> Option<Message> {
        let mut answer = None;
        for message in Message::read_all(text) {
            match message {
                Ok(message)
                    if message.is_response() && message.id() == Some(id) && answer.is_none() =>
                {
                    answer = Some(message);
                }
                Ok(message) => self.shared.deliver_other(message, Some(self.context)).await,
                Err(error) => tracing::warn!(%error, "skipped an invalid message of the server"),
            }
        }
        answer
    }

    /// Reads events until the response has come. In a session, a broken stream is resumed.
    async fn follow_stream(
        &mut self,
        id: &RequestId,
        mut events: EventStream,
    ) -> Result<Message, NoResponse> {
        let mut resumes = 0;
        loop {
            while let Some(event) = events.next().await {
                if let Some(event_id) = event.id.filter(|event_id| !event_id.is_empty()) {
                    self.last_event = Some(event_id);
                    resumes = 0;
                }
                if let Some(ms) = event.retry {
                    self.resume_delay = Duration::from_millis(ms).min(RESUME_DELAY_MAX);
                }
                let Some(data) = event.data.filter(|data| !data.trim().is_empty()) else {
                    continue;
                };
                if let Some(answer) = self.find_answer(id, data.into()).await {
                    return Ok(answer);
                }
            }
            resumes += 1;
            // Since 2026-07-28 streams cannot be resumed.
            let is_resumable = self.last_event.is_some() && self.message.own_version().is_none();
            if !is_resumable || resumes > RESUMES_MAX {
                let reason = "the server's stream broke off before the response";
                return Err(no_response(reason));
            }
            tokio::time::sleep(self.resume_delay).await;
            events = self.resume_stream().await?;
        }
    }

    /// Opens the stream after the last event. That sends no request again.
    async fn resume_stream(&self) -> Result<EventStream, NoResponse> {
        let session = self.shared.session().clone();
        let own_headers = &self.shared.endpoint.headers;
        let headers = headers::for_stream(own_headers, &session, self.last_event.as_deref());
        let response = send_http(self.shared, Method::GET, headers, Bytes::new()).await;
        // The GET may not have been sent, but the request of the stream was.
        let response = response.map_err(|error| NoResponse {
            sent: true,
            ..error
        })?;
        if response.status().is_success() && content_type(&response) == "text/event-stream" {
            return Ok(EventStream::from_body(response.into_body()));
        }
        Err(no_response(
            "the server's stream broke off before the response, and cannot be resumed",
        ))
    }
}

/// Returns the content type of a response, without its parameters.
pub(super) fn content_type(response: &Response<Incoming>) -> String {
    let value = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Opens a session again that the server no longer knows, with the client's own `initialize`.
async fn reopen_lost_session(
    shared: &Arc<HttpConnection>,
    context: &RequestContext,
) -> Result<(), NoResponse> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if !shared.session().is_lost {
        return Ok(());
    }
    let _guard = shared.reopening.lock().await;
    // Another request may have opened it in the meantime.
    let session = shared.session().clone();
    let Some(initialize) = session.initialize else {
        return Ok(());
    };
    if !session.is_lost {
        return Ok(());
    }
    let failed = |reason: String| NoResponse {
        reason: format!("no new session can be opened: {reason}"),
        sent: false,
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let id = RequestId::Text(format!("dev.semel/{process}/initialize/{number}").into());
    let context = context.without_client();
    let response = post_message(shared, &initialize.with_id(&id), &context)
        .await
        .map_err(|error| failed(error.reason))?;
    if response.is_none_or(|response| response.kind() != MessageKind::Result) {
        return Err(failed("the server refuses it".to_owned()));
    }
    let initialized = Message::notification(method::INITIALIZED, "{}");
    match post_message(shared, &initialized, &context).await {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error.reason)),
    }
}

/// Ends the session at the server.
pub(super) async fn end_session(shared: &HttpConnection) {
    let session = shared.session().clone();
    if session.id.is_none() || session.is_lost {
        return;
    }
    let headers = headers::for_stream(&shared.endpoint.headers, &session, None);
    let ended = send_http(shared, Method::DELETE, headers, Bytes::new());
    // A server that does not receive it ends the session by its own timeout.
    let _ = tokio::time::timeout(END_SESSION_TIMEOUT, ended).await;
}
