//! The front end for many clients over streamable HTTP, of both protocol versions at one address.
//!
//! A client of the older version (up to 2025-11-25) opens a session, and has a connection to the
//! server of its own. Its disconnecting cancels nothing, and it may resume a stream. A client of
//! the newer version has no session; all of them share one connection, and closing a response
//! cancels the request. Authentication is in [`crate::access`], rate limits are in
//! [`crate::limits`]. The transport of 2024-11-05 (two addresses) is not served.

mod body;
mod connection;
mod reply;
mod request;
mod request_error;
mod session;
mod stream;

use crate::{
    access::Authenticator,
    health::{HealthCheck, HealthEndpoint},
    layer::{CallerIdentity, ConnectError, Connector, RequestContext, Upstream},
    limits::HttpLimits,
    shared_session::SharedSession,
    wire::{ErrorCode, Message, MessageKind, ProtocolError, header, method, version},
};
use body::{ResponseBody, ServerSentEvents};
use connection::{ClientConnection, FlushNotifier};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::HeaderValue,
    http::request::Parts, server::conn::http1, service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use reply::{HttpReply, events_response, reply_to_request};
use request::{PostedMessages, RequestHead};
use request_error::{RequestError, empty_response, typed_response};
use session::{HttpSession, SessionRegistry};
use std::{convert::Infallible, sync::Arc, time::Duration};
use stream::MessageStream;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// The paths that serve messages.
const PATHS: [&str; 2] = ["/mcp", "/"];

/// The timeout of a request's head, and so the keep-alive timeout of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The interval of the search for idle sessions.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The gateway as an HTTP server.
#[derive(Debug)]
pub struct HttpServer {
    connect: Arc<dyn Connector>,
    authenticator: Authenticator,
    limits: HttpLimits,
    sessions: SessionRegistry,
    /// The connection that all clients without sessions share.
    shared: OnceCell<SharedSession>,
    health: Option<Arc<HealthCheck>>,
}

impl HttpServer {
    /// Serves the servers that `connect` connects to.
    #[must_use]
    pub fn new(
        connect: Arc<dyn Connector>,
        authenticator: Authenticator,
        limits: HttpLimits,
    ) -> Self {
        Self {
            connect,
            authenticator,
            limits,
            sessions: SessionRegistry::default(),
            shared: OnceCell::new(),
            health: None,
        }
    }

    /// Serves the endpoints of the health check too.
    #[must_use]
    pub fn with_health(self, health: Arc<HealthCheck>) -> Self {
        Self {
            health: Some(health),
            ..self
        }
    }

