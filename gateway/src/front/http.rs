//! Many clients over streamable HTTP, of both eras at one address.
//!
//! A client of the older era opens a session, and has a connection to the server of its own; its going away cancels
//! nothing, and it may come back for what it missed. One of the newer era has no session; all of them share one
//! connection, and who closes a response no longer waits for it. Who may come in, and how much, is decided in
//! [`crate::access`] and [`crate::limits`]. The transport of 2024-11-05 (two addresses) is not served.

mod body;
mod connection;
mod refusal;
mod reply;
mod request;
mod session;
mod stream;

use crate::{
    access::Access,
    health::{Health, Which},
    limits::Limits,
    link::{Caller, Connect, Exchange, NoServer, Upstream},
    sharing::Sharing,
    wire::{Fault, FaultCode, Kind, Message, header, method, version},
};
use body::{Body, Events};
use connection::{Connection, Written};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::HeaderValue,
    http::request::Parts, server::conn::http1, service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use refusal::{Refusal, empty};
use request::{Head, Posted};
use session::{Session, Sessions};
use std::{convert::Infallible, sync::Arc, time::Duration};
use stream::Stream;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// The addresses under which messages are served.
const PATHS: [&str; 2] = ["/mcp", "/"];

/// How long a connection may be without a request.
const HEAD_WITHIN: Duration = Duration::from_secs(90);

/// How often sessions are looked at that nobody uses.
const IDLE_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

/// How long nothing is accepted after that failed, such as for want of descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The gateway as a server of HTTP.
#[derive(Debug)]
pub struct Http {
    connect: Arc<dyn Connect>,
    access: Access,
    limits: Limits,
    sessions: Sessions,
    /// What all clients share that have no session.
    shared: OnceCell<Sharing>,
    /// What is told to whoever runs the gateway.
    health: Option<Arc<Health>>,
}

impl Http {
    /// Serves the servers that `connect` connects to.
    #[must_use]
    pub fn new(connect: Arc<dyn Connect>, access: Access, limits: Limits) -> Self {
        Self {
            connect,
            access,
            limits,
            sessions: Sessions::default(),
            shared: OnceCell::new(),
            health: None,
        }
    }

    /// Tells of its health, too.
    #[must_use]
    pub fn telling(self, health: Arc<Health>) -> Self {
        Self {
            health: Some(health),
            ..self
        }
    }

