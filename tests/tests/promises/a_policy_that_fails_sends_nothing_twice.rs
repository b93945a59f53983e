//! A policy is third-party code. It loops, it traps, it hoards memory, it asks for the clock, it
//! answers nonsense. Before the claim, that may cost one call. After the tool ran, it must cause no
//! second charge and lose no outcome.

use crate::{
    assemble::{Guest, component_of},
    world::{Bank, ask, ask_in_vain, charge, host, load, memory, told},
};
use semel::{
    engine::{Engine, Limits},
    model::{Answer, NextStep, Outcome},
    runtime::{Semel, Tool},
};
use serde_json::json;

const ONCE: &str = "(return (i32.const 1280))";
const LANDED: &str = "(i32.store8 (i32.const 1540) (i32.const 0))";
const LOOP: &str = "(loop $for_ever (br $for_ever))";
const TRAP: &str = "(unreachable)";
const HOARD: &str = "(loop $more (if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then (unreachable))) (br $more))";

async fn under(guest: Guest) -> Semel {
    host(
        memory(),
        Tool::new(load(&guest.component(), json!({})).await),
    )
    .await
}

#[tokio::test]
async fn what_goes_wrong_before_the_claim_sends_nothing_and_records_nothing() {
    for (fault, why) in [(LOOP, "fuel"), (TRAP, "trap"), (HOARD, "trap")] {
        let semel = under(Guest::lean().with("derive", fault)).await;
        let Answer::Refused { reason, next } = ask_in_vain(&semel, charge()).await else {
            panic!("refused")
        };
        assert!(
            reason.contains("`lean`") && reason.contains("derive"),
            "{why}: {reason}"
        );
        assert_eq!(next, NextStep::CorrectTheCall);
        assert!(semel.ledger().list(None, &[], 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_goes_wrong_after_the_tool_ran_is_held_with_its_real_outcome() {
    for fault in [LOOP, TRAP, HOARD] {
        let semel = under(Guest::lean().with("derive", ONCE).with("judge", fault)).await;
        let bank = Bank::plain();
        let answer = ask(&semel, charge(), &bank).await;
        assert_eq!(told(&answer), ("held", Some("ch_1")), "{answer:?}");
        assert_eq!(
            told(&ask_in_vain(&semel, charge()).await),
            ("held", Some("ch_1"))
        );
        assert_eq!(bank.charges(), 1);
    }
}

/// The control: the same guest, sound, lands.
#[tokio::test]
async fn control_a_sound_guest_lands() {
    let semel = under(Guest::lean().with("derive", ONCE).with("judge", LANDED)).await;
    let bank = Bank::plain();
    assert_eq!(
        told(&ask(&semel, charge(), &bank).await),
        ("executed", Some("ch_1"))
    );
    assert_eq!(
        told(&ask_in_vain(&semel, charge()).await),
        ("replayed", Some("ch_1"))
    );
}

#[tokio::test]
async fn a_policy_that_cannot_say_what_to_do_in_doubt_leaves_it_to_a_person() {
    for fault in [LOOP, TRAP] {
        let semel = under(Guest::lean().with("derive", ONCE).with("recover", fault)).await;
        let bank = Bank::plain();
        bank.lose_replies(1);
        let answer = ask(&semel, charge(), &bank).await;
        let Answer::Held { reason, .. } = &answer else {
            panic!("{answer:?}")
        };
        assert!(
            reason.contains("the policy could not say what to do"),
            "{reason}"
        );
        assert_eq!(bank.charges(), 1);
    }
}

/// That nothing was sent is proof enough, whatever became of the policy.
#[tokio::test]
async fn what_was_not_sent_is_free_again_even_if_the_policy_traps() {
    let semel = under(Guest::lean().with("derive", ONCE).with("judge", TRAP)).await;
    let answer = semel
        .call(charge(), |_| async {
            Outcome::not_sent("connection refused")
        })
        .await
        .unwrap();
    assert_eq!(answer.word(), "executed", "{answer:?}");
    let bank = Bank::plain();
    assert_eq!(ask(&semel, charge(), &bank).await.word(), "held");
    assert_eq!(bank.charges(), 1);
}

#[tokio::test]
async fn a_policy_that_asks_for_the_world_is_not_loaded_and_told_why() {
    let text = Guest::lean().text().replacen(
        "(module",
        r#"(module (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))"#,
        1,
    );
    let module = crate::assemble::for_contract(&text, &crate::assemble::contract());
    let fault = Engine::new(Limits::default())
        .unwrap()
        .load(&module, json!({}))
        .await
        .unwrap_err()
        .to_string();
    assert!(fault.contains("wasi_snapshot_preview1"), "{fault}");
}

#[tokio::test]
async fn an_identity_that_is_none_is_refused_with_the_fields_name() {
    let fields = |list: &str, count: u32| {
        format!(
            "(data (i32.const 2048) (i32 0 1  1 88 6  2176 {count}  0 0) (i8 0 0 0 0) (i32 3600 60) (i32 0 0 0 0 0 0 0 0) \
             (i32 0 0 0 0)) (data (i32.const 2176) (i32 {list})) (data (i32.const 2304) \"null\\22\\22\")"
        )
    };
    let twice = fields("96 5 104 2  96 5 104 2", 2);
    let cases = [
        (twice, "order"),
        (fields("0 0", 0), "identity"),
        (fields("96 5 2304 4", 1), "order"),
        (fields("96 5 2308 2", 1), "order"),
    ];
    for (data, named) in cases {
        let guest = Guest::lean()
            .with("derive", "(return (i32.const 2048))")
            .with("data", data);
        let semel = under(guest).await;
        let Answer::Refused { reason, .. } = ask_in_vain(&semel, charge()).await else {
            panic!("refused")
        };
        assert!(reason.contains(named), "{reason}");
    }
}

#[tokio::test]
async fn a_plain_module_of_the_sdk_is_as_good_as_a_component() {
    let guest = Guest::lean().with("derive", ONCE);
    let one = load(&guest.module(), json!({})).await;
    let other = load(&component_of(&guest.module()), json!({})).await;
    assert_eq!(one.derive(&charge()), other.derive(&charge()));
}
