//! Where clients come in: they turn a transport into messages that are handed to the topmost [`crate::link::Upstream`].

pub mod http;
pub mod own;
pub mod stdio;
