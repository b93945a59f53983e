//! What a call means: identity, content and noise, and the words in which a model is told what is missing.

use semel_guest::{Field, Form, Place, Repeats, Scope, Until, json};

use super::*;

fn refund() -> Intent {
    policy(
        json!({ "operation": "refund", "identity": ["order_id"], "content": ["/details/reason"] }),
    )
}

#[test]
fn unnamed_arguments_are_noise() {
    let of = |note| {
        operation(
            &refund(),
            &Call::new("t", json!({ "order_id": "A1", "note": note })),
        )
    };
    assert_eq!(of("please"), of("now"));
    assert_eq!(of("x").identity, [Field::new("order_id", "A1")]);
}

#[test]
fn missing_empty_and_null_identity_are_told_by_name() {
    for (arguments, how) in [
        (json!({}), "missing"),
        (json!({ "order_id": null }), "missing"),
        (json!({ "order_id": "" }), "empty"),
        (json!({ "order_id": "  " }), "empty"),
        (json!({ "order_id": [] }), "empty"),
        (json!({ "order_id": {} }), "empty"),
    ] {
        let mistake = refund()
            .derive(&Call::new("t", arguments.clone()))
            .unwrap_err();
        assert!(
            mistake.contains("`/order_id`") && mistake.contains(how),
            "{arguments}: {mistake}"
        );
    }
}

#[test]
fn zero_and_false_are_values() {
    for value in [json!(0), json!(false)] {
        assert_eq!(
            operation(&refund(), &Call::new("t", json!({ "order_id": value })))
                .identity
                .len(),
            1
        );
    }
}

#[test]
fn content_that_is_not_there_is_left_out() {
    let of = |arguments| operation(&refund(), &Call::new("t", arguments)).content;
    assert_eq!(
        of(json!({ "order_id": "A1", "details": { "reason": null } })),
        of(json!({ "order_id": "A1" }))
    );
    assert_eq!(
        of(json!({ "order_id": "A1", "details": { "reason": "late" } })),
        [Field::new("details/reason", "late")]
    );
}

#[test]
fn without_a_name_the_operation_is_called_like_the_tool() {
    let policy = policy(json!({ "identity": ["id"] }));
    let operation = operation(&policy, &Call::new("delete_user", json!({ "id": 7 })));
    assert_eq!(operation.name, None);
    assert_eq!(
        (operation.scope, operation.until),
        (Scope::Tenant, Until::Window)
    );
    assert_eq!(
        (operation.window_seconds, operation.attempt_seconds),
        (30 * 86_400, 120)
    );
    assert_eq!(operation.target, None);
}

#[test]
fn what_the_settings_say_of_reach_and_time_is_what_the_host_hears() {
    let policy = policy(json!({
        "identity": ["id"], "scope": "run", "until": "delivery", "window": "24h", "attempt": 60,
        "target": { "header": "Idempotency-Key", "metadata": "key", "form": "hex40", "repeats": "replayed", "remembers": "24h" },
    }));
    let operation = operation(&policy, &Call::new("t", json!({ "id": 7 })));
    assert_eq!(
        (operation.scope, operation.until),
        (Scope::Run, Until::Delivery)
    );
    assert_eq!(
        (operation.window_seconds, operation.attempt_seconds),
        (86_400, 60)
    );
    let target = operation.target.unwrap();
    assert_eq!(
        target.places,
        [
            Place::Header("Idempotency-Key".into()),
            Place::Metadata("key".into())
        ]
    );
    assert_eq!(
        (target.form, target.repeats, target.remembers_seconds),
        (Form::Hex(40), Repeats::Replayed, Some(86_400))
    );
}

#[test]
fn an_argument_that_carries_the_key_is_given_by_name_or_pointer() {
    for at in ["client_token", "/client_token"] {
        let policy = policy(
            json!({ "identity": ["id"], "target": { "argument": at, "repeats": "rejected" } }),
        );
        let target = operation(&policy, &Call::new("t", json!({ "id": 7 })))
            .target
            .unwrap();
        assert_eq!(target.places, [Place::Argument("/client_token".into())]);
        assert_eq!(
            (target.form, target.remembers_seconds),
            (Form::Uuid(8), None)
        );
    }
}

#[test]
fn idempotent_by_nature_needs_no_place_and_is_so_for_ever() {
    let policy = policy(
        json!({ "identity": ["id"], "target": { "repeats": "harmless", "remembers": "forever" } }),
    );
    let target = operation(&policy, &Call::new("t", json!({ "id": 7 })))
        .target
        .unwrap();
    assert_eq!(
        (target.places.len(), target.remembers_seconds),
        (0, Some(u32::MAX))
    );
}

#[test]
fn a_tool_that_only_reads_passes() {
    let policy = policy(json!({ "read_only": true }));
    assert_eq!(
        policy.derive(&Call::new("get_order", json!({}))).unwrap(),
        Derivation::Pass
    );
}

#[test]
fn what_it_undoes_must_be_told_by_the_arguments() {
    let policy = policy(json!({ "identity": ["id"], "undoes": ["order/{/order_id}"] }));
    assert!(
        policy
            .derive(&Call::new("t", json!({ "id": 7 })))
            .unwrap_err()
            .contains("/order_id")
    );
}
