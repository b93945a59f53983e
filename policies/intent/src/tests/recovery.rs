//! In doubt: again where that is safe, else a look, else a person.

use semel_guest::{Finding, Probe, Recovery, json};

use super::*;

fn call() -> Call {
    Call::new("pay", json!({ "order_id": "A1", "amount": 5 }))
}

fn lost(attempts: u32, age_seconds: u32) -> Vec<Attempt> {
    let one = |number| Attempt {
        number,
        age_seconds,
        ..Attempt::new("k-1", Outcome::unanswered("timed out"))
    };
    (1..=attempts).map(one).collect()
}

fn probing(extra: Value) -> Intent {
    let mut settings = json!({
        "identity": ["order_id"],
        "probe": {
            "tool": "find_payment",
            "arguments": { "reference": "{key}", "order": "{/order_id}", "sum": "{/amount}", "limit": 1 },
            "landed": { "at": "/data/0/reference", "is": "{key}" },
            "result": "/data/0",
        },
    });
    let into = |target: &mut Value, source: Value| {
        target
            .as_object_mut()
            .unwrap()
            .extend(source.as_object().unwrap().clone())
    };
    into(settings.get_mut("probe").unwrap(), extra);
    policy(settings)
}

fn weighed(policy: &Intent, answer: impl Into<Outcome>) -> Finding {
    policy
        .weigh(
            &call(),
            &lost(1, 0),
            &Probe::new("find_payment", json!({})),
            &answer.into(),
        )
        .unwrap()
}

#[test]
fn without_target_or_probe_a_person_decides() {
    let policy = policy(json!({ "identity": ["order_id"] }));
    assert!(matches!(
        policy.recover(&call(), &lost(1, 0)).unwrap(),
        Recovery::Hold(_)
    ));
}

#[test]
fn a_probe_asks_with_the_key_and_the_arguments() {
    let Recovery::Probe(probe) = probing(json!({})).recover(&call(), &lost(1, 0)).unwrap() else {
        panic!("a probe")
    };
    assert_eq!(probe.tool, "find_payment");
    let arguments: Value = serde_json::from_str(&probe.arguments).unwrap();
    assert_eq!(
        arguments,
        json!({ "reference": "k-1", "order": "A1", "sum": 5, "limit": 1 })
    );
}

#[test]
fn a_probe_that_cannot_be_asked_is_a_persons() {
    let policy = probing(json!({ "arguments": { "x": "{/none}" } }));
    let Recovery::Hold(reason) = policy.recover(&call(), &lost(1, 0)).unwrap() else {
        panic!("held")
    };
    assert!(reason.contains("/none"), "{reason}");
}

#[test]
fn where_repeats_are_harmless_it_is_sent_again_then_looked_for() {
    let policy = policy(json!({
        "identity": ["order_id"],
        "target": { "header": "Idempotency-Key", "repeats": "replayed", "remembers": "1h" },
        "probe": { "tool": "find_payment", "landed": { "at": "id" } },
    }));
    let recover = |attempts, age| policy.recover(&call(), &lost(attempts, age)).unwrap();
    assert!(matches!(recover(1, 0), Recovery::Retry(_)));
    assert!(
        matches!(recover(3, 0), Recovery::Probe(_)),
        "sending again told nothing"
    );
    assert!(
        matches!(recover(1, 3_600), Recovery::Probe(_)),
        "the target has forgotten the key"
    );
}

#[test]
fn what_is_found_is_what_the_tool_would_have_returned() {
    let answer = json!({ "data": [{ "reference": "k-1", "id": "P1" }] });
    assert_eq!(
        weighed(&probing(json!({})), Outcome::returned(answer.clone())),
        found(&json!({ "reference": "k-1", "id": "P1" }))
    );
    assert_eq!(
        weighed(
            &probing(json!({ "result": "data" })),
            Outcome::returned(answer)
        ),
        found(&json!([{ "reference": "k-1", "id": "P1" }]))
    );
}

fn found(value: &Value) -> Finding {
    Finding::Landed(value.to_string())
}

#[test]
fn only_a_sound_answer_shows_that_nothing_is_there() {
    let policy = probing(json!({}));
    assert_eq!(
        weighed(&policy, Outcome::returned(json!({ "data": [] }))),
        Finding::Absent
    );
    assert_eq!(
        weighed(
            &policy,
            Outcome::returned(json!({ "data": [{ "reference": "k-2" }] }))
        ),
        Finding::Absent
    );
    for silent in [
        Outcome::unanswered("timed out"),
        semel_guest::Failure::new("busy").status(503).into(),
    ] {
        assert_eq!(weighed(&policy, silent), Finding::Unsettled(30_000));
    }
}

#[test]
fn absence_may_be_described_and_nothing_else_is_absence_then() {
    let policy = probing(json!({ "absent": { "status": 404 }, "again": "5s" }));
    assert_eq!(
        weighed(&policy, semel_guest::Failure::new("no").status(404)),
        Finding::Absent
    );
    assert_eq!(
        weighed(&policy, Outcome::returned(json!({ "data": [] }))),
        Finding::Unsettled(5_000)
    );
}

#[test]
fn something_else_in_its_place_is_a_persons() {
    let policy = probing(json!({ "conflicting": { "at": "/data/0/reference" } }));
    let other = json!({ "data": [{ "reference": "k-2" }] });
    assert!(matches!(
        weighed(&policy, Outcome::returned(other)),
        Finding::Conflicting(_)
    ));
}

#[test]
fn an_effect_without_its_outcome_is_a_persons() {
    let policy = probing(json!({ "result": "/none" }));
    let answer = json!({ "data": [{ "reference": "k-1" }] });
    assert!(matches!(
        weighed(&policy, Outcome::returned(answer)),
        Finding::Conflicting(_)
    ));
}
