//! Front ends: they read a client's messages from a transport and forward them to the topmost
//! [`crate::layer::Upstream`].

pub mod http;
pub mod std_streams;
pub mod stdio;
