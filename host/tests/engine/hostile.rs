//! A policy that somebody else wrote, in bad faith or by accident, costs one decision: never the host, nor the next call.
//!
//! Each guest here does one thing wrong. It gets its own fault, within the limits, and the same engine then makes a
//! decision with a policy that keeps the contract.

use crate::{assemble::Guest, call, decisions::attempts, engine, engine_with, load};
use semel::{
    engine::{Engine, LoadError, Policy, PolicyError, PolicyErrorKind, PolicyFunction},
    model::{Derivation, Outcome, Probe},
};
use serde_json::json;

const ENDLESS: &str = "(loop $again (br $again))";
const TRAP: &str = "unreachable";
const RECURSION: &str = "(func $deeper (call $deeper))";
/// Wants memory until it is refused, and gives up then, as an allocator does.
const HOARD: &str =
    "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const HOARD_TABLE: &str = "
    (loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 64)) (i32.const -1)))) unreachable";

async fn is_alive(engine: &Engine) {
    let policy = load(engine, &Guest::lean()).await.unwrap();
    assert_eq!(policy.derive(&call()), Ok(Derivation::Pass));
}

async fn derive_fault(engine: &Engine, guest: Guest) -> PolicyError {
    let policy = load(engine, &guest).await.unwrap();
    let fault = policy.derive(&call()).unwrap_err();
    assert_eq!(
        (fault.policy.as_str(), fault.function),
        ("lean", PolicyFunction::Derive)
    );
    assert_eq!(
        policy.derive(&call()),
        Err(fault.clone()),
        "the same fault again"
    );
    is_alive(engine).await;
    fault
}

async fn load_fault(engine: &Engine, guest: Guest) -> PolicyError {
    let LoadError::Policy(fault) = load(engine, &guest).await.unwrap_err() else {
        panic!("expected a policy's fault")
    };
    is_alive(engine).await;
    fault
}

async fn bad_answer(guest: Guest) -> String {
    match derive_fault(&engine(), guest).await.kind {
        PolicyErrorKind::BadAnswer { what } => what,
        other => panic!("{other}"),
    }
}

fn answers(record: &str) -> Guest {
    Guest::lean()
        .with("derive", "(return (i32.const 2048))")
        .with("data", format!("(data (i32.const 2048) {record})"))
}

/// Asks a policy whatever else it may be asked besides `derive`.
fn ask(policy: &Policy, function: PolicyFunction) -> Option<PolicyError> {
    let (call, attempts) = (call(), attempts());
    let probe = Probe {
        tool: "find".to_owned(),
        arguments: json!({}).into(),
    };
    match function {
        PolicyFunction::Judge => policy.judge(&call, &attempts).err(),
        PolicyFunction::Recover => policy.recover(&call, &attempts).err(),
        PolicyFunction::Weigh => policy
            .weigh(&call, &attempts, &probe, &Outcome::returned(json!({})))
            .err(),
        _ => policy.derive(&call).err(),
    }
}

