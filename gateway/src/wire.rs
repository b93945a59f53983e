//! JSON-RPC messages as MCP sends them: read just far enough to know where they go, and passed on as they came.
//!
//! A message keeps its text. What is changed is changed in place ([`Members`]), so that order, spelling and digits of
//! everything else stay. Nothing here knows a transport, a session, or what a method means.

mod fault;
mod header_text;
mod id;
mod members;
mod message;
mod names;

pub use fault::{Fault, FaultCode};
pub(crate) use header_text::{decoded, encoded};
pub use id::Id;
pub use members::Members;
pub use message::{Kind, Message, Unreadable};
pub use names::{header, meta, method, version};
