//! Connections to servers: the lowest layer.

mod child;
mod waiting;

pub use child::{Child, StartFault};
