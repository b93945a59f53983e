//! Responses that are no messages of a server.

use super::body::Body;
use crate::{
    access::Denied,
    link::NoServer,
    wire::{Fault, FaultCode, Message},
};
use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

/// A request that is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: Bytes,
    /// A header besides.
    header: Option<(header::HeaderName, &'static str)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, fault: Fault) -> Self {
        Self::saying(status, &fault.response(None))
    }

    pub(super) fn saying(status: StatusCode, message: &Message) -> Self {
        Self {
            status,
            text: message.bytes().clone(),
            header: None,
        }
    }

    pub(super) fn invalid(status: StatusCode, what: impl Into<String>) -> Self {
        Self::new(status, Fault::new(FaultCode::InvalidRequest, what))
    }

    /// There is no such session, or it is somebody else's: which of both is not told.
    pub(super) fn no_session() -> Self {
        Self::invalid(
            StatusCode::NOT_FOUND,
            "there is no such session: initialize a new one",
        )
    }

    /// There is no room.
    pub(super) fn busy(what: impl Into<String>) -> Self {
        let refusal = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Fault::new(FaultCode::Internal, what),
        );
        Self {
            header: Some((header::RETRY_AFTER, "5")),
            ..refusal
        }
    }

    /// The address does not know the method.
    pub(super) fn method() -> Self {
        let what = "this method is not served here: POST messages, GET a session's stream, DELETE a session";
        Self {
            header: Some((header::ALLOW, "GET, POST, DELETE")),
            ..Self::invalid(StatusCode::METHOD_NOT_ALLOWED, what)
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut response = json(self.status, self.text);
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let header = match denied.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        Self {
            header,
            ..Self::invalid(denied.status, denied.message)
        }
    }
}

impl From<NoServer> for Refusal {
    fn from(no_server: NoServer) -> Self {
        Self::busy(no_server.to_string())
    }
}

/// A response that is one JSON text.
pub(super) fn json(status: StatusCode, text: Bytes) -> Response<Body> {
    with_body(status, "application/json", Body::text(text))
}

/// A response with a body of this kind.
pub(super) fn with_body(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
