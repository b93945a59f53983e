//! What is no policy is refused, with the reason and the cure.

use crate::{
    assemble::{Guest, component_of, contract, for_contract},
    call, engine, engine_with, load,
};
use semel::{
    engine::{Engine, EngineError, Limits, LoadError},
    model::Derivation,
};
use serde_json::json;

async fn refused(bytes: &[u8]) -> LoadError {
    engine().load(bytes, json!({})).await.unwrap_err()
}

#[tokio::test]
async fn a_plain_module_built_for_the_contract_is_made_a_component() {
    let policy = engine()
        .load(&Guest::lean().module(), json!({}))
        .await
        .unwrap();
    assert!(policy.inspection().from_module);
    assert_eq!(policy.derive(&call()), Ok(Derivation::Pass));
}

#[tokio::test]
async fn a_plain_module_of_anything_else_is_refused() {
    let fault = refused(&wat::parse_str("(module)").unwrap()).await;
    assert!(matches!(fault, LoadError::Module { .. }), "{fault}");
    assert!(fault.to_string().contains("semel-guest"), "{fault}");
}

#[tokio::test]
async fn what_is_not_webassembly_is_refused() {
    for bytes in [
        &b""[..],
        b"\0asm",
        b"#!/bin/sh\n",
        b"(component)",
        &[0xff; 4096],
    ] {
        assert_eq!(refused(bytes).await, LoadError::NotWebAssembly);
    }
}

#[tokio::test]
async fn a_component_cut_short_anywhere_is_refused() {
    let whole = Guest::lean().component();
    let engine = engine();
    for end in (0..whole.len()).step_by(37) {
        engine.load(&whole[..end], json!({})).await.unwrap_err();
    }
    engine.load(&whole, json!({})).await.unwrap();
}

#[tokio::test]
async fn imports_are_named_with_the_cure() {
    let clock = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))"#;
    let fault = refused(&wat::parse_str(clock).unwrap()).await;
    let LoadError::Imports { imports, cure } = &fault else {
        panic!("{fault}")
    };
    assert_eq!(imports, &["wasi:clocks/wall-clock@0.2.0"]);
    assert!(cure.contains("wasm32-unknown-unknown"), "{fault}");
}

#[tokio::test]
async fn imports_of_a_plain_module_are_named_with_the_cure() {
    let items =
        r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let text = Guest::lean()
        .text()
        .replacen("(module", &format!("(module {items}"), 1);
    let fault = refused(&for_contract(&text, &contract())).await;
    let LoadError::Imports { imports, .. } = &fault else {
        panic!("{fault}")
    };
    assert_eq!(imports, &["wasi_snapshot_preview1::random_get"]);
}

