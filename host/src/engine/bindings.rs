//! The contract, as wasmtime's own generator reads it.
#![allow(missing_docs, unreachable_pub, reason = "generated")]

wasmtime::component::bindgen!({ path: "wit", world: "policy" });
