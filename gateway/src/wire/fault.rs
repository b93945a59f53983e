//! Errors of the protocol, as the gateway itself answers them. What a model should read is no error but a result.

use super::{Id, Message};
use serde_json::json;

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
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
    /// No response will come: whether the request had an effect is not known.
    Unanswered,
}

impl FaultCode {
    /// The number on the wire. Our own lies outside what JSON-RPC and MCP reserve.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Parse => -32_700,
            Self::InvalidRequest => -32_600,
            Self::MethodNotFound => -32_601,
            Self::InvalidParams => -32_602,
            Self::Internal => -32_603,
            Self::Unanswered => -31_001,
        }
    }
}

/// An error of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind.
    pub code: FaultCode,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Fault {
    /// An error of this kind.
    #[must_use]
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The response that says so; without an id where the request's is not known.
    #[must_use]
    pub fn response(&self, id: Option<&Id>) -> Message {
        let error = json!({ "code": self.code.number(), "message": self.message }).to_string();
        Message::response(id, "error", &error)
    }
}
