//! A policy that keeps the contract is understood in every function of it.

use crate::{assemble::Guest, call, engine, load};
use semel::{
    engine::{LoadError, PolicyErrorKind, PolicyFunction},
    model::{
        Attempt, Derivation, Effect, Field, OperationLifetime, Outcome, Probe, ProbeVerdict,
        Recovery, Scope,
    },
};
use serde_json::json;

const ONCE: &str = "(return (i32.const 1280))";
const ERROR: &str = "(return (i32.const 1440))";
const REFUSE: &str = "(return (i32.const 1456))";

pub(crate) fn attempts() -> Vec<Attempt> {
    vec![Attempt {
        number: 1,
        started_at_ms: 1_700_000_000_000,
        age_seconds: 3,
        key: "5e3e1000-0000-8000-8000-000000000001".to_owned(),
        outcome: Outcome::no_answer("timed out after 30 s"),
        facts: vec![Field {
            name: "step".to_owned(),
            value: json!(4).into(),
        }],
    }]
}

#[tokio::test]
async fn a_component_describes_itself() {
    let policy = load(&engine(), &Guest::lean()).await.unwrap();
    assert_eq!(policy.description().name, "lean");
    assert_eq!(policy.description().version, "1.0.0");
    assert_eq!(policy.description().key_epoch, 7);
    assert_eq!(policy.inspection().memories, 1);
    assert!(policy.inspection().code_bytes > 0);
}

#[tokio::test]
async fn every_word_of_derive_is_understood() {
    let engine = engine();
    let derive = async |slot: &str| {
        load(&engine, &Guest::lean().with("derive", slot))
            .await
            .unwrap()
            .derive(&call())
    };
    assert_eq!(derive("").await, Ok(Derivation::Pass));
    assert_eq!(
        derive(REFUSE).await,
        Ok(Derivation::Refuse("nothing is known".to_owned()))
    );
    let Ok(Derivation::Once(operation)) = derive(ONCE).await else {
        panic!("expected an operation")
    };
    assert_eq!(operation.name.as_deref(), Some("refund"));
    assert_eq!(
        operation.identity,
        [Field {
            name: "order".to_owned(),
            value: json!(17).into()
        }]
    );
    assert_eq!(
        (operation.scope, operation.until),
        (Scope::Tenant, OperationLifetime::Window)
    );
    assert_eq!(
        (operation.window_seconds, operation.attempt_seconds),
        (3600, 60)
    );
    let fault = derive(ERROR).await.unwrap_err();
    assert_eq!(
        fault.kind,
        PolicyErrorKind::Refused {
            message: "nothing is known".to_owned()
        }
    );
    assert_eq!(
        fault.to_string(),
        "the policy `lean` made no decision (`derive`): it refused: nothing is known"
    );
}

#[tokio::test]
async fn every_function_about_attempts_is_asked() {
    let policy = load(&engine(), &Guest::lean()).await.unwrap();
    let (call, attempts) = (call(), attempts());
    assert_eq!(
        policy.judge(&call, &attempts).unwrap().effect,
        Effect::Unknown
    );
    assert_eq!(
        policy.recover(&call, &attempts),
        Ok(Recovery::Hold("nothing is known".to_owned()))
    );
    let probe = Probe {
        tool: "find".to_owned(),
        arguments: json!({}).into(),
    };
    assert_eq!(
        policy.weigh(&call, &attempts, &probe, &Outcome::returned(json!([]))),
        Ok(ProbeVerdict::Absent)
    );
}

#[tokio::test]
async fn settings_that_the_policy_refuses_are_told_at_load() {
    let fault = load(&engine(), &Guest::lean().with("configure", ERROR))
        .await
        .unwrap_err();
    assert!(
        matches!(&fault, LoadError::Settings { policy, .. } if policy == "lean"),
        "{fault}"
    );
    assert_eq!(
        fault.to_string(),
        "the policy `lean` refuses its settings: nothing is known"
    );
}

#[tokio::test]
async fn a_decision_remembers_nothing_of_the_one_before() {
    // It answers `once` the first time that an instance is asked, and `pass` from then on.
    let guest = Guest::lean().with("items", "(global $asked (mut i32) (i32.const 0))").with(
        "derive",
        "(if (i32.eqz (global.get $asked)) (then (global.set $asked (i32.const 1)) (return (i32.const 1280))))",
    );
    let policy = load(&engine(), &guest).await.unwrap();
    let first = policy.derive(&call());
    assert!(matches!(first, Ok(Derivation::Once(_))));
    assert_eq!(first, policy.derive(&call()));
}

#[tokio::test]
async fn more_decisions_than_places_all_come_to_an_end() {
    let policy = load(&engine(), &Guest::lean().with("derive", ONCE))
        .await
        .unwrap();
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let policy = policy.clone();
            std::thread::spawn(move || (0..200).all(|_| policy.derive(&call()).is_ok()))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[tokio::test]
async fn component_and_settings_make_the_digest() {
    let engine = engine();
    let (one, other) = (
        Guest::lean().component(),
        Guest::lean().with("derive", ONCE).component(),
    );
    let digest =
        async |bytes: &[u8], settings| engine.load(bytes, settings).await.unwrap().digest();
    let plain = digest(&one, json!({ "a": 1, "b": 2 })).await;
    assert_eq!(plain, digest(&one, json!({ "b": 2, "a": 1 })).await);
    assert_ne!(plain, digest(&one, json!({ "a": 1, "b": 3 })).await);
    assert_ne!(plain, digest(&other, json!({ "a": 1, "b": 2 })).await);
}

#[tokio::test]
async fn more_than_a_policy_is_ever_given_is_refused_before_it_is_asked() {
    let policy = load(
        &crate::engine_with(|limits| limits.decision.input_bytes = 64),
        &Guest::lean(),
    )
    .await
    .unwrap();
    let large = semel::model::Call::new("note", json!({ "text": "x".repeat(100) })).unwrap();
    let fault = policy.derive(&large).unwrap_err();
    assert!(
        matches!(fault.kind, PolicyErrorKind::InputTooLarge { limit: 64, .. }),
        "{fault}"
    );
    assert_eq!(fault.function, PolicyFunction::Derive);
}
