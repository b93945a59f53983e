//! What guests do.

use super::{Case, Change, Made};
use crate::assemble::{Guest, component_of, contract, for_contract};
use semel::engine::PolicyFunction::{self, Derive, Judge, Recover, Weigh};

const ENDLESS: &str = "(loop $again (br $again))";
const HOARD: &str =
    "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const HOARD_TABLE: &str = "(loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 64)) (i32.const -1)))) unreachable";
/// The answer that a test lays at 2048.
const ANSWER: &str = "(return (i32.const 2048))";

fn lean() -> Guest {
    Guest::lean()
}

fn case(name: &'static str, guest: Guest, asked: PolicyFunction, comes_to: &'static str) -> Case {
    Case {
        name,
        made: Made::Of(guest),
        asked,
        comes_to,
    }
}

fn derives(name: &'static str, does: &str, comes_to: &'static str) -> Case {
    case(name, lean().with("derive", does), Derive, comes_to)
}

/// `derive` answers with this record.
fn answers(name: &'static str, record: &str, comes_to: &'static str) -> Case {
    let data = format!("(data (i32.const 2048) {record})");
    case(
        name,
        lean().with("derive", ANSWER).with("data", data),
        Derive,
        comes_to,
    )
}

/// `derive` answers with an operation, of which one part is as given.
fn operates(
    name: &'static str,
    of: &str,
    identity: &str,
    small: &str,
    texts: &str,
    comes_to: &'static str,
) -> Case {
    let data = format!(
        "(data (i32.const 2048) (i32 0 1  {of}  2304 1  0 0) {small} (i32 0 0 0 0 0 0 0 0 0 0 0 0))
         (data (i32.const 2304) (i32 {identity})) {texts}"
    );
    case(
        name,
        lean().with("derive", ANSWER).with("data", data),
        Derive,
        comes_to,
    )
}

/// `judge` answers with a verdict that has these handles.
fn judges(name: &'static str, handles: &str, pages: &'static str, comes_to: &'static str) -> Case {
    let data = format!("(data (i32.const 2048) (i32 0 3  112 16  0 0  {handles}  0 0  0 0))");
    case(
        name,
        lean()
            .with("memory", pages)
            .with("judge", ANSWER)
            .with("data", data),
        Judge,
        comes_to,
    )
}

fn has(name: &'static str, items: impl Into<String>, comes_to: &'static str) -> Case {
    case(name, lean().with("items", items), Derive, comes_to)
}

fn bytes(name: &'static str, bytes: impl Into<Vec<u8>>, comes_to: &'static str) -> Case {
    Case {
        name,
        made: Made::As(bytes.into()),
        asked: Derive,
        comes_to,
    }
}

fn text(name: &'static str, component: &str, comes_to: &'static str) -> Case {
    bytes(name, wat::parse_str(component).expect(name), comes_to)
}

