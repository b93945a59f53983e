//! A policy that passes its native tests and behaves differently as a component is not tested. Here the ready-made policies
//! run in the engine, in a fresh instance for each decision, like any other policy.

use semel::{
    engine::{Engine, Limits, LoadError, Policy},
    model::{
        Attempt, Call, Derivation, Effect, Failure, Field, KeyPlace, Operation, OperationLifetime,
        Outcome, Probe, ProbeVerdict, Recovery, Run, Scope,
    },
};
use serde_json::{Value, json};

async fn load_policy(name: &str, settings: Value) -> Result<Policy, LoadError> {
    let component = semel_policies::get(name).unwrap_or_else(|missing| panic!("{missing}"));
    Engine::new(Limits::default())
        .unwrap()
        .load(component, settings)
        .await
}

fn derive_operation(policy: &Policy, call: &Call) -> Operation {
    match policy.derive(call).unwrap() {
        Derivation::Once(operation) => *operation,
        other => panic!("guarded, not {other:?}"),
    }
}

fn call(arguments: Value) -> Call {
    Call::new("book_reservation", arguments).unwrap()
}

fn attempt(outcome: Outcome) -> Vec<Attempt> {
    let key = "5e3e1000-0000-8000-8000-000000000001".to_owned();
    vec![Attempt {
        number: 1,
        started_at_ms: 1_700_000_000_000,
        age_seconds: 3,
        key,
        outcome,
        facts: Vec::new(),
    }]
}

async fn load_intent() -> Policy {
    let settings = json!({
        "operation": "reservation.book",
        "identity": ["user_id", { "at": "flights", "as": "set" }],
        "content": [{ "at": "price", "as": "money" }],
        "target": { "header": "Idempotency-Key", "repeats": "replayed", "remembers": "1h" },
        "handles": ["reservation/{/reservation_id}"],
        "verdict": [
            { "when": { "text": "Error: payment amount" }, "effect": "absent", "reason": "nothing was booked" },
            { "when": { "exit": 3 }, "effect": "refused" },
        ],
        "probe": { "tool": "find", "arguments": { "reference": "{key}" }, "landed": { "at": "id" } },
    });
    load_policy("intent", settings).await.unwrap()
}

fn booking(price: Value, flights: &[&str]) -> Call {
    call(json!({ "user_id": "mia", "flights": flights, "price": price, "note": "please" }))
}

#[tokio::test]
async fn every_ready_made_policy_loads_and_says_what_it_is() {
    let named = [
        ("hints", json!({})),
        ("intent", json!({ "identity": ["id"] })),
        ("stripe", json!({})),
    ];
    for (name, settings) in named {
        let policy = load_policy(name, settings).await.unwrap();
        assert_eq!(
            (
                policy.description().name.as_str(),
                policy.description().key_epoch
            ),
            (name, 1)
        );
        assert_eq!(
            policy.description().settings_schema["type"],
            json!("object")
        );
    }
    assert_eq!(semel_policies::names(), ["hints", "intent", "stripe"]);
}

#[tokio::test]
async fn intent_tells_one_operation_however_it_is_written() {
    let policy = load_intent().await;
    let first = derive_operation(&policy, &booking(json!("10.00"), &["HAT136", "HAT039"]));
    assert_eq!(
        first,
        derive_operation(&policy, &booking(json!(10), &["HAT039", "HAT136"]))
    );
    assert_ne!(
        first.content,
        derive_operation(&policy, &booking(json!(11), &["HAT136", "HAT039"])).content
    );
    assert_ne!(
        first.identity,
        derive_operation(&policy, &booking(json!(10), &["HAT136"])).identity
    );
    assert_eq!(first.name.as_deref(), Some("reservation.book"));
}

#[tokio::test]
async fn intent_judges_recovers_and_weighs() {
    let policy = load_intent().await;
    let call = booking(json!(10), &["HAT136"]);
    let judge = |outcome| policy.judge(&call, &attempt(outcome)).unwrap();
    let landed = judge(Outcome::returned(json!({ "reservation_id": "HATHAT" })));
    assert_eq!(
        (landed.effect, landed.handles),
        (Effect::Landed, vec!["reservation/HATHAT".to_owned()])
    );
    let absent = judge(Outcome::returned(json!(
        "Error: payment amount does not add up"
    )));
    assert_eq!(
        (absent.effect, absent.reason.as_str()),
        (Effect::Absent, "nothing was booked")
    );
    let lost = attempt(Outcome::no_answer("timed out"));
    assert_eq!(policy.judge(&call, &lost).unwrap().effect, Effect::Unknown);
    assert!(matches!(
        policy.recover(&call, &lost).unwrap(),
        Recovery::Retry { .. }
    ));
    let forgotten: Vec<_> = lost
        .iter()
        .map(|attempt| Attempt {
            age_seconds: 3_600,
            ..attempt.clone()
        })
        .collect();
    let Recovery::Probe(probe) = policy.recover(&call, &forgotten).unwrap() else {
        panic!("a look")
    };
    assert_eq!(probe.arguments, json!({ "reference": lost[0].key }));
    let found = policy
        .weigh(
            &call,
            &forgotten,
            &probe,
            &Outcome::returned(json!({ "id": 7 })),
        )
        .unwrap();
    assert_eq!(found, ProbeVerdict::Landed(json!({ "id": 7 }).into()));
}

