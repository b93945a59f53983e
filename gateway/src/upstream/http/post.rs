//! One message on its way to a server, and what comes back.

use super::{
    HttpConnection,
    event_stream::{self, EventStream},
    headers,
};
use crate::{
    layer::{NoResponse, RequestContext},
    wire::{Message, MessageKind, RequestId, method},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The most attempts to resume a stream without a new event.
const READ_ON_MAX: u32 = 10;

/// The default delay before a stream is resumed. A server may set another.
const READ_ON_AFTER: Duration = Duration::from_millis(500);

/// The longest that a server may have us wait.
pub(super) const READ_ON_AFTER_MAX: Duration = Duration::from_secs(30);

/// The timeout of the request that ends a session.
const END_SESSION_WITHIN: Duration = Duration::from_secs(2);

/// Sends a request and waits for its response.
pub(super) async fn ask(
    shared: &Arc<HttpConnection>,
    request: &Message,
    context: &RequestContext,
) -> Result<Message, NoResponse> {
    let response = send(shared, request, context).await?;
    response.ok_or_else(|| no_response("the server accepted the request without a response"))
}

/// Sends a message, once. A request that was sent has a response, or is lost.
pub(super) async fn send(
    shared: &Arc<HttpConnection>,
    message: &Message,
    context: &RequestContext,
) -> Result<Option<Message>, NoResponse> {
    if !message.asks(method::INITIALIZE) && message.own_version().is_none() {
        open_again(shared, context).await?;
    }
    post(shared, message, context).await
}

async fn post(
    shared: &Arc<HttpConnection>,
    message: &Message,
    context: &RequestContext,
) -> Result<Option<Message>, NoResponse> {
    let session = shared.session().clone();
    let head = match message.asks(method::INITIALIZE) {
        true => headers::for_message(
            message,
            context,
            &shared.endpoint.headers,
            &super::UpstreamSession::default(),
        ),
        false => headers::for_message(message, context, &shared.endpoint.headers, &session),
    };
    let response = request(shared, Method::POST, head, message.bytes().clone()).await?;
    let is_session = session.id.is_some()
        && message.own_version().is_none()
        && !message.asks(method::INITIALIZE);
    if response.status() == StatusCode::NOT_FOUND && is_session {
        shared.session().is_dead = true;
        let reason =
            "the server no longer knows this session; the next request opens a new one".to_owned();
        return Err(NoResponse {
            reason,
            sent: false,
        });
    }
    let head = response.headers().clone();
    let answered = ResponseReader {
        shared,
        message,
        context,
        last: None,
        after: READ_ON_AFTER,
    }
    .read(response)
    .await?;
    if let Some(response) = &answered {
        shared.opened(message, response, &head);
    }
    Ok(answered)
}

/// Sends a request of HTTP.
pub(super) async fn request(
    shared: &HttpConnection,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Incoming>, NoResponse> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = shared.endpoint.uri.clone();
    *request.headers_mut() = headers;
    let sent = shared.endpoint.send(request).await;
    sent.map_err(|unsent| NoResponse {
        reason: unsent.reason,
        sent: unsent.left,
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
    /// The last event that was read.
    last: Option<String>,
    /// The delay before the stream is resumed.
    after: Duration,
}

impl ResponseReader<'_> {
    async fn read(mut self, response: Response<Incoming>) -> Result<Option<Message>, NoResponse> {
        let status = response.status();
        let kind = kind(&response);
        if !status.is_success() {
            return self.read_error_response(status, response).await.map(Some);
        }
        let Some(id) = self
            .message
            .id()
            .filter(|_| self.message.kind() == MessageKind::Request)
            .cloned()
        else {
            return Ok(None);
        };
        match kind.as_str() {
            "application/json" => {
                let broken = || no_response("the server's response broke off, or is too long");
                let text = event_stream::read_body(response.into_body())
                    .await
                    .ok_or_else(broken)?;
                let answer = self.answer_in(&id, text).await;
                answer
                    .map(Some)
                    .ok_or_else(|| no_response("the server's response does not answer the request"))
            }
            "text/event-stream" => self
                .follow(&id, EventStream::from_body(response.into_body()))
                .await
                .map(Some),
            _ if status == StatusCode::ACCEPTED => Ok(None),
            other => Err(no_response(format!(
                "the server answered content of the kind `{other}`, which no answer is"
            ))),
        }
    }

    /// An error of the protocol is an answer; anything else leaves open what became of the request.
    async fn read_error_response(
        &self,
        status: StatusCode,
        response: Response<Incoming>,
    ) -> Result<Message, NoResponse> {
        let text = event_stream::read_body(response.into_body())
            .await
            .unwrap_or_default();
        let error = Message::read(text)
            .ok()
            .filter(|message| message.kind() == MessageKind::Error);
        let fits = |error: &Message| error.id().is_none() || error.id() == self.message.id();
        let body = error
            .as_ref()
            .filter(|error| fits(error))
            .and_then(Message::body);
        let own = self
            .message
            .id()
            .filter(|_| self.message.kind() == MessageKind::Request);
        match (body, own) {
            (Some(body), Some(id)) => Ok(Message::response(Some(id), "error", body)),
            _ => Err(no_response(format!(
                "the server answered with the status {status}"
            ))),
        }
    }

    /// The response among these messages. The others are taken in.
    async fn answer_in(&self, id: &RequestId, text: Bytes) -> Option<Message> {
        let mut answer = None;
        for message in Message::read_all(text) {
            match message {
                Ok(message)
                    if message.is_response() && message.id() == Some(id) && answer.is_none() =>
                {
                    answer = Some(message);
                }
                Ok(message) => self.shared.take_in(message, Some(self.context)).await,
                Err(unreadable) => {
                    tracing::warn!(why = %unreadable, "the server sent what is no message")
                }
            }
        }
        answer
    }

    /// Reads events until the response has come. A stream of a session that breaks off is read on from where it broke.
    async fn follow(
        &mut self,
        id: &RequestId,
        mut events: EventStream,
    ) -> Result<Message, NoResponse> {
        let mut in_vain = 0;
        loop {
            while let Some(event) = events.next().await {
                if let Some(place) = event.id.filter(|place| !place.is_empty()) {
                    self.last = Some(place);
                    in_vain = 0;
                }
                self.after = event.retry.map_or(self.after, |ms| {
                    Duration::from_millis(ms).min(READ_ON_AFTER_MAX)
                });
                let Some(data) = event.data.filter(|data| !data.trim().is_empty()) else {
                    continue;
                };
                if let Some(answer) = self.answer_in(id, data.into()).await {
                    return Ok(answer);
                }
            }
            in_vain += 1;
            if in_vain > READ_ON_MAX || self.last.is_none() || self.message.own_version().is_some()
            {
                return Err(no_response(
                    "the server's stream broke off before the response",
                ));
            }
            tokio::time::sleep(self.after).await;
            events = self.read_on().await?;
        }
    }

    /// The stream from where it broke: nothing is sent again by that.
    async fn read_on(&self) -> Result<EventStream, NoResponse> {
        let session = self.shared.session().clone();
        let head = headers::for_stream(
            &self.shared.endpoint.headers,
            &session,
            self.last.as_deref(),
        );
        let response = request(self.shared, Method::GET, head, Bytes::new()).await;
        let response = response.map_err(|lost| NoResponse { sent: true, ..lost })?;
        if response.status().is_success() && kind(&response) == "text/event-stream" {
            return Ok(EventStream::from_body(response.into_body()));
        }
        Err(no_response(
            "the server's stream broke off before the response, and cannot be read on",
        ))
    }
}

/// The kind of content, without its parameters.
pub(super) fn kind(response: &Response<Incoming>) -> String {
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    kind.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Opens a session again that the server no longer knows, as it was opened by its client.
async fn open_again(
    shared: &Arc<HttpConnection>,
    context: &RequestContext,
) -> Result<(), NoResponse> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if !shared.session().is_dead {
        return Ok(());
    }
    let _one_at_a_time = shared.opening.lock().await;
    let session = shared.session().clone();
    let Some(initialize) = session.initialize.filter(|_| session.is_dead) else {
        return Ok(());
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let id =
        RequestId::Text(format!("dev.semel/{}/initialize/{number}", std::process::id()).into());
    let not_sent = |what: String| NoResponse {
        reason: format!("no new session can be opened: {what}"),
        sent: false,
    };
    let context = context.without_client();
    let opened = post(shared, &initialize.with_id(&id), &context)
        .await
        .map_err(|lost| not_sent(lost.reason))?;
    if opened.is_none_or(|response| response.kind() != MessageKind::Result) {
        return Err(not_sent("the server refuses it".to_owned()));
    }
    let initialized = Message::notification(method::INITIALIZED, "{}");
    post(shared, &initialized, &context)
        .await
        .map(drop)
        .map_err(|lost| not_sent(lost.reason))
}

/// Tells the server that its session ends.
pub(super) async fn end_session(shared: &HttpConnection) {
    let session = shared.session().clone();
    if session.id.is_none() || session.is_dead {
        return;
    }
    let head = headers::for_stream(&shared.endpoint.headers, &session, None);
    let ended = request(shared, Method::DELETE, head, Bytes::new());
    // A server that does not hear it ends the session for itself.
    let _ = tokio::time::timeout(END_SESSION_WITHIN, ended).await;
}