pub(super) fn cases() -> Vec<Case> {
    [
        running(),
        growing(),
        trapping(),
        answering(),
        operating(),
        foreign(),
        composed(),
        bombs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs and does not come back.
fn running() -> Vec<Case> {
    let start = |does: &str| lean().with("items", format!("(func $start {does}) (start $start)"));
    let after = format!(
        "(func (export \"cabi_post_semel:policy/key@0.1.0#derive\") (param i32) {ENDLESS})"
    );
    let deeper = "(func $deeper (call $deeper))";
    let count = "(loop $more (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (global.get $n) (i32.const 20000000))))";
    let counting = lean()
        .with("items", "(global $n (mut i32) (i32.const 0))")
        .with("derive", count);
    let down = "(func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))";
    let in_turn = "(func $one (call $other)) (func $other (call $one))";
    vec![
        derives("an endless derive", ENDLESS, "derive: fuel"),
        case("counting to 20,000,000", counting, Derive, "derive: fuel"),
        case(
            "an endless judge",
            lean().with("judge", ENDLESS),
            Judge,
            "judge: fuel",
        ),
        case(
            "an endless recover",
            lean().with("recover", ENDLESS),
            Recover,
            "recover: fuel",
        ),
        case(
            "an endless weigh",
            lean().with("weigh", ENDLESS),
            Weigh,
            "weigh: fuel",
        ),
        case(
            "an endless start",
            start(ENDLESS),
            Derive,
            "load: start: fuel",
        ),
        case(
            "an endless describe",
            lean().with("describe", ENDLESS),
            Derive,
            "load: describe: fuel",
        ),
        case(
            "an endless configure",
            lean().with("configure", ENDLESS),
            Derive,
            "load: configure: fuel",
        ),
        case(
            "an endless allocator",
            lean().with("realloc", ENDLESS),
            Derive,
            "load: configure: fuel",
        ),
        has("an endless clean-up", after, "derive: fuel"),
        derives(
            "filling for ever",
            "(loop $a (memory.fill (i32.const 8192) (i32.const 0) (i32.const 200000)) (br $a))",
            "derive: fuel",
        ),
        derives(
            "growing by nothing for ever",
            "(loop $a (drop (memory.grow (i32.const 0))) (br $a))",
            "derive: fuel",
        ),
        case(
            "recursion",
            lean()
                .with("items", deeper)
                .with("derive", "(call $deeper)"),
            Derive,
            "derive: stack",
        ),
        case(
            "recursion 18,000 deep",
            lean()
                .with("items", down)
                .with("derive", "(call $down (i32.const 18000))"),
            Derive,
            "derive: stack",
        ),
        case(
            "recursion in turn",
            lean().with("items", in_turn).with("derive", "(call $one)"),
            Derive,
            "derive: stack",
        ),
        case(
            "recursion at the start",
            start("(call $start)"),
            Derive,
            "load: start: stack",
        ),
    ]
}

/// Takes what it can get.
fn growing() -> Vec<Case> {
    let table = |does: &str| {
        lean()
            .with("items", "(table $table 1 funcref)")
            .with("derive", does)
    };
    let touch = "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 67000000))";
    let far = "(data (i32.const 67108860) \"far\")";
    vec![
        derives("hoarding memory", HOARD, "derive: memory"),
        case(
            "hoarding memory at the start",
            lean().with("items", format!("(func $s {HOARD}) (start $s)")),
            Derive,
            "load: start: memory",
        ),
        derives(
            "wanting 4 GiB at once",
            "(drop (memory.grow (i32.const 65531)))",
            "decides",
        ),
        case(
            "hoarding a table",
            table(HOARD_TABLE),
            Derive,
            "derive: memory",
        ),
        case(
            "filling a large table for ever",
            table(
                "(drop (table.grow $table (ref.null func) (i32.const 19999))) (loop $a (table.fill $table (i32.const 0) (ref.null func) (i32.const 20000)) (br $a))",
            ),
            Derive,
            "derive: fuel",
        ),
        case(
            "touching all of its memory",
            lean().with("memory", "1024").with("derive", touch),
            Derive,
            "decides",
        ),
        case(
            "data at the far end of memory",
            lean().with("memory", "1024").with("data", far),
            Derive,
            "decides",
        ),
        case(
            "a memory that starts too large",
            lean().with("memory", "1025"),
            Derive,
            "load: memory-bytes",
        ),
        has(
            "a table that starts too large",
            "(table 20001 funcref)",
            "load: table-elements",
        ),
        has(
            "too many tables",
            "(table 1 funcref)".repeat(5),
            "load: tables",
        ),
        has("a second memory", "(memory 1)", "load: memories"),
    ]
}

/// Gives up.
fn trapping() -> Vec<Case> {
    let indirect = "(table 2 funcref) (elem (i32.const 0) $allocate) (type $none (func))";
    let call = |at: u32| {
        lean().with("items", indirect).with(
            "derive",
            format!("(call_indirect (type $none) (i32.const {at}))"),
        )
    };
    vec![
        derives("unreachable", "unreachable", "derive: trap"),
        derives(
            "division by zero",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "derive: trap",
        ),
        derives(
            "division that overflows",
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            "derive: trap",
        ),
        derives(
            "no number as an integer",
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            "derive: trap",
        ),
        derives(
            "reading past its memory",
            "(drop (i32.load (i32.const 0x7ffffff0)))",
            "derive: trap",
        ),
        derives(
            "writing past the end of the address space",
            "(i64.store offset=0xffffffff (i32.const -1) (i64.const 1))",
            "derive: trap",
        ),
        case("calling nothing", call(1), Derive, "derive: trap"),
        case("calling by another type", call(0), Derive, "derive: trap"),
        case("calling past its table", call(9), Derive, "derive: trap"),
        case(
            "a judge that traps",
            lean().with("judge", "unreachable"),
            Judge,
            "judge: trap",
        ),
        case(
            "a recover that traps",
            lean().with("recover", "unreachable"),
            Recover,
            "recover: trap",
        ),
        case(
            "a weigh that traps",
            lean().with("weigh", "unreachable"),
            Weigh,
            "weigh: trap",
        ),
        case(
            "a describe that traps",
            lean().with("describe", "unreachable"),
            Derive,
            "load: describe: trap",
        ),
        case(
            "a configure that traps",
            lean().with("configure", "unreachable"),
            Derive,
            "load: configure: trap",
        ),
        case(
            "an allocator that traps",
            lean().with("realloc", "unreachable"),
            Derive,
            "load: configure: trap",
        ),
        has(
            "a start that traps",
            "(func $s unreachable) (start $s)",
            "load: start: trap",
        ),
        has(
            "a clean-up that traps",
            "(func (export \"cabi_post_semel:policy/key@0.1.0#derive\") (param i32) unreachable)",
            "derive: trap",
        ),
        derives("a refusal", "(return (i32.const 1440))", "derive: refused"),
    ]
}

/// Answers what is no answer.
fn answering() -> Vec<Case> {
    let list = format!(
        "(data (i32.const 2048) (i32 0 3  112 16  0 0  16384 257  0 0  0 0)) (data (i32.const 16384) (i32 {}))",
        "112 16 ".repeat(257)
    );
    let list = lean().with("judge", ANSWER).with("data", list);
    vec![
        case(
            "64 MiB of text",
            lean()
                .with("memory", "1024")
                .with("derive", ANSWER)
                .with("data", "(data (i32.const 2048) (i32 0 2 0 67108864))"),
            Derive,
            "derive: answer",
        ),
        judges(
            "10,000,000 empty texts",
            "16384 10000000",
            "1024",
            "judge: nonsense",
        ),
        judges(
            "7,000,000 empty texts",
            "16384 7000000",
            "1024",
            "judge: answer",
        ),
        case("a list of 257", list, Judge, "judge: nonsense"),
        judges(
            "a list whose length overflows",
            "16384 536870912",
            "4",
            "judge: nonsense",
        ),
        judges(
            "a list at the end of memory",
            "262140 4",
            "4",
            "judge: nonsense",
        ),
        answers(
            "a text that is no UTF-8",
            "(i32 0 2 136 2)",
            "derive: nonsense",
        ),
        case(
            "half a surrogate pair",
            lean().with("derive", ANSWER).with(
                "data",
                "(data (i32.const 2048) (i32 0 2 2064 3)) (data (i32.const 2064) \"\\ed\\a0\\80\")",
            ),
            Derive,
            "derive: nonsense",
        ),
        answers(
            "a case that does not exist",
            "(i32 0 9 0 0)",
            "derive: nonsense",
        ),
        answers(
            "neither ok nor error",
            "(i32 7 2 112 16)",
            "derive: nonsense",
        ),
        answers(
            "a text outside of memory",
            "(i32 0 2 -16 8)",
            "derive: nonsense",
        ),
        answers(
            "a text that ends beyond the address space",
            "(i32 0 2 -16 32)",
            "derive: nonsense",
        ),
        derives(
            "an answer nowhere",
            "(return (i32.const -4))",
            "derive: nonsense",
        ),
        derives(
            "an answer askew",
            "(return (i32.const 1153))",
            "derive: nonsense",
        ),
        case(
            "memory at the end of the address space",
            lean().with("realloc", "(return (i32.const -8))"),
            Derive,
            "load: configure: nonsense",
        ),
        case(
            "memory that is not there",
            lean().with("realloc", "(return (i32.const 0x7ffffff8))"),
            Derive,
            "load: configure: nonsense",
        ),
        case(
            "the same memory for everything",
            lean().with("realloc", "(return (i32.const 8192))"),
            Derive,
            "decides",
        ),
        case(
            "memory askew",
            lean().with("realloc", "(return (i32.const 8193))"),
            Derive,
            "derive: nonsense",
        ),
        case(
            "its own answers for memory",
            lean().with("realloc", "(return (i32.const 1152))"),
            Derive,
            "load: configure: nonsense",
        ),
        case(
            "a description without a name",
            lean().with("data", "(data (i32.const 1028) (i32 0))"),
            Derive,
            "load: description",
        ),
        case(
            "a description of 200 KiB",
            lean().with("data", "(data (i32.const 1040) (i32 8192 200000))"),
            Derive,
            "decides",
        ),
        case(
            "settings that it refuses",
            lean().with("configure", "(return (i32.const 1440))"),
            Derive,
            "load: settings",
        ),
    ]
}

/// Answers with operations that cannot be, or that are no use.
fn operating() -> Vec<Case> {
    let (name, order, flags) = ("88 6", "96 5 104 2", "(i8 0 0 0 0) (i32 1 1)");
    let long = format!("(data (i32.const 16384) \"{}\")", "[".repeat(10_000));
    let deep = format!(
        "(data (i32.const 16384) \"{}{}\")",
        "[".repeat(70),
        "]".repeat(70)
    );
    let at = |text: &str| format!("(data (i32.const 16384) \"{text}\")");
    let counting = "(i32.store8 (i32.const 105) (i32.add (i32.load8_u (i32.const 105)) (i32.const 1))) (return (i32.const 1280))";
    vec![
        derives("a constant key", "(return (i32.const 1280))", "decides"),
        derives("another key each time", counting, "decides"),
        operates("a good operation", name, order, flags, "", "decides"),
        operates("no name", "88 0", order, flags, "", "derive: nonsense"),
        operates(
            "a name of 9,999 bytes",
            "16384 9999",
            order,
            flags,
            &long,
            "derive: nonsense",
        ),
        operates(
            "a zero in a name",
            "16384 3",
            order,
            flags,
            &at("a\\00b"),
            "derive: nonsense",
        ),
        operates(
            "a value that is no JSON",
            name,
            "96 5 144 5",
            flags,
            "",
            "derive: nonsense",
        ),
        operates(
            "a value 9,999 deep",
            name,
            "96 5 16384 9999",
            flags,
            &long,
            "derive: nonsense",
        ),
        operates(
            "a value 70 deep",
            name,
            "96 5 16384 140",
            flags,
            &deep,
            "derive: nonsense",
        ),
        operates(
            "a value that is no number",
            name,
            "96 5 16384 3",
            flags,
            &at("NaN"),
            "derive: nonsense",
        ),
        operates(
            "a value that is too large",
            name,
            "96 5 16384 5",
            flags,
            &at("1e999"),
            "derive: nonsense",
        ),
        operates(
            "an integer that others round",
            name,
            "96 5 16384 16",
            flags,
            &at("9007199254740993"),
            "decides",
        ),
        operates(
            "a value twice under one name",
            name,
            "96 5 16384 13",
            flags,
            &at("{\\22a\\22:1,\\22a\\22:2}"),
            "derive: nonsense",
        ),
        operates(
            "nothing for a value",
            name,
            "96 5 16384 4",
            flags,
            &at("null"),
            "decides",
        ),
        operates(
            "a scope that does not exist",
            name,
            order,
            "(i8 7 0 0 0) (i32 1 1)",
            "",
            "derive: nonsense",
        ),
        operates(
            "no window",
            name,
            order,
            "(i8 0 0 0 0) (i32 0 1)",
            "",
            "derive: nonsense",
        ),
        operates(
            "no time for an attempt",
            name,
            order,
            "(i8 0 0 0 0) (i32 1 0)",
            "",
            "derive: nonsense",
        ),
    ]
}

/// Is no policy.
fn foreign() -> Vec<Case> {
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
fn composed() -> Vec<Case> {
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
fn bombs() -> Vec<Case> {
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

/// A case, a limit that is raised, and what comes of it then.
pub(super) fn controls() -> Vec<(&'static str, Change, &'static str)> {
    vec![
        (
            "counting to 20,000,000",
            |limits| limits.decision.fuel = 1_000_000_000,
            "decides",
        ),
        (
            "a function of 300 KiB",
            |limits| limits.load.body_bytes = 1 << 20,
            "decides",
        ),
        (
            "recursion 18,000 deep",
            |limits| limits.decision.stack_bytes = 1 << 20,
            "decides",
        ),
        (
            "a memory that starts too large",
            |limits| limits.decision.memory_bytes = 128 << 20,
            "decides",
        ),
        (
            "a table that starts too large",
            |limits| limits.decision.table_elements = 30_000,
            "decides",
        ),
        (
            "too many tables",
            |limits| limits.decision.tables = 8,
            "decides",
        ),
        (
            "a second memory",
            |limits| limits.decision.memories = 2,
            "decides",
        ),
        (
            "64 MiB of text",
            |limits| limits.decision.answer_bytes = 256 << 20,
            "derive: nonsense",
        ),
        (
            "a list of 257",
            |limits| limits.decision.list_items = 300,
            "decides",
        ),
        (
            "50,001 functions",
            |limits| limits.load.functions = 60_000,
            "decides",
        ),
        (
            "5,001 variables",
            |limits| limits.load.locals = 6_000,
            "decides",
        ),
        (
            "1,001 blocks within each other",
            |limits| limits.load.nesting = 2_000,
            "decides",
        ),
        (
            "4,000 variables across 2,001 blocks",
            |limits| limits.load.merges = 1 << 30,
            "decides",
        ),
        (
            "65 parameters",
            |limits| limits.load.parameters = 100,
            "decides",
        ),
        ("5 results", |limits| limits.load.results = 8, "decides"),
        (
            "20,001 types",
            |limits| limits.load.types = 30_000,
            "decides",
        ),
        (
            "100,001 globals",
            |limits| limits.load.items = 200_000,
            "load: does-not-fit",
        ),
        (
            "a value 70 deep",
            |limits| limits.decision.json_depth = 100,
            "decides",
        ),
    ]
}
