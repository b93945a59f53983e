//! JSON-RPC messages as MCP sends them: read just far enough to know where they go, and passed on as they came.
//!
//! A message keeps its text. What is changed is changed in place ([`JsonMembers`]), so that order, spelling and digits of
//! everything else stay. Nothing here knows a transport, a session, or what a method means.

mod header_text;
mod id;
mod members;
mod message;
mod names;
mod protocol_error;

pub(crate) use header_text::{decoded, encoded};
pub use id::RequestId;
pub use members::JsonMembers;
pub use message::{InvalidMessage, Message, MessageKind};
pub use names::{header, meta, method, version};
pub use protocol_error::{ErrorCode, ProtocolError};
