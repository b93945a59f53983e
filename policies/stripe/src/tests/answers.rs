//! What Stripe's answers say of the effect: by its documents, and only as far as those go.

use semel_guest::Failure;

use super::*;

fn failed(status: u16, kind: &str, code: Option<&str>) -> Failure {
    let failure = Failure::new("request failed")
        .status(status)
        .details(body(kind, code));
    code.map_or(failure.clone(), |code| failure.code(code))
}

#[test]
fn every_documented_error_has_the_effect_that_the_documents_give_it() {
    for (status, kind, code, expected) in [
        (402, "card_error", Some("card_declined"), Effect::Refused),
        (
            400,
            "invalid_request_error",
            Some("charge_already_refunded"),
            Effect::Refused,
        ),
        (
            400,
            "invalid_request_error",
            Some("amount_too_large"),
            Effect::Refused,
        ),
        (
            404,
            "invalid_request_error",
            Some("resource_missing"),
            Effect::Refused,
        ),
        (401, "invalid_request_error", None, Effect::Refused),
        (403, "invalid_request_error", None, Effect::Refused),
        (400, "idempotency_error", None, Effect::Unknown),
        (
            409,
            "idempotency_error",
            Some("idempotency_key_in_use"),
            Effect::Unknown,
        ),
        (409, "invalid_request_error", None, Effect::Unknown),
        (424, "api_error", None, Effect::Unknown),
        (429, "rate_limit_error", Some("rate_limit"), Effect::Absent),
        (
            429,
            "invalid_request_error",
            Some("lock_timeout"),
            Effect::Absent,
        ),
        (500, "api_error", None, Effect::Unknown),
        (502, "api_error", None, Effect::Unknown),
        (503, "api_error", None, Effect::Unknown),
        (504, "api_error", None, Effect::Unknown),
        // A server error is one, whatever else it says of itself.
        (500, "card_error", Some("card_declined"), Effect::Unknown),
        (408, "invalid_request_error", None, Effect::Unknown),
    ] {
        assert_eq!(
            effect(failed(status, kind, code)),
            expected,
            "{status} {kind} {code:?}"
        );
    }
}

#[test]
fn only_what_is_certain_is_certain_by_status_alone() {
    for status in 100..=599 {
        let expected = match status {
            408 | 409 | 424 => Effect::Unknown,
            425 | 429 => Effect::Absent,
            400..=499 => Effect::Refused,
            _ => Effect::Unknown,
        };
        assert_eq!(
            effect(Failure::new("failed").status(status)),
            expected,
            "{status}"
        );
    }
}

#[test]
fn without_a_status_the_type_tells() {
    for (kind, code, expected) in [
        ("card_error", Some("card_declined"), Effect::Refused),
        ("invalid_request_error", None, Effect::Refused),
        (
            "invalid_request_error",
            Some("lock_timeout"),
            Effect::Absent,
        ),
        ("rate_limit_error", None, Effect::Absent),
        ("authentication_error", None, Effect::Refused),
        ("idempotency_error", None, Effect::Unknown),
        (
            "idempotency_error",
            Some("idempotency_key_in_use"),
            Effect::Unknown,
        ),
        ("api_error", None, Effect::Unknown),
        ("unheard_of_error", None, Effect::Unknown),
    ] {
        assert_eq!(
            effect(Failure::new("failed").details(body(kind, code))),
            expected,
            "{kind} {code:?}"
        );
    }
    assert_eq!(effect(Failure::new("socket hang up")), Effect::Unknown);
    assert_eq!(
        effect(Failure::new("exit status 1").code("exit-1")),
        Effect::Unknown
    );
}

#[test]
fn silence_is_judged_by_nobody() {
    assert_eq!(effect(Outcome::unanswered("timed out")), Effect::Unknown);
    assert_eq!(
        effect(Outcome::unsent("connection refused")),
        Effect::Absent
    );
    assert!(plain().judge(&refund(), &[]).is_err());
}

#[test]
fn an_error_is_found_in_whatever_wraps_it() {
    let declined = body("card_error", Some("card_declined"));
    let library = json!({ "type": "StripeCardError", "rawType": "card_error", "code": "card_declined", "statusCode": 402 });
    let text =
        json!({ "content": [{ "type": "text", "text": declined.to_string() }], "isError": true });
    let structured = json!({ "content": [], "structuredContent": declined, "isError": true });
    for wrapped in [
        declined.clone(),
        json!(declined.to_string()),
        library,
        text,
        structured,
        declined["error"].clone(),
    ] {
        assert_eq!(
            effect(Outcome::returned(wrapped.clone())),
            Effect::Refused,
            "{wrapped}"
        );
        assert_eq!(
            effect(Failure::new("x").details(wrapped.clone())),
            Effect::Refused,
            "{wrapped}"
        );
        assert_eq!(
            effect(Failure::new(wrapped.to_string())),
            Effect::Refused,
            "{wrapped}"
        );
    }
    let reason = judged(failed(402, "card_error", Some("card_declined"))).reason;
    assert_eq!(
        reason,
        "Stripe: card_error card_declined HTTP 402: so it is"
    );
}

#[test]
fn a_tool_that_admits_a_failure_without_saying_which_leaves_it_in_doubt() {
    let wrapped = json!({ "content": [{ "type": "text", "text": "no" }], "isError": true });
    for answer in [
        json!("Failed to create refund"),
        json!("Error: socket hang up"),
        wrapped,
    ] {
        assert_eq!(
            effect(Outcome::returned(answer.clone())),
            Effect::Unknown,
            "{answer}"
        );
    }
}

