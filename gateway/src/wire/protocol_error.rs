//! Protocol errors that the gateway itself responds with. A text for a model is a result instead,
//! because clients do not show protocol errors to their models.

use super::{Message, RequestId, version};
use serde_json::{Value, json};

/// The code of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The text is not JSON.
    Parse,
    /// The JSON is not a message.
    InvalidRequest,
    /// There is no such method.
    MethodNotFound,
    /// The parameters are not valid.
    InvalidParams,
    /// The gateway failed.
    Internal,
    /// A header contradicts the message, since 2026-07-28.
    HeaderMismatch,
    /// The request needs a capability that its client has not declared, since 2026-07-28.
    MissingCapability,
    /// The gateway does not support the protocol version, since 2026-07-28.
    UnsupportedVersion,
    /// No response will come; the request may have had an effect.
    Unanswered,
}

impl ErrorCode {
    /// The number in a message. [`Unanswered`](Self::Unanswered) is the gateway's own, outside the
    /// ranges that JSON-RPC and MCP reserve.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Parse => -32_700,
            Self::InvalidRequest => -32_600,
            Self::MethodNotFound => -32_601,
            Self::InvalidParams => -32_602,
            Self::Internal => -32_603,
            Self::HeaderMismatch => -32_020,
            Self::MissingCapability => -32_021,
            Self::UnsupportedVersion => -32_022,
            Self::Unanswered => -31_001,
        }
    }
}

/// An error of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProtocolError {
    /// The code.
    pub code: ErrorCode,
    /// The cause, and the remedy.
    pub message: String,
    /// Data for programs.
    pub data: Option<Value>,
}

impl ProtocolError {
    /// Creates an error without data.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The error for a protocol version that the gateway does not support.
    pub(crate) fn unsupported_version(requested: &str) -> Self {
        let message = format!(
            "the protocol version `{requested}` is not supported: use one of {}",
            version::ALL.join(", ")
        );
        let data = json!({ "supported": version::ALL, "requested": requested });
        Self {
            data: Some(data),
            ..Self::new(ErrorCode::UnsupportedVersion, message)
        }
    }

    /// The response with this error; `None`: the request's id is not known.
    #[must_use]
    pub fn response(&self, id: Option<&RequestId>) -> Message {
        let mut error = json!({ "code": self.code.number(), "message": self.message });
        if let (Some(members), Some(data)) = (error.as_object_mut(), &self.data) {
            members.insert("data".to_owned(), data.clone());
        }
        Message::response(id, "error", &error.to_string())
    }
}
