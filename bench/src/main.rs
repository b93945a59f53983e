//! What a call through Semel costs, beside the same work without it.

fn main() {}