#[test]
fn what_was_made_has_a_name_for_later_calls() {
    let made = json!({ "id": "re_1", "object": "refund", "status": "succeeded" });
    for answer in [
        made.clone(),
        json!(made.to_string()),
        json!({ "content": [{ "type": "text", "text": made.to_string() }] }),
    ] {
        let verdict = judged(Outcome::returned(answer.clone()));
        assert_eq!(
            (verdict.effect, verdict.handles),
            (Effect::Landed, vec!["refund/re_1".to_owned()]),
            "{answer}"
        );
    }
    let captured = Call::new("capture_payment_intent", json!({ "id": "pi_1" }));
    let verdict = plain()
        .judge(
            &captured,
            &[Attempt::new(
                "k",
                Outcome::returned(json!({ "id": "pi_1" })),
            )],
        )
        .unwrap();
    assert_eq!(
        (verdict.effect, verdict.handles.len()),
        (Effect::Landed, 0),
        "it made nothing"
    );
}

#[test]
fn only_the_object_of_the_operation_shows_that_it_landed() {
    for answer in [
        json!("<html><head><title>502 Bad Gateway</title></head></html>"),
        json!("upstream connect error or disconnect/reset before headers"),
        json!("curl: (28) Operation timed out"),
        json!("refunded re_1"),
        json!(""),
        json!(null),
        json!(false),
        json!({}),
        json!([{ "object": "refund", "id": "re_1" }]),
        json!({ "message": "Internal server error" }),
        json!({ "error": "invalid_grant" }),
        json!({ "object": "refund" }),
        json!({ "object": "refund", "id": " " }),
        json!({ "object": "refund", "id": 7 }),
        json!({ "object": "charge", "id": "ch_1" }),
        json!({ "object": "charge", "id": "re_1" }),
        json!({ "id": "ch_1" }),
    ] {
        assert_eq!(
            effect(Outcome::returned(answer.clone())),
            Effect::Unknown,
            "{answer}"
        );
    }
    for answer in [
        json!({ "object": "refund", "id": "re_1", "status": "pending" }),
        json!({ "id": "re_1" }),
        json!({ "id": "pyr_1", "status": "succeeded" }),
    ] {
        assert_eq!(
            effect(Outcome::returned(answer.clone())),
            Effect::Landed,
            "{answer}"
        );
    }
}

#[test]
fn a_tool_that_is_not_known_lands_on_any_object_of_stripe() {
    let policy = policy(json!({ "unknown": "guard" }));
    let call = Call::new("create_coupon", json!({ "percent_off": 10 }));
    for (answer, expected) in [
        (
            json!({ "object": "coupon", "id": "Z4OV52SU" }),
            Effect::Landed,
        ),
        (json!({ "id": "Z4OV52SU" }), Effect::Unknown),
        (json!("created"), Effect::Unknown),
    ] {
        let attempt = Attempt::new("k", Outcome::returned(answer.clone()));
        assert_eq!(
            policy.judge(&call, &[attempt]).unwrap().effect,
            expected,
            "{answer}"
        );
    }
}

#[test]
fn a_payment_that_was_not_made_has_not_landed() {
    let judge = |tool: &str, arguments: Value, status: &str| {
        let answer = json!({ "object": "payment_intent", "id": "pi_1", "status": status });
        let attempt = Attempt::new("k", Outcome::returned(answer));
        plain()
            .judge(&Call::new(tool, arguments), &[attempt])
            .unwrap()
            .effect
    };
    let id = json!({ "payment_intent": "pi_1" });
    for (tool, arguments, status, expected) in [
        (
            "confirm_payment_intent",
            id.clone(),
            "succeeded",
            Effect::Landed,
        ),
        (
            "confirm_payment_intent",
            id.clone(),
            "requires_action",
            Effect::Landed,
        ),
        (
            "confirm_payment_intent",
            id.clone(),
            "requires_payment_method",
            Effect::Refused,
        ),
        (
            "confirm_payment_intent",
            id.clone(),
            "canceled",
            Effect::Refused,
        ),
        (
            "create_payment_intent",
            json!({ "amount": 5 }),
            "requires_payment_method",
            Effect::Landed,
        ),
        (
            "create_payment_intent",
            json!({ "confirm": true }),
            "requires_payment_method",
            Effect::Refused,
        ),
        ("cancel_payment_intent", id, "canceled", Effect::Landed),
    ] {
        assert_eq!(judge(tool, arguments, status), expected, "{tool} {status}");
    }
}

#[test]
fn a_refund_that_failed_at_once_gave_no_money_back() {
    for (status, expected) in [
        ("failed", Effect::Refused),
        ("canceled", Effect::Refused),
        ("pending", Effect::Landed),
        ("requires_action", Effect::Landed),
        ("succeeded", Effect::Landed),
    ] {
        assert_eq!(
            effect(Outcome::returned(json!({ "id": "re_1", "status": status }))),
            expected,
            "{status}"
        );
    }
}

#[test]
fn who_was_limited_or_not_admitted_may_soon_come_again() {
    assert!(
        judged(failed(429, "rate_limit_error", None))
            .retry_after_ms
            .unwrap()
            >= 1_000
    );
    assert!(
        judged(failed(401, "invalid_request_error", None))
            .retry_after_ms
            .unwrap()
            <= 60_000
    );
    assert_eq!(judged(failed(402, "card_error", None)).retry_after_ms, None);
}
