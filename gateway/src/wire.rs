//! JSON-RPC messages of MCP, parsed only as far as routing needs.
//!
//! A message keeps its text. A change is made in place ([`JsonMembers`]), so that order, spelling and digits of all
//! else stay. Nothing here knows a transport, a session, or the meaning of a method.

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
