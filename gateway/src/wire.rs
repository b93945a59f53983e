//! JSON-RPC messages of MCP, parsed only as far as routing needs.
//!
//! A [`Message`] keeps its text. A change is spliced into it, so that order, spelling and digits of
//! all else stay. Nothing here knows a transport, a session, or the meaning of a method.

mod header_text;
mod id;
mod members;
mod message;
mod names;
mod protocol_error;

pub(crate) use header_text::{decode_header_text, encode_header_text};
pub use id::RequestId;
pub(crate) use members::JsonMembers;
pub use message::{InvalidMessageError, Message, MessageKind};
pub(crate) use names::{header, meta, method, version};
pub use protocol_error::{ErrorCode, ProtocolError};
