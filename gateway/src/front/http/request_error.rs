//! Errors of HTTP requests, and responses that carry no message of a server.

use super::body::ResponseBody;
use crate::{
    access::AccessError,
    layer::ConnectError,
    wire::{ErrorCode, Message, ProtocolError},
};
use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

/// The error of a request that is not served, as a status and a JSON-RPC error.
#[derive(Debug)]
pub(super) struct RequestError {
    status: StatusCode,
    text: Bytes,
    header: Option<(header::HeaderName, &'static str)>,
}

impl RequestError {
    pub(super) fn new(status: StatusCode, error: ProtocolError) -> Self {
        Self::with_message(status, &error.response(None))
    }

    pub(super) fn with_message(status: StatusCode, message: &Message) -> Self {
        Self {
            status,
            text: message.bytes().clone(),
            header: None,
        }
    }

    pub(super) fn invalid(status: StatusCode, what: impl Into<String>) -> Self {
        Self::new(status, ProtocolError::new(ErrorCode::InvalidRequest, what))
    }

    /// The error of an unknown session, or of another tenant's: the response does not show which.
    pub(super) fn session_not_found() -> Self {
        Self::invalid(
            StatusCode::NOT_FOUND,
            "there is no such session: initialize a new one",
        )
    }

    /// The error of a server at its limits.
    pub(super) fn unavailable(what: impl Into<String>) -> Self {
        let error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ProtocolError::new(ErrorCode::Internal, what),
        );
        Self {
            header: Some((header::RETRY_AFTER, "5")),
            ..error
        }
    }

    /// The error of a method that the address does not allow.
    pub(super) fn method_not_allowed() -> Self {
        let what = "this method is not served here: POST messages, GET a session's stream, DELETE a session";
        Self {
            header: Some((header::ALLOW, "GET, POST, DELETE")),
            ..Self::invalid(StatusCode::METHOD_NOT_ALLOWED, what)
        }
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = json_response(self.status, self.text);
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<AccessError> for RequestError {
    fn from(error: AccessError) -> Self {
        let header = match error.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        Self {
            header,
            ..Self::invalid(error.status, error.message)
        }
    }
}

impl From<ConnectError> for RequestError {
    fn from(no_server: ConnectError) -> Self {
        Self::unavailable(no_server.to_string())
    }
}

/// A response that is one JSON text.
pub(super) fn json_response(status: StatusCode, text: Bytes) -> Response<ResponseBody> {
    typed_response(status, "application/json", ResponseBody::from_text(text))
}

/// A response with a body of this content type.
pub(super) fn typed_response(
    status: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response without a body.
pub(super) fn empty_response(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}
