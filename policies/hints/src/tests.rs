#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use semel_guest::{Attempt, Effect, Failure, Outcome, Recovery, json, settings};

use super::*;

fn policy(settings: &str) -> Hints {
    Hints::configure(settings::read(settings).unwrap()).unwrap()
}

fn operation(call: &Call) -> Operation {
    match policy("{}").derive(call).unwrap() {
        Derivation::Once(operation) => operation,
        other => panic!("guarded, not {other:?}"),
    }
}

fn read_only() -> Call {
    Call::new("search", json!({ "text": "seats" })).with_fact("hint.read-only", true)
}

#[test]
fn a_claim_to_only_read_is_believed_of_a_trusted_server_only() {
    assert_eq!(
        policy(r#"{"trusted": true}"#).derive(&read_only()).unwrap(),
        Derivation::Pass
    );
    assert!(matches!(
        policy("{}").derive(&read_only()).unwrap(),
        Derivation::Once(_)
    ));
}

#[test]
fn the_host_may_say_that_the_server_is_trusted_and_the_tool_s_own_setting_outweighs_it() {
    let of_trusted = || read_only().with_fact("server.trusted", true);
    assert_eq!(
        policy("{}").derive(&of_trusted()).unwrap(),
        Derivation::Pass
    );
    let guarded = policy(r#"{"trusted": false}"#)
        .derive(&of_trusted())
        .unwrap();
    assert!(matches!(guarded, Derivation::Once(_)));
    let torn = of_trusted().with_fact("hint.destructive", true);
    assert!(matches!(
        policy("{}").derive(&torn).unwrap(),
        Derivation::Once(_)
    ));
}

#[test]
fn no_hint_or_a_contradiction_is_guarded_even_of_a_trusted_server() {
    let trusted = policy(r#"{"trusted": true}"#);
    let silent = Call::new("search", json!({ "text": "seats" }));
    let torn = read_only().with_fact("hint.destructive", true);
    for call in [
        silent,
        torn,
        read_only().with_fact("hint.read-only", "true"),
    ] {
        assert!(
            matches!(trusted.derive(&call).unwrap(), Derivation::Once(_)),
            "{call:?}"
        );
    }
}

#[test]
fn a_hint_changes_nothing_of_the_operation_of_an_untrusted_server() {
    let plain = Call::new("search", json!({ "text": "seats" }));
    let claims = read_only()
        .with_fact("hint.idempotent", true)
        .with_fact("hint.open-world", false);
    assert_eq!(operation(&plain), operation(&claims));
}

#[test]
fn every_argument_is_identity_until_delivery() {
    let operation = operation(&Call::new("pay", json!({ "to": "A1", "amount": 5 })));
    let [all] = operation.identity.as_slice() else {
        panic!("one field, not {:?}", operation.identity)
    };
    assert_eq!(
        (all.name.as_str(), all.value.as_str()),
        ("arguments", r#"[{"amount":5,"to":"A1"}]"#)
    );
    assert!(operation.content.is_empty());
    assert_eq!(
        (operation.until, operation.scope, operation.target),
        (Until::Delivery, Scope::Tenant, None)
    );
}

#[test]
fn a_known_run_bounds_it() {
    let call = |run| Call::new("pay", json!({ "to": "A1" })).with_fact("run", run);
    assert_eq!(operation(&call(json!("r-7"))).scope, Scope::Run);
    for unknown in [json!(""), json!(null)] {
        assert_eq!(operation(&call(unknown)).scope, Scope::Tenant);
    }
}

#[test]
fn the_operation_is_the_tool_of_its_server() {
    assert_eq!(operation(&Call::new("restart", json!({}))).name, None);
}

#[test]
fn arguments_of_different_shapes_never_meet() {
    let shapes = [
        json!({}),
        json!({ "tool": "restart" }),
        json!({ "arguments": [{}] }),
        json!({ "a": null }),
        json!({ "a": "" }),
        json!({ "a": " " }),
        json!({ "a": [] }),
        json!({ "a": {} }),
        json!({ "a": [null] }),
        json!({ "a": [""] }),
        json!({ "a": 0 }),
        json!({ "a": "0" }),
        json!({ "a": false }),
    ];
    let mut identities: Vec<_> = shapes
        .iter()
        .map(|arguments| operation(&Call::new("restart", arguments.clone())).identity)
        .map(|identity| format!("{identity:?}"))
        .collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), shapes.len(), "{identities:?}");
}

#[test]
fn arguments_that_are_no_object_are_refused() {
    assert!(policy("{}").derive(&Call::new("pay", json!([1]))).is_err());
}

#[test]
fn doubt_is_held() {
    let call = Call::new("pay", json!({ "to": "A1" }));
    let lost = [Attempt::new("key", Outcome::unanswered("timed out"))];
    let policy = policy(r#"{"trusted": true}"#);
    assert_eq!(policy.judge(&call, &lost).unwrap().effect, Effect::Unknown);
    assert!(matches!(
        policy.recover(&call, &lost).unwrap(),
        Recovery::Hold(_)
    ));
}

fn effect(settings: &str, failure: Failure) -> Effect {
    let call = Call::new("pay", json!({ "to": "A1" }));
    policy(settings)
        .judge(&call, &[Attempt::new("key", failure)])
        .unwrap()
        .effect
}

#[test]
fn what_the_server_turned_away_did_not_happen() {
    for code in ["-32600", "-32601", "-32602", "-32042"] {
        assert_eq!(
            effect("{}", Failure::new("no such tool").code(code)),
            Effect::Absent
        );
        assert_eq!(
            effect(
                "{}",
                Failure::new(format!("MCP error {code}: Tool x not found"))
            ),
            Effect::Absent
        );
    }
    for unknown in [
        Failure::new("internal error").code("-32603"),
        Failure::new("MCP error -32603: -32602"),
        Failure::new("MCP error -326020: no"),
        Failure::new("it said `MCP error -32602: no`"),
        Failure::new("no such file"),
        Failure::new("MCP error -32602: no").status(500),
    ] {
        assert_eq!(
            effect("{}", unknown.clone()),
            Effect::Unknown,
            "{unknown:?}"
        );
    }
}

#[test]
fn a_result_that_its_server_found_wrong_may_have_had_an_effect() {
    let said = "MCP error -32602: Output validation error: Tool pay has an output schema but no structured content";
    assert_eq!(effect("{}", Failure::new(said)), Effect::Unknown);
    assert_eq!(
        effect("{}", Failure::new(said).code("-32602")),
        Effect::Unknown
    );
}

fn of_call(call: &Call, said: &str) -> Effect {
    policy("{}")
        .judge(call, &[Attempt::new("key", Failure::new(said))])
        .unwrap()
        .effect
}

#[test]
fn what_libraries_write_before_a_tool_runs_is_known_to_the_letter() {
    let call = Call::new("bank_pay", json!({ "to": "A1" })).with_fact("server.tool", "pay");
    for said in [
        "Unknown tool: pay",
        "Unknown tool: 'pay'",
        "Input validation error: Invalid arguments for tool pay: Invalid input: expected number, received undefined",
        "Input validation error: 'amount' is a required property",
        "1 validation error for call[pay]\namount\n  Missing required argument [type=missing_argument, input_value={}]",
        "Error executing tool pay: 2 validation errors for payArguments\namount\n  Field required [type=missing]",
    ] {
        assert_eq!(of_call(&call, said), Effect::Absent, "{said}");
    }
    for said in [
        "Unknown tool: refund",
        "Unknown tool: bank_pay",
        "Unknown tool: pay is not one of mine any more, but was",
        "it said: Input validation error: no",
        "Output validation error: Input validation error: no",
        "1 validation error for call[refund]\namount",
        "1 validation error for payArguments\namount",
        "validation error for call[pay]\namount",
        "Error executing tool pay: 1 validation error for Receipt\nid\n  Field required",
        "Error executing tool pay: 1 validation error for payOutput\nid\n  Field required",
        "Error executing tool pay: Unknown tool: pay",
        "Error executing tool pay",
    ] {
        assert_eq!(of_call(&call, said), Effect::Unknown, "{said}");
    }
}

#[test]
fn words_are_believed_where_what_the_server_lists_bears_them_out() {
    let plain = || Call::new("pay", json!({ "to": "A1" }));
    let unlisted = plain().with_fact("server.lists-tool", false);
    let unfit = plain().with_fact("arguments.fit", false);
    for (call, said) in [
        (&unlisted, "Sorry, no such tool: pay"),
        (&unfit, "Invalid arguments for pay: amount is required"),
    ] {
        assert_eq!(of_call(call, said), Effect::Absent, "{said}");
        assert_eq!(
            of_call(&plain(), said),
            Effect::Unknown,
            "the words alone: {said}"
        );
        assert_eq!(
            of_call(call, "the bank is closed"),
            Effect::Unknown,
            "the lists alone"
        );
        let status = Failure::new(said).status(500);
        assert_eq!(
            policy("{}")
                .judge(call, &[Attempt::new("key", status)])
                .unwrap()
                .effect,
            Effect::Unknown
        );
    }
    assert_eq!(
        of_call(&unlisted, "Invalid arguments for pay: amount is required"),
        Effect::Unknown
    );
    assert_eq!(
        of_call(&unfit, "Output validation error: invalid input"),
        Effect::Unknown
    );
}

#[test]
fn the_operator_may_say_that_what_failed_did_nothing() {
    let absent = r#"{"failures": "absent"}"#;
    assert_eq!(effect(absent, Failure::new("no such file")), Effect::Absent);
    assert_eq!(
        effect(absent, Failure::new("failed").status(500)),
        Effect::Unknown
    );
    assert_eq!(
        effect(r#"{"failures": "unknown"}"#, Failure::new("no such file")),
        Effect::Unknown
    );
    let lost = [Attempt::new("key", Outcome::unanswered("timed out"))];
    let call = Call::new("pay", json!({ "to": "A1" }));
    assert_eq!(
        policy(absent).judge(&call, &lost).unwrap().effect,
        Effect::Unknown
    );
}

#[test]
fn a_wrong_setting_is_an_error() {
    for (settings, path) in [
        (json!({ "trust": true }), "`trust`"),
        (json!({ "trusted": "yes" }), "`trusted`"),
        (json!({ "failures": "landed" }), "`failures`"),
    ] {
        assert!(Hints::configure(settings).unwrap_err().contains(path));
    }
    assert!(Hints::configure(json!([])).is_err());
}

#[test]
fn the_schema_names_the_settings() {
    let schema: Value = serde_json::from_str(&Hints::describe().settings_schema).unwrap();
    assert_eq!(
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["failures", "trusted"]
    );
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
}
