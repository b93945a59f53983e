//! Components that would keep a compiler busy, or fill its memory, are refused before they are compiled.

use crate::{assemble::Guest, engine, load};
use semel::engine::LoadError;
use serde_json::json;

async fn refused_for(name: &str, guest: Guest) {
    let fault = load(&engine(), &guest).await.unwrap_err();
    assert!(
        matches!(&fault, LoadError::TooLarge { name: found, .. } if *found == name),
        "{name}: {fault}"
    );
}

async fn bytes_refused_for(name: &str, bytes: &[u8]) {
    let fault = engine().load(bytes, json!({})).await.unwrap_err();
    assert!(
        matches!(&fault, LoadError::TooLarge { name: found, .. } if *found == name),
        "{name}: {fault}"
    );
}

#[tokio::test]
async fn too_many_functions() {
    refused_for(
        "functions",
        Guest::lean().with("items", "(func)".repeat(50_001)),
    )
    .await;
}

#[tokio::test]
async fn a_function_that_is_too_long() {
    let long = format!("(func {})", "(drop (i32.const 1))".repeat(100_000));
    refused_for("body-bytes", Guest::lean().with("items", long)).await;
}

#[tokio::test]
async fn too_many_variables() {
    refused_for(
        "locals",
        Guest::lean().with("items", format!("(func (local {}))", "i32 ".repeat(5_001))),
    )
    .await;
}

#[tokio::test]
async fn blocks_that_lie_too_deep() {
    let nested = format!("(func {} {})", "block ".repeat(1_001), "end ".repeat(1_001));
    refused_for("nesting", Guest::lean().with("items", nested)).await;
}

#[tokio::test]
async fn variables_that_pass_through_too_many_blocks() {
    let merging = format!(
        "(func (local {}) {})",
        "i32 ".repeat(4_000),
        "(block)".repeat(2_000)
    );
    refused_for("merges", Guest::lean().with("items", merging)).await;
}

#[tokio::test]
async fn branches_that_nobody_can_follow() {
    let branching = format!(
        "(func (param i32) {})",
        "(loop (br_if 0 (local.get 0)))".repeat(10_000)
    );
    refused_for("tangle", Guest::lean().with("items", branching)).await;
    // Each of them is small enough, and together they are not.
    let one = format!(
        "(func (param i32) {})",
        "(loop (br_if 0 (local.get 0)))".repeat(1_000)
    );
    refused_for("tangle", Guest::lean().with("items", one.repeat(100))).await;
    let table = format!("(br_table {} (local.get 0))", "0 ".repeat(1_000));
    refused_for(
        "tangle",
        Guest::lean().with("items", format!("(func (param i32) {})", table.repeat(50))),
    )
    .await;
}

#[tokio::test]
async fn functions_that_take_or_give_too_much() {
    refused_for(
        "parameters",
        Guest::lean().with("items", format!("(func (param {}))", "i32 ".repeat(65))),
    )
    .await;
    let giving = format!("(func (result {}) unreachable)", "i32 ".repeat(5));
    refused_for("results", Guest::lean().with("items", giving)).await;
}

#[tokio::test]
async fn too_many_types_and_items() {
    let types: String = (0..20_001).map(|_| "(type (func))").collect();
    refused_for("types", Guest::lean().with("items", types)).await;
    refused_for(
        "items",
        Guest::lean().with("items", "(global i32 (i32.const 0))".repeat(100_001)),
    )
    .await;
}

#[tokio::test]
async fn components_that_multiply_themselves() {
    let nested =
        wat::parse_str("(component (component (component (component (component)))))").unwrap();
    bytes_refused_for("component-nesting", &nested).await;
    let many = format!(
        "(component (core module $m) {})",
        "(core instance (instantiate $m))".repeat(65)
    );
    bytes_refused_for("instances", &wat::parse_str(many).unwrap()).await;
}

#[tokio::test]
async fn components_that_call_each_other() {
    let composed = r#"(component
        (component $inner
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
        (instance $inside (instantiate $inner))
        (core func (canon lower (func $inside "f")))
        (component $nothing)
        (instance $empty (instantiate $nothing))
        (export "semel:policy/about@0.1.0" (instance $empty))
        (export "semel:policy/key@0.1.0" (instance $empty))
        (export "semel:policy/retry@0.1.0" (instance $empty)))"#;
    let fault = engine()
        .load(&wat::parse_str(composed).unwrap(), json!({}))
        .await
        .unwrap_err();
    assert_eq!(fault, LoadError::Composed);
}

/// A section, by its number.
pub(crate) fn section(number: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![number];
    let mut length = content.len();
    while length >= 0x80 {
        section.push(0x80 | u8::try_from(length & 0x7f).unwrap());
        length >>= 7;
    }
    section.push(u8::try_from(length).unwrap());
    section.extend(content);
    section
}

/// A type that holds a type that holds a type. A parser that calls itself for each runs out of stack, which ends the
/// process and not only the call.
fn deep_type() -> Vec<u8> {
    let mut types = vec![0x01];
    types.extend([0x42, 0x01, 0x01].repeat(1_000_000));
    types
}

#[tokio::test]
async fn types_that_lie_too_deep() {
    let component = [&b"\0asm\x0d\0\x01\0"[..], &section(7, &deep_type())].concat();
    bytes_refused_for("type nesting, fixed", &component).await;
}

#[tokio::test]
async fn types_that_lie_too_deep_in_what_a_module_says_of_itself() {
    let name = b"\x0ecomponent-type";
    let said = [&name[..], b"\0asm\x0d\0\x01\0", &section(7, &deep_type())].concat();
    let module = [&b"\0asm\x01\0\0\0"[..], &section(0, &said)].concat();
    bytes_refused_for("type nesting, fixed", &module).await;
}
