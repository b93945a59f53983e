//! Connections to servers: the lowest layer.

mod child;
mod http;
mod pending_responses;
mod restarting_child;
mod trace_context;

pub use http::{EndpointError, HttpUpstream, ServerEndpoint};
pub(crate) use restarting_child::RestartingChild;
