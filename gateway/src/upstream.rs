//! Connections to servers: the lowest layer.

mod child;
mod http;
mod restarting;
mod trace;
mod waiting;

pub use child::{Child, StartFault};
pub use http::{Endpoint, EndpointFault, Http};
pub use restarting::Restarting;
