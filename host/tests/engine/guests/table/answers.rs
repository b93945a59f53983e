//! Answers that a policy must not give.

use super::*;

/// Answers what is no answer.
pub(super) fn answering() -> Vec<Case> {
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
pub(super) fn operating() -> Vec<Case> {
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
            "96 5 16384 9",
            flags,
            &at("1e1000001"),
            "derive: nonsense",
        ),
        operates(
            "a number that no double holds",
            name,
            "96 5 16384 5",
            flags,
            &at("1e999"),
            "decides",
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
