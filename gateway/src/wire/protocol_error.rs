//! Errors of the protocol, as the gateway itself answers them. What a model should read is no error but a result.

use super::{Message, RequestId, version};
use serde_json::{Value, json};

/// The code of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The text is no JSON.
    Parse,
    /// The JSON is no message.
    InvalidRequest,
    /// Nobody here knows the method.
    MethodNotFound,
    /// The parameters are not what the method needs.
    InvalidParams,
    /// Something is wrong on this side.
    Internal,
    /// A header does not say what the message says, since 2026-07-28.
    HeaderMismatch,
    /// The request needs something that its client has not declared, since 2026-07-28.
    MissingCapability,
    /// Nobody here speaks this version of the protocol, since 2026-07-28.
    UnsupportedVersion,
    /// No response will come: whether the request had an effect is not known.
    Unanswered,
}

impl ErrorCode {
    /// The number on the wire. Our own lies outside what JSON-RPC and MCP reserve.
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
    /// The message: the cause, and the remedy.
    pub message: String,
    /// Data for programs.
    pub data: Option<Value>,
}

impl ProtocolError {
    /// An error of this kind.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The error of a version that is not spoken here.
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        let message = format!(
            "the protocol version `{requested}` is not spoken here: use one of {}",
            version::ALL.join(", ")
        );
        let data = json!({ "supported": version::ALL, "requested": requested });
        Self {
            data: Some(data),
            ..Self::new(ErrorCode::UnsupportedVersion, message)
        }
    }

    /// The response that says so; without an id where the request's is not known.
    #[must_use]
    pub fn response(&self, id: Option<&RequestId>) -> Message {
        let mut error = json!({ "code": self.code.number(), "message": self.message });
        if let (Some(members), Some(data)) = (error.as_object_mut(), &self.data) {
            members.insert("data".to_owned(), data.clone());
        }
        Message::response(id, "error", &error.to_string())
    }
}