#[tokio::test]
async fn a_trap_is_told_apart_in_every_function() {
    let engine = engine();
    let later = [
        ("derive", PolicyFunction::Derive),
        ("judge", PolicyFunction::Judge),
        ("recover", PolicyFunction::Recover),
        ("weigh", PolicyFunction::Weigh),
    ];
    for (slot, function) in later {
        let policy = load(&engine, &Guest::lean().with(slot, TRAP))
            .await
            .unwrap();
        let fault = ask(&policy, function).unwrap();
        assert_eq!(fault.function, function);
        assert!(
            matches!(fault.kind, PolicyErrorKind::Trapped { .. }),
            "{fault}"
        );
        is_alive(&engine).await;
    }
    for (slot, function) in [
        ("describe", PolicyFunction::Describe),
        ("configure", PolicyFunction::Configure),
    ] {
        let fault = load_fault(&engine, Guest::lean().with(slot, TRAP)).await;
        assert_eq!(fault.function, function);
        assert!(
            matches!(fault.kind, PolicyErrorKind::Trapped { .. }),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn an_endless_loop_runs_out_of_fuel_wherever_it_is() {
    let engine = engine_with(|limits| limits.decision.fuel = 1_000_000);
    let expected = PolicyErrorKind::Fuel { limit: 1_000_000 };
    assert_eq!(
        derive_fault(&engine, Guest::lean().with("derive", ENDLESS))
            .await
            .kind,
        expected
    );
    let start = format!("(func $start {ENDLESS}) (start $start)");
    let places = [
        ("items", start.as_str(), PolicyFunction::Start),
        ("describe", ENDLESS, PolicyFunction::Describe),
        ("configure", ENDLESS, PolicyFunction::Configure),
        ("realloc", ENDLESS, PolicyFunction::Configure),
    ];
    for (slot, text, function) in places {
        let fault = load_fault(&engine, Guest::lean().with(slot, text)).await;
        assert_eq!((fault.function, fault.kind), (function, expected.clone()));
    }
}

#[tokio::test]
async fn work_that_one_instruction_does_is_paid_for_too() {
    let engine = engine_with(|limits| limits.decision.fuel = 50_000_000);
    let fill =
        "(loop $again (memory.fill (i32.const 8192) (i32.const 0) (i32.const 200000)) (br $again))";
    let grow = "(loop $again (drop (memory.grow (i32.const 0))) (br $again))";
    for work in [fill, grow] {
        let fault = derive_fault(&engine, Guest::lean().with("derive", work)).await;
        assert!(
            matches!(fault.kind, PolicyErrorKind::Fuel { .. }),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn deep_recursion_runs_out_of_stack() {
    let guest = Guest::lean()
        .with("items", RECURSION)
        .with("derive", "(call $deeper)");
    let fault = derive_fault(&engine(), guest).await;
    assert!(
        matches!(fault.kind, PolicyErrorKind::Stack { .. }),
        "{fault}"
    );
}

#[tokio::test]
async fn memory_and_tables_do_not_grow_past_their_limits() {
    let fault = derive_fault(&engine(), Guest::lean().with("derive", HOARD)).await;
    assert!(
        matches!(fault.kind, PolicyErrorKind::Memory { .. }),
        "{fault}"
    );
    let table = Guest::lean()
        .with("items", "(table $table 1 funcref)")
        .with("derive", HOARD_TABLE);
    let fault = derive_fault(&engine(), table).await;
    assert!(
        matches!(fault.kind, PolicyErrorKind::Memory { .. }),
        "{fault}"
    );
}

#[tokio::test]
async fn a_memory_that_starts_too_large_is_not_started() {
    for slot in ["1025", "60000"] {
        let fault = load(&engine(), &Guest::lean().with("memory", slot))
            .await
            .unwrap_err();
        assert!(
            matches!(
                fault,
                LoadError::TooLarge {
                    name: "memory-bytes",
                    ..
                }
            ),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn huge_answers_are_not_copied() {
    let whole_memory = answers("(i32 0 2 0 67108864)").with("memory", "1024");
    let fault = derive_fault(&engine(), whole_memory).await;
    assert!(
        matches!(fault.kind, PolicyErrorKind::AnswerTooLarge { .. }),
        "{fault}"
    );
    // A refusal of just too much.
    let limit = 256 << 10;
    for (bytes, refused) in [(limit, false), (limit + 1, true)] {
        let guest = answers(&format!("(i32 0 2 16384 {bytes})")).with("memory", "16");
        let policy = load(&engine(), &guest).await.unwrap();
        assert_eq!(policy.derive(&call()).is_err(), refused, "{bytes}");
    }
}

#[tokio::test]
async fn ten_million_empty_strings_are_not_allocated() {
    let engine = engine_with(|limits| limits.decision.memory_bytes = 128 << 20);
    let verdict = "(data (i32.const 2048) (i32 0 3  112 16  0 0  16384 10000000  0 0  0 0))";
    let guest = Guest::lean()
        .with("memory", "1600")
        .with("judge", "(return (i32.const 2048))")
        .with("data", verdict);
    let policy = load(&engine, &guest).await.unwrap();
    let fault = policy.judge(&call(), &attempts()).unwrap_err();
    assert!(
        matches!(fault.kind, PolicyErrorKind::AnswerTooLarge { .. }),
        "{fault}"
    );
    is_alive(&engine).await;
}

#[tokio::test]
async fn lists_longer_than_anybody_needs_are_refused() {
    let verdict = "(data (i32.const 2048) (i32 0 3  112 16  0 0  16384 257  0 0  0 0))";
    let guest = Guest::lean()
        .with("judge", "(return (i32.const 2048))")
        .with("data", verdict);
    let fault = load(&engine(), &guest)
        .await
        .unwrap()
        .judge(&call(), &attempts())
        .unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("`handles` has 257 entries, more than 256 (`list-items`)"),
        "{fault}"
    );
}

#[tokio::test]
async fn texts_for_people_are_cut_and_cannot_move_a_terminal() {
    let text = r#"(data (i32.const 16384) "\1b[2J bell \07")"#;
    let derive = "(return (i32.const 2048))";
    let data = format!("{text} (data (i32.const 2048) (i32 0 2 16384 4096))");
    let policy = load(
        &engine(),
        &Guest::lean().with("derive", derive).with("data", data),
    )
    .await
    .unwrap();
    let Ok(Derivation::Refuse(why)) = policy.derive(&call()) else {
        panic!("expected a refusal")
    };
    assert!(
        why.starts_with(" [2J bell  ") && why.ends_with('…'),
        "{why}"
    );
    assert!(why.len() <= (2 << 10) + '…'.len_utf8());
}

#[tokio::test]
async fn answers_that_are_no_answers_are_told() {
    let invalid_utf8 = answers("(i32 0 2 136 2)");
    assert!(bad_answer(invalid_utf8).await.contains("utf-8"));
    let no_such_case = answers("(i32 0 9 0 0)");
    assert!(bad_answer(no_such_case).await.contains("discriminant"));
    let outside = answers("(i32 0 2 -16 8)");
    assert!(bad_answer(outside).await.contains("out of bounds"));
    let wild = Guest::lean().with("derive", "(return (i32.const -4))");
    bad_answer(wild).await;
    let unaligned = Guest::lean().with("derive", "(return (i32.const 1153))");
    bad_answer(unaligned).await;
}

#[tokio::test]
async fn an_allocator_that_answers_nonsense_breaks_nothing() {
    for at in ["-8", "0x7ffffff8"] {
        let fault = load_fault(
            &engine(),
            Guest::lean().with("realloc", format!("(return (i32.const {at}))")),
        )
        .await;
        assert!(
            matches!(fault.kind, PolicyErrorKind::BadAnswer { .. }),
            "{fault}"
        );
    }
}

/// An operation whose name and one value of identity lie where it says.
fn operation(name: &str, value: &str, seconds: &str) -> Guest {
    let data = format!(
        "(data (i32.const 2048) (i32 0 1  1 {name}  2304 1  0 0) (i8 0 0 0 0) (i32 {seconds}) (i32 0 0 0 0 0 0 0 0 0 0 0 0))
         (data (i32.const 2304) (i32 96 5 {value}))
         (data (i32.const 16384) \"{}\")",
        "[".repeat(200)
    );
    Guest::lean()
        .with("derive", "(return (i32.const 2048))")
        .with("data", data)
}

#[tokio::test]
async fn operations_that_cannot_be_are_told() {
    let good = load(&engine(), &operation("88 6", "104 2", "1 1"))
        .await
        .unwrap();
    assert!(matches!(good.derive(&call()), Ok(Derivation::Once(_))));
    assert!(
        bad_answer(operation("88 0", "104 2", "1 1"))
            .await
            .contains("`operation.name` is empty")
    );
    assert!(
        bad_answer(operation("16384 9999", "104 2", "1 1"))
            .await
            .contains("`operation.name` is 9999 bytes long")
    );
    assert!(
        bad_answer(operation("88 6", "144 5", "1 1"))
            .await
            .contains("`identity`: `order`")
    );
    assert!(
        bad_answer(operation("88 6", "16384 200", "1 1"))
            .await
            .contains("deep")
    );
    assert!(
        bad_answer(operation("88 6", "104 2", "0 1"))
            .await
            .contains("`window-seconds` is 0")
    );
    assert!(
        bad_answer(operation("88 6", "104 2", "1 0"))
            .await
            .contains("`attempt-seconds` is 0")
    );
}
