//! Files that are not policies, and components that are built to exhaust their host.

use super::*;

/// Is no policy.
pub(super) fn foreign() -> Vec<Case> {
    let whole = lean().component();
    let module = lean().text();
    let imports = |items: &str| {
        for_contract(
            &module.replacen("(module", &format!("(module {items}"), 1),
            &contract(),
        )
    };
    let later = |text: String| text.replace("@0.1.0", "@0.2.0");
    let other_types = contract().replace(
        "describe: func() -> description;",
        "describe: func() -> u32;",
    );
    vec![
        bytes("nothing", "", "load: not-webassembly"),
        bytes("a script", "#!/bin/sh\n", "load: not-webassembly"),
        bytes(
            "a header and noise",
            [&b"\0asm\x0d\0\x01\0"[..], &[0xff; 4096]].concat(),
            "load: malformed",
        ),
        bytes(
            "half a component",
            &whole[..whole.len() / 2],
            "load: malformed",
        ),
        bytes(
            "a component without its last byte",
            &whole[..whole.len() - 1],
            "load: malformed",
        ),
        text("a module of anything else", "(module)", "load: module"),
        bytes(
            "a module that wants random numbers",
            imports(
                r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#,
            ),
            "load: imports",
        ),
        bytes(
            "a module that wants memory",
            imports(r#"(import "env" "memory" (memory 1))"#),
            "load: imports",
        ),
        text(
            "a component that wants a clock",
            r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func (result u64))))))"#,
            "load: imports",
        ),
        text(
            "a component that wants code",
            r#"(component (import "code" (core module)))"#,
            "load: imports",
        ),
        bytes(
            "another version",
            component_of(&for_contract(&later(module.clone()), &later(contract()))),
            "load: version",
        ),
        text("an empty component", "(component)", "load: exports"),
        bytes(
            "other types",
            component_of(&for_contract(&module, &other_types)),
            "load: contract",
        ),
        text(
            "resources instead of functions",
            &exporting(
                r#"(type $r (resource (rep i32))) (core func $new (canon resource.new $r)) (instance $i (export "r" (type $r)))"#,
            ),
            "load: exports",
        ),
        text(
            "a destructor that traps",
            &exporting(
                r#"(core module $m (func (export "f") (param i32) unreachable)) (core instance $c (instantiate $m)) (type $r (resource (rep i32) (dtor (func $c "f")))) (instance $i (export "r" (type $r)))"#,
            ),
            "load: exports",
        ),
    ]
}

/// A component that exports the same instance under all three names.
fn exporting(items: &str) -> String {
    let exports: String = ["about", "key", "retry"]
        .map(|interface| format!(r#"(export "semel:policy/{interface}@0.1.0" (instance $i))"#))
        .concat();
    format!("(component {items} {exports})")
}

/// Is put together of many.
pub(super) fn composed() -> Vec<Case> {
    let inner = r#"(component $inner (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let calls = format!(
        "{inner} (instance $one (instantiate $inner)) (core func (canon lower (func $one \"f\"))) (component $none) (instance $i (instantiate $none))"
    );
    vec![
        text(
            "components that call each other",
            &exporting(&calls),
            "load: composed",
        ),
        text(
            "components within components",
            "(component (component (component (component (component)))))",
            "load: component-nesting",
        ),
        text(
            "a module started 65 times",
            &format!(
                "(component (core module $m) {})",
                "(core instance (instantiate $m))".repeat(65)
            ),
            "load: instances",
        ),
        text(
            "a module started 20 times",
            &exporting(&format!(
                "(core module $m) {} (component $none) (instance $i (instantiate $none))",
                "(core instance (instantiate $m))".repeat(20)
            )),
            "load: does-not-fit",
        ),
        text(
            "memories of three modules",
            &exporting(&format!(
                "(core module $m (memory 1)) {} (component $none) (instance $i (instantiate $none))",
                "(core instance (instantiate $m))".repeat(3)
            )),
            "load: does-not-fit",
        ),
    ]
}

/// Keeps the compiler busy.
pub(super) fn bombs() -> Vec<Case> {
    let branches = |count| "(loop (br_if 0 (local.get 0)))".repeat(count);
    let locals = |count| "i32 ".repeat(count);
    vec![
        has(
            "50,001 functions",
            "(func)".repeat(50_001),
            "load: functions",
        ),
        has(
            "a function of 300 KiB",
            format!("(func {})", "(drop (i32.const 1))".repeat(100_000)),
            "load: body-bytes",
        ),
        has(
            "5,001 variables",
            format!("(func (local {}))", locals(5_001)),
            "load: locals",
        ),
        has(
            "1,001 blocks within each other",
            format!("(func {} {})", "block ".repeat(1_001), "end ".repeat(1_001)),
            "load: nesting",
        ),
        has(
            "4,000 variables across 2,001 blocks",
            format!(
                "(func (local {}) {})",
                locals(4_000),
                "(block)".repeat(2_001)
            ),
            "load: merges",
        ),
        has(
            "10,000 loops",
            format!("(func (param i32) {})", branches(10_000)),
            "load: tangle",
        ),
        has(
            "tables of branches",
            format!(
                "(func (param i32) {})",
                format!("(br_table {} (local.get 0))", "0 ".repeat(1_000)).repeat(50)
            ),
            "load: tangle",
        ),
        has(
            "65 parameters",
            format!("(func (param {}))", locals(65)),
            "load: parameters",
        ),
        has(
            "5 results",
            format!("(func (result {}) unreachable)", locals(5)),
            "load: results",
        ),
        has(
            "20,001 types",
            "(type (func))".repeat(20_001),
            "load: types",
        ),
        has(
            "100,001 globals",
            "(global i32 (i32.const 0))".repeat(100_001),
            "load: items",
        ),
        has(
            "a name of 100,000 bytes",
            format!("(func (export \"{}\"))", "x".repeat(100_000)),
            "decides",
        ),
        has(
            "constants that nobody uses",
            format!("(func {})", "(drop (v128.const i64x2 1 2))".repeat(10_000)),
            "decides",
        ),
        case(
            "a segment of 33 MiB",
            lean().with("memory", "1024").with(
                "data",
                format!("(data (i32.const 65536) \"{}\")", "x".repeat(33 << 20)),
            ),
            Derive,
            "load: component-bytes",
        ),
        has(
            "memory of 64 bits",
            "(memory $wide i64 1)",
            "load: memories",
        ),
        has(
            "memory that threads share",
            "(memory $shared 1 1 shared)",
            "load: memories",
        ),
    ]
}
