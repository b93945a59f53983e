//! The Rust form of `wit/policy.wit`: generated, and re-exported by hand from the crate's root.

#![allow(unused_qualifications, missing_docs, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "policy",
    pub_export_macro: true,
    export_macro_name: "export_policy",
    default_bindings_module: "semel_guest::bindings",
    additional_derives: [PartialEq, Eq],
});