    /// Serves whoever connects, until it is stopped; then what is under way comes to its end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let mut looks = interval(IDLE_LOOKED_AT_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.accept(stream, &graceful),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
                _ = looks.tick() => end_apart(self.sessions.take_idle()),
                () = stop.cancelled() => break,
            }
        }
        drop(listener);
        self.end(graceful).await;
    }

    fn accept(self: &Arc<Self>, stream: TcpStream, graceful: &GracefulShutdown) {
        let Some(room) = self.limits.connect() else {
            return tracing::warn!(
                "a connection is turned away: there are as many as `connections_max` allows"
            );
        };
        // Answers are short, and whoever waits for one waits for all of it.
        let _ = stream.set_nodelay(true);
        let (http, written) = (Arc::clone(self), Written::default());
        let io = TokioIo::new(Connection::of(stream, written.clone()));
        let service = service_fn(move |request| Arc::clone(&http).answer(request, written.clone()));
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .serve_connection(io, service);
        let served = graceful.watch(served);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "a client's connection broke");
            }
            drop(room);
        });
    }

    async fn end(&self, graceful: GracefulShutdown) {
        let ending = self
            .sessions
            .take_all()
            .into_iter()
            .map(|session| async move { session.end().await });
        futures_util::future::join_all(ending).await;
        if let Some(shared) = self.shared.get() {
            shared.close().await;
        }
        graceful.shutdown().await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        written: Written,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let answered = self.admitted(&parts, body, written).await;
        Ok(answered.unwrap_or_else(Refusal::response))
    }

    async fn admitted(
        &self,
        parts: &Parts,
        body: Incoming,
        written: Written,
    ) -> Result<Response<Body>, Refusal> {
        if let Some((health, which)) = self.health.as_ref().zip(Which::at(parts.uri.path())) {
            return self.page(health, which, parts).await;
        }
        let caller = self.access.admit(parts)?;
        let _entered = self.limits.enter(&caller.tenant)?;
        if !PATHS.contains(&parts.uri.path()) {
            return Err(Refusal::invalid(
                StatusCode::NOT_FOUND,
                "there is nothing at this address: use /mcp",
            ));
        }
        let head = Head::read(parts)?;
        match parts.method {
            Method::POST => {
                let posted = Posted::read(parts, body, self.limits.body_bytes_max).await?;
                self.post(caller, &head, posted, written).await
            }
            Method::GET => self.get(&caller, &head, written).await,
            Method::DELETE => self.delete(&caller, &head),
            _ => Err(Refusal::method()),
        }
    }

    async fn page(
        &self,
        health: &Health,
        which: Which,
        parts: &Parts,
    ) -> Result<Response<Body>, Refusal> {
        if which.is_private() {
            self.access.let_in(parts)?;
        }
        let page = health.page(which).await;
        Ok(refusal::with_body(
            page.status,
            page.kind,
            Body::text(page.text),
        ))
    }

    async fn post(
        &self,
        caller: Caller,
        head: &Head,
        posted: Posted,
        written: Written,
    ) -> Result<Response<Body>, Refusal> {
        if let Some(unreadable) = posted.unreadable() {
            let said = unreadable.fault.response(unreadable.id.as_ref());
            return Err(Refusal::saying(StatusCode::BAD_REQUEST, &said));
        }
        if posted.is_list && head.speaks(version::V2025_06_18) {
            let what =
                "this version of the protocol has no lists of messages: send them one by one";
            return Err(Refusal::invalid(StatusCode::BAD_REQUEST, what));
        }
        if head.session.is_some() {
            let session = self.session(&caller, head)?;
            return Ok(self
                .to_session(&session, head, posted, written)
                .await
                .response);
        }
        match posted.single() {
            Some(message) if message.asks(method::INITIALIZE) => {
                self.open(caller, head, posted, written).await
            }
            Some(message) => {
                self.without_session(caller, head, message.clone(), written)
                    .await
            }
            None => Err(Refusal::invalid(
                StatusCode::BAD_REQUEST,
                "the session's header is missing: initialize first",
            )),
        }
    }

    fn session(&self, caller: &Caller, head: &Head) -> Result<Arc<Session>, Refusal> {
        let id = head.session.as_deref().unwrap_or_default();
        self.sessions
            .find(id, caller)
            .ok_or_else(Refusal::no_session)
    }

    /// Opens a session, unless its server will not have it.
    async fn open(
        &self,
        caller: Caller,
        head: &Head,
        posted: Posted,
        written: Written,
    ) -> Result<Response<Body>, Refusal> {
        if self.sessions.count() >= self.limits.sessions_max {
            return Err(Refusal::busy(
                "there are too many sessions: end one, or come again later",
            ));
        }
        let session = Session::open(&*self.connect, caller).await?;
        let mut reply = self.to_session(&session, head, posted, written).await;
        if reply
            .single
            .is_some_and(|message| message.kind() == Kind::Error)
        {
            end_apart(vec![session]);
            return Ok(reply.response);
        }
        self.sessions.add(&session);
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            reply.response.headers_mut().insert(header::SESSION, id);
        }
        Ok(reply.response)
    }

    async fn to_session(
        &self,
        session: &Arc<Session>,
        head: &Head,
        posted: Posted,
        written: Written,
    ) -> reply::Reply {
        let (asked, is_list) = (posted.asked(), posted.is_list);
        let answers_none = asked.is_empty() && posted.messages.iter().all(Result::is_ok);
        let stream = Stream::answering(session.next_stream(), asked);
        // What answers nothing has no stream: whatever its server says meanwhile goes to the session's own.
        let reading = stream.read(None).filter(|_| !answers_none);
        if reading.is_some() {
            session.answer(
                &posted.messages.iter().flatten().collect::<Vec<_>>(),
                &stream,
            );
        }
        let exchange = Exchange::new(Arc::<Stream>::clone(&stream), Arc::clone(&session.caller));
        let exchange = Exchange {
            headers: Arc::clone(&head.headers),
            ..exchange
        };
        for message in posted.messages {
            match message {
                Ok(message) => session.pass(message, &exchange).await,
                // It is read below.
                Err(unreadable) => {
                    let said = unreadable.fault.response(unreadable.id.as_ref());
                    exchange.client.put(said).await.unwrap_or_default();
                }
            }
        }
        let Some(reading) = reading else {
            stream.end();
            return reply::Reply {
                response: empty(StatusCode::ACCEPTED),
                single: None,
            };
        };
        let reply = reply::to_request(reading, head, is_list, written, None).await;
        if reply.single.is_none() {
            session.keep(&stream);
        }
        reply
    }

    /// A request that stands for itself.
    async fn without_session(
        &self,
        caller: Caller,
        head: &Head,
        message: Message,
        written: Written,
    ) -> Result<Response<Body>, Refusal> {
        let own = message.own_version();
        if own.is_none() && !head.speaks(version::V2026_07_28) {
            let what = "the session's header is missing: initialize, and send `Mcp-Session-Id` with all that follows";
            return Err(Refusal::invalid(StatusCode::BAD_REQUEST, what));
        }
        let said =
            |fault: &Fault| Refusal::saying(StatusCode::BAD_REQUEST, &fault.response(message.id()));
        head.agrees_with(&message).map_err(|fault| said(&fault))?;
        if own.is_none() && message.kind() == Kind::Request {
            let what = "the request does not say which version of the protocol it speaks: say so in its `_meta`";
            return Err(said(&Fault::new(FaultCode::InvalidParams, what)));
        }
        let shared = self.shared().await?;
        let asked: Vec<_> = message
            .id()
            .filter(|_| message.kind() == Kind::Request)
            .cloned()
            .into_iter()
            .collect();
        let is_request = !asked.is_empty();
        let stream = Stream::answering(0, asked);
        let Some(reading) = stream.read(None) else {
            return Err(Refusal::no_session());
        };
        let exchange = Exchange::new(Arc::<Stream>::clone(&stream), Arc::new(caller));
        let exchange = Exchange {
            headers: Arc::clone(&head.headers),
            repeats_arguments: true,
            ..exchange
        };
        let waits = exchange.nobody_waits.clone();
        shared.pass(message, &exchange).await;
        if !is_request {
            return Ok(empty(StatusCode::ACCEPTED));
        }
        Ok(
            reply::to_request(reading, head, false, written, Some(waits))
                .await
                .response,
        )
    }

    async fn shared(&self) -> Result<&Sharing, NoServer> {
        self.shared
            .get_or_try_init(|| Sharing::connect(&*self.connect))
            .await
    }

    /// What no request caused, or the rest of what one did.
    async fn get(
        &self,
        caller: &Caller,
        head: &Head,
        written: Written,
    ) -> Result<Response<Body>, Refusal> {
        if head.session.is_none() {
            return Err(Refusal::method());
        }
        if !head.reads_events {
            let what = "only events can be read here: send `Accept: text/event-stream`";
            return Err(Refusal::invalid(StatusCode::NOT_ACCEPTABLE, what));
        }
        let session = self.session(caller, head)?;
        let after = head.last_event.as_deref();
        let gone = || {
            Refusal::invalid(
                StatusCode::BAD_REQUEST,
                "what comes after this event is no longer kept",
            )
        };
        let reading = session.read(after).ok_or_else(gone)?;
        if after.is_none() {
            session.listen().await;
        }
        Ok(reply::of_events(
            Events::of(reading, written, true, None),
            head,
        ))
    }

    fn delete(&self, caller: &Caller, head: &Head) -> Result<Response<Body>, Refusal> {
        if head.session.is_none() {
            return Err(Refusal::method());
        }
        let session = self.session(caller, head)?;
        self.sessions.remove(&session);
        end_apart(vec![session]);
        Ok(empty(StatusCode::OK))
    }
}

/// Ends sessions while others go on.
fn end_apart(sessions: Vec<Arc<Session>>) {
    for session in sessions {
        tokio::spawn(async move { session.end().await });
    }
}