#[tokio::test]
async fn another_version_of_the_contract_is_named() {
    let later = |text: String| text.replace("@0.1.0", "@0.2.0");
    let bytes = component_of(&for_contract(
        &later(Guest::lean().text()),
        &later(contract()),
    ));
    let fault = refused(&bytes).await;
    let LoadError::Version {
        found,
        spoken: "0.1.0",
    } = &fault
    else {
        panic!("{fault}")
    };
    assert!(
        found.starts_with("semel:policy/") && found.ends_with("@0.2.0"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_later_patch_of_the_contract_is_understood() {
    let later = |text: String| text.replace("@0.1.0", "@0.1.7");
    let bytes = component_of(&for_contract(
        &later(Guest::lean().text()),
        &later(contract()),
    ));
    let policy = engine().load(&bytes, json!({})).await.unwrap();
    assert_eq!(policy.derive(&call()), Ok(Derivation::Pass));
}

#[tokio::test]
async fn a_component_without_the_contract_is_told_what_is_missing() {
    let fault = refused(&wat::parse_str("(component)").unwrap()).await;
    let LoadError::Exports { missing } = &fault else {
        panic!("{fault}")
    };
    assert_eq!(missing.len(), 3);
}

#[tokio::test]
async fn the_right_names_with_other_types_are_refused() {
    let wit = contract().replace(
        "describe: func() -> description;",
        "describe: func() -> u32;",
    );
    let fault = refused(&component_of(&for_contract(&Guest::lean().text(), &wit))).await;
    assert!(matches!(fault, LoadError::Contract { .. }), "{fault}");
}

#[tokio::test]
async fn a_description_that_cannot_be_is_refused() {
    // A name of no bytes.
    let nameless = Guest::lean().with("data", "(data (i32.const 1028) (i32 0))");
    let fault = load(&engine(), &nameless).await.unwrap_err();
    assert!(matches!(fault, LoadError::Description { .. }), "{fault}");
}

#[tokio::test]
async fn too_large_is_refused_before_it_is_read() {
    let engine = engine_with(|limits| limits.load.component_bytes = 100);
    let fault = engine.load(&[0; 101], json!({})).await.unwrap_err();
    assert_eq!(
        fault,
        LoadError::TooLarge {
            what: "bytes",
            found: 101,
            limit: 100,
            name: "component-bytes"
        }
    );
}

#[tokio::test]
async fn settings_that_are_too_large_are_refused() {
    let engine = engine_with(|limits| limits.load.settings_bytes = 10);
    let fault = engine
        .load(&Guest::lean().component(), json!({ "a": "0123456789" }))
        .await
        .unwrap_err();
    assert!(
        matches!(
            fault,
            LoadError::TooLarge {
                name: "settings-bytes",
                ..
            }
        ),
        "{fault}"
    );
}

#[tokio::test]
async fn every_static_limit_is_kept() {
    let exceeded = async |name: &'static str, change: fn(&mut Limits)| {
        let fault = load(&engine_with(change), &Guest::lean())
            .await
            .unwrap_err();
        assert!(
            matches!(fault, LoadError::TooLarge { name: found, .. } if found == name),
            "{name}: {fault}"
        );
    };
    exceeded("functions", |limits| limits.load.functions = 1).await;
    exceeded("body-bytes", |limits| limits.load.body_bytes = 1).await;
    exceeded("types", |limits| limits.load.types = 1).await;
    exceeded("parameters", |limits| limits.load.parameters = 1).await;
    exceeded("items", |limits| limits.load.items = 1).await;
    exceeded("instances", |limits| limits.load.instances = 1).await;
    exceeded("memory-bytes", |limits| {
        limits.decision.memory_bytes = 65_536
    })
    .await;
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let refused = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        Engine::new(limits).unwrap_err()
    };
    assert!(matches!(
        refused(|limits| limits.decision.fuel = 0),
        EngineError::Limit { name: "fuel", .. }
    ));
    assert!(matches!(
        refused(|limits| limits.load.locals = 0),
        EngineError::Limit { name: "locals", .. }
    ));
    let fault = refused(|limits| limits.decision.memory_bytes = 5 << 30);
    assert_eq!(
        fault.to_string(),
        "the limit `memory-bytes` is 5368709120: set it between 1 and 4294967296"
    );
}

/// The library that reads what a module says of its contract calls itself for ever where packages need each other in a
/// circle, which ends the process and not only the call.
#[tokio::test]
async fn a_module_whose_contract_is_of_two_packages_is_refused_before_it_is_read() {
    let (engine, module, name) = (engine(), Guest::lean().module(), b"semel:policy/");
    let mut refused = 0;
    for at in (0..module.len() - name.len()).filter(|at| module[*at..].starts_with(name)) {
        let mut altered = module.clone();
        altered[at + name.len() - 2] = b'x';
        if let Err(LoadError::Module { reason }) = engine.load(&altered, json!({})).await {
            refused += usize::from(reason.contains("`semel:policx@0.1.0`"));
        }
    }
    assert!(refused > 1, "{refused}");
}