#[tokio::test]
async fn hints_guards_by_every_argument_within_the_run_until_delivery() {
    let policy = load_policy("hints", json!({})).await.unwrap();
    let call = call(json!({ "to": "A1", "note": "" })).with_fact("hint.read-only", json!(true));
    let guarded = derive_operation(&policy, &call);
    assert_eq!(guarded.name, None);
    assert_eq!(
        guarded.identity,
        [Field {
            name: "arguments".to_owned(),
            value: json!([{ "to": "A1", "note": "" }]).into()
        }]
    );
    assert_eq!(
        (guarded.scope, guarded.until),
        (Scope::Tenant, OperationLifetime::Delivery)
    );
    let in_run = call.clone().in_run(Run::new("r-7").unwrap());
    assert_eq!(derive_operation(&policy, &in_run).scope, Scope::Run);
    let trusting = load_policy("hints", json!({ "trusted": true }))
        .await
        .unwrap();
    assert_eq!(trusting.derive(&call).unwrap(), Derivation::Pass);
    let lost = attempt(Outcome::no_answer("timed out"));
    assert!(matches!(
        policy.recover(&call, &lost).unwrap(),
        Recovery::Hold(_)
    ));
    let found = policy
        .weigh(&call, &lost, &probe(), &Outcome::returned(json!({})))
        .unwrap();
    assert!(matches!(found, ProbeVerdict::Conflicting(_)));
}

#[tokio::test]
async fn stripe_guards_a_refund_by_its_payment_and_judges_what_stripe_says() {
    let policy = load_policy("stripe", json!({})).await.unwrap();
    let call = |arguments| Call::new("create_refund", arguments).unwrap();
    let refund =
        call(json!({ "payment_intent": "pi_1", "amount": 1000, "idempotencyKey": "random" }));
    let guarded = derive_operation(&policy, &refund);
    assert_eq!(
        guarded.identity,
        [Field {
            name: "payment_intent".to_owned(),
            value: json!("pi_1").into()
        }]
    );
    let places = guarded.target.unwrap().places;
    let expected = [
        KeyPlace::Header("Idempotency-Key".to_owned()),
        KeyPlace::Argument("/idempotencyKey".to_owned()),
    ];
    assert_eq!(places, expected);
    let judge = |outcome| policy.judge(&refund, &attempt(outcome)).unwrap();
    let landed = judge(Outcome::returned(
        json!({ "id": "re_1", "status": "succeeded" }),
    ));
    assert_eq!(
        (landed.effect, landed.handles),
        (Effect::Landed, vec!["refund/re_1".to_owned()])
    );
    let details = json!({ "error": { "type": "card_error", "code": "card_declined" } });
    let declined = Failure {
        status: Some(402),
        details: Some(details.into()),
        ..Failure::default()
    };
    assert_eq!(judge(Outcome::Failed(declined)).effect, Effect::Refused);
    let lost = attempt(Outcome::no_answer("timed out"));
    assert!(matches!(
        policy.recover(&refund, &lost).unwrap(),
        Recovery::Retry { .. }
    ));
    let unknown = policy
        .derive(&Call::new("stripe_magic", json!({})).unwrap())
        .unwrap();
    assert!(matches!(unknown, Derivation::Refuse(_)));
}

fn probe() -> Probe {
    Probe {
        tool: "find".to_owned(),
        arguments: json!({}).into(),
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_in_words_with_its_place() {
    let misspelt = load_policy("intent", json!({ "identity": ["id"], "windw": "1h" }))
        .await
        .unwrap_err();
    assert!(misspelt.to_string().contains("`windw`"), "{misspelt}");
    let misspelt = load_policy("hints", json!({ "trust": true }))
        .await
        .unwrap_err();
    assert!(misspelt.to_string().contains("`trust`"), "{misspelt}");
    let missing = load_intent()
        .await
        .derive(&call(json!({ "flights": ["HAT136"] })))
        .unwrap_err();
    assert!(
        missing.to_string().contains("`/user_id` is missing"),
        "{missing}"
    );
}
