//! What guests do.

mod answers;
mod components;

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
        "(data (i32.const 2048) (i32 0 1  1 {of}  2304 1  0 0) {small} (i32 0 0 0 0 0 0 0 0 0 0 0 0))
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
        answers::answering(),
        answers::operating(),
        components::foreign(),
        components::composed(),
        components::bombs(),
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
