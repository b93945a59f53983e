//! The types of the contract, as wasmtime's own generator reads them. Its functions are looked up in `exports`.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    unused_qualifications,
    clippy::all,
    reason = "generated"
)]

wasmtime::component::bindgen!({ path: "wit", world: "policy" });