    /// Serves connections until `stop` is cancelled, then lets the requests in progress finish.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let mut idle_checks = interval(IDLE_CHECK_INTERVAL);
        idle_checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.spawn_connection(stream, &graceful),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(ACCEPT_BACKOFF).await;
                    }
                },
                _ = idle_checks.tick() => spawn_end(self.sessions.take_idle()),
                () = stop.cancelled() => break,
            }
        }
        // New connections are refused while the open ones finish.
        drop(listener);
        self.shut_down(graceful).await;
    }

    fn spawn_connection(self: &Arc<Self>, stream: TcpStream, graceful: &GracefulShutdown) {
        let Some(permit) = self.limits.acquire_connection() else {
            tracing::warn!(
                "a connection is refused: there are as many as `connections_max` allows"
            );
            return;
        };
        // Responses are short, so waiting to fill a packet only delays them. A socket that cannot
        // do without is as correct.
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(self);
        let flushes = FlushNotifier::default();
        let io = TokioIo::new(ClientConnection::new(stream, flushes.clone()));
        let service =
            service_fn(move |request| Arc::clone(&server).handle(request, flushes.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(io, service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's connection broke");
            }
            drop(permit);
        });
    }

    async fn shut_down(&self, graceful: GracefulShutdown) {
        // Sessions go first: their streams keep the connections open that the graceful shutdown
        // waits for.
        let sessions = self.sessions.take_all();
        let ends = sessions.iter().map(|session| session.end());
        futures_util::future::join_all(ends).await;
        if let Some(shared) = self.shared.get() {
            shared.close().await;
        }
        graceful.shutdown().await;
    }

    async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let (parts, body) = request.into_parts();
        let response = self.respond(&parts, body, flushes).await;
        Ok(response.unwrap_or_else(RequestError::into_response))
    }

    async fn respond(
        &self,
        parts: &Parts,
        body: Incoming,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if let Some(health) = &self.health
            && let Some(endpoint) = HealthEndpoint::from_path(parts.uri.path())
        {
            return self.respond_health(health, endpoint, parts).await;
        }
        // Authentication comes first: an unauthenticated client does not even learn which paths
        // exist.
        let caller = self.authenticator.authenticate(parts)?;
        self.limits.check_rate_limit(&caller.tenant)?;
        if !PATHS.contains(&parts.uri.path()) {
            return Err(RequestError::invalid(
                StatusCode::NOT_FOUND,
                "nothing is served at this address: use /mcp",
            ));
        }
        let head = RequestHead::read(parts)?;
        match parts.method {
            Method::POST => {
                let bytes_max = self.limits.body_bytes_max;
                let posted = PostedMessages::read(parts, body, bytes_max).await?;
                self.respond_post(caller, &head, posted, flushes).await
            }
            Method::GET => self.respond_get(&caller, &head, flushes).await,
            Method::DELETE => self.respond_delete(&caller, &head),
            _ => Err(RequestError::method_not_allowed()),
        }
    }

    async fn respond_health(
        &self,
        health: &HealthCheck,
        endpoint: HealthEndpoint,
        parts: &Parts,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if endpoint.needs_authentication() {
            self.authenticator.check_head(parts)?;
        }
        let page = health.respond(endpoint).await;
        let body = ResponseBody::from_text(page.text);
        Ok(typed_response(page.status, page.content_type, body))
    }

    async fn respond_post(
        &self,
        caller: CallerIdentity,
        head: &RequestHead,
        posted: PostedMessages,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if let Some(unreadable) = posted.only_unreadable() {
            let message = unreadable.error.response(unreadable.id.as_ref());
            return Err(RequestError::with_message(
                StatusCode::BAD_REQUEST,
                &message,
            ));
        }
        if posted.is_batch && head.is_at_least(version::V2025_06_18) {
            let what = "this protocol version has no batches: send the messages one by one";
            return Err(RequestError::invalid(StatusCode::BAD_REQUEST, what));
        }
        if head.session.is_some() {
            let session = self.find_session(&caller, head)?;
            let reply = self.post_to_session(&session, head, posted, flushes).await;
            return Ok(reply.response);
        }
        match posted.single() {
            Some(message) if message.asks(method::INITIALIZE) => {
                self.open_session(caller, head, posted, flushes).await
            }
            Some(message) => {
                self.post_without_session(caller, head, message.clone(), flushes)
                    .await
            }
            None => Err(RequestError::invalid(
                StatusCode::BAD_REQUEST,
                "the session header is missing: initialize first",
            )),
        }
    }

    fn find_session(
        &self,
        caller: &CallerIdentity,
        head: &RequestHead,
    ) -> Result<Arc<HttpSession>, RequestError> {
        let id = head.session.as_deref().unwrap_or_default();
        self.sessions
            .find(id, caller)
            .ok_or_else(RequestError::session_not_found)
    }

    /// Opens a session, unless the server rejects the `initialize` request.
    async fn open_session(
        &self,
        caller: CallerIdentity,
        head: &RequestHead,
        posted: PostedMessages,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if self.sessions.count() >= self.limits.sessions_max {
            return Err(RequestError::unavailable(
                "too many sessions are open: end one, or try again later",
            ));
        }
        let session = HttpSession::open(&*self.connect, caller).await?;
        let mut reply = self.post_to_session(&session, head, posted, flushes).await;
        if let Some(message) = &reply.single
            && message.kind() == MessageKind::Error
        {
            // The rejected session was never registered: its id is of no use.
            spawn_end(vec![session]);
            return Ok(reply.response);
        }
        self.sessions.add(&session);
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            reply.response.headers_mut().insert(header::SESSION, id);
        }
        Ok(reply.response)
    }

    async fn post_to_session(
        &self,
        session: &Arc<HttpSession>,
        head: &RequestHead,
        posted: PostedMessages,
        flushes: FlushNotifier,
    ) -> HttpReply {
        let request_ids = posted.request_ids();
        let is_batch = posted.is_batch;
        let needs_no_response = request_ids.is_empty() && posted.messages.iter().all(Result::is_ok);
        let stream = MessageStream::for_requests(session.next_stream_number(), request_ids);
        // Without a response there is no stream: the server's own messages go to the session's
        // stream.
        let reader = if needs_no_response {
            None
        } else {
            stream.start_reading(None)
        };
        if reader.is_some() {
            // Before the messages are sent, because their progress may be reported at once.
            let messages: Vec<_> = posted.messages.iter().flatten().collect();
            session.add_open_stream(&messages, &stream);
        }
        let client = Arc::<MessageStream>::clone(&stream);
        let context = RequestContext {
            headers: Arc::clone(&head.forwarded),
            ..RequestContext::new(client, Arc::clone(&session.caller))
        };
        for message in posted.messages {
            match message {
                Ok(message) => session.forward(message, &context).await,
                Err(unreadable) => {
                    let response = unreadable.error.response(unreadable.id.as_ref());
                    // A closed stream means that the client has disconnected: the reader below
                    // notices it.
                    let _ = context.client.send(response).await;
                }
            }
        }
        let Some(reader) = reader else {
            stream.end();
            return HttpReply {
                response: empty_response(StatusCode::ACCEPTED),
                single: None,
            };
        };
        let reply = reply_to_request(reader, head, is_batch, flushes, None).await;
        if reply.single.is_none() {
            // Events have ids, so the client may resume this stream after a broken connection.
            session.keep_stream(&stream);
        }
        reply
    }

    /// Serves a message without a session, as the newer protocol version sends it.
    async fn post_without_session(
        &self,
        caller: CallerIdentity,
        head: &RequestHead,
        message: Message,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, RequestError> {
        check_sessionless(head, &message)?;
        let shared = self.shared().await?;
        let is_request = message.kind() == MessageKind::Request;
        let request_ids: Vec<_> = if is_request {
            message.id().cloned().into_iter().collect()
        } else {
            Vec::new()
        };
        let needs_response = !request_ids.is_empty();
        // Without a session no stream can be resumed, so all have the same number.
        let stream = MessageStream::for_requests(0, request_ids);
        let Some(reader) = stream.start_reading(None) else {
            return Err(RequestError::session_not_found());
        };
        let context = RequestContext {
            headers: Arc::clone(&head.forwarded),
            repeats_arguments: true,
            ..RequestContext::new(Arc::<MessageStream>::clone(&stream), Arc::new(caller))
        };
        let cancellation = context.cancellation.clone();
        shared.forward(message, &context).await;
        if !needs_response {
            return Ok(empty_response(StatusCode::ACCEPTED));
        }
        let reply = reply_to_request(reader, head, false, flushes, Some(cancellation)).await;
        Ok(reply.response)
    }

    async fn shared(&self) -> Result<&SharedSession, ConnectError> {
        self.shared
            .get_or_try_init(|| SharedSession::connect(&*self.connect))
            .await
    }

    /// Reads a session's own stream, or resumes the stream of a request.
    async fn respond_get(
        &self,
        caller: &CallerIdentity,
        head: &RequestHead,
        flushes: FlushNotifier,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if head.session.is_none() {
            return Err(RequestError::method_not_allowed());
        }
        if !head.accepts_events {
            let what = "this stream consists of events: send `Accept: text/event-stream`";
            return Err(RequestError::invalid(StatusCode::NOT_ACCEPTABLE, what));
        }
        let session = self.find_session(caller, head)?;
        let after = head.last_event.as_deref();
        let Some(reader) = session.start_reading(after) else {
            return Err(RequestError::invalid(
                StatusCode::BAD_REQUEST,
                "the messages after this event are no longer kept",
            ));
        };
        if after.is_none() {
            // The reader is there already, so no message is written to a stream without one.
            session.listen().await;
        }
        let events = ServerSentEvents::new(reader, flushes, true, None);
        Ok(events_response(events, head))
    }

    fn respond_delete(
        &self,
        caller: &CallerIdentity,
        head: &RequestHead,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if head.session.is_none() {
            return Err(RequestError::method_not_allowed());
        }
        let session = self.find_session(caller, head)?;
        self.sessions.remove(&session);
        spawn_end(vec![session]);
        Ok(empty_response(StatusCode::OK))
    }
}

/// Checks that a message without a session declares its protocol version, and that the headers
/// agree with it.
fn check_sessionless(head: &RequestHead, message: &Message) -> Result<(), RequestError> {
    let declares_version = message.own_version().is_some();
    if !declares_version && !head.is_at_least(version::V2026_07_28) {
        let what = "the session header is missing: initialize, and send `Mcp-Session-Id` with all later requests";
        return Err(RequestError::invalid(StatusCode::BAD_REQUEST, what));
    }
    let bad_request = |error: &ProtocolError| {
        RequestError::with_message(StatusCode::BAD_REQUEST, &error.response(message.id()))
    };
    head.check_agreement(message)
        .map_err(|error| bad_request(&error))?;
    if !declares_version && message.kind() == MessageKind::Request {
        let what = "the request does not declare its protocol version: write it into its `_meta`";
        return Err(bad_request(&ProtocolError::new(
            ErrorCode::InvalidParams,
            what,
        )));
    }
    Ok(())
}

/// Ends sessions in the background.
fn spawn_end(sessions: Vec<Arc<HttpSession>>) {
    for session in sessions {
        tokio::spawn(async move { session.end().await });
    }
}
