//! In doubt: silence is asked about under the same key while Stripe certainly remembers it; an answer that Stripe keeps
//! would only come again, and is for a person.

use semel_guest::{Failure, Recovery};

use super::*;

fn failed(status: u16, kind: &str, code: Option<&str>) -> Outcome {
    Failure::new("failed")
        .status(status)
        .details(body(kind, code))
        .into()
}

fn lost() -> Outcome {
    Outcome::unanswered("timed out")
}

fn attempt(outcome: Outcome, age_seconds: u32) -> Attempt {
    Attempt {
        age_seconds,
        ..Attempt::new("k-1", outcome)
    }
}

fn recovered(outcomes: &[Outcome], age_seconds: u32) -> Recovery {
    let attempts: Vec<_> = outcomes
        .iter()
        .map(|outcome| attempt(outcome.clone(), age_seconds))
        .collect();
    plain().recover(&refund(), &attempts).unwrap()
}

fn is_sent_again(outcomes: &[Outcome]) -> bool {
    matches!(recovered(outcomes, 5), Recovery::Retry(_))
}

#[test]
fn silence_and_a_request_under_way_are_asked_about_again() {
    assert!(is_sent_again(&[lost()]));
    assert!(is_sent_again(&[failed(
        409,
        "idempotency_error",
        Some("idempotency_key_in_use")
    )]));
    assert!(is_sent_again(&[
        lost(),
        failed(429, "rate_limit_error", None)
    ]));
    assert!(is_sent_again(&[
        lost(),
        failed(401, "invalid_request_error", None)
    ]));
}

#[test]
fn a_server_error_is_asked_about_once_and_then_it_is_the_one_that_stripe_keeps() {
    let error = || failed(500, "api_error", None);
    assert!(is_sent_again(&[error()]));
    assert!(is_sent_again(&[lost(), error()]));
    assert!(!is_sent_again(&[error(), error()]));
    let Recovery::Hold(why) = recovered(&[error(), error()], 5) else {
        panic!("held")
    };
    assert!(why.contains("keeps") && why.contains("HTTP 500"), "{why}");
    let under_another_key = Attempt::new("k-0", error());
    let attempts = [under_another_key, attempt(error(), 5)];
    assert!(matches!(
        plain().recover(&refund(), &attempts).unwrap(),
        Recovery::Retry(_)
    ));
}

#[test]
fn a_server_that_was_not_reached_has_kept_nothing() {
    for status in [502, 503, 504] {
        assert!(
            is_sent_again(&[
                lost(),
                failed(status, "api_error", None),
                failed(status, "api_error", None)
            ]),
            "{status}"
        );
    }
}

#[test]
fn an_answer_that_would_only_come_again_is_for_a_person() {
    for answer in [
        failed(402, "card_error", Some("card_declined")),
        failed(400, "invalid_request_error", None),
        failed(400, "idempotency_error", None),
    ] {
        assert!(matches!(recovered(&[lost(), answer], 5), Recovery::Hold(_)));
    }
}

#[test]
fn a_key_that_stripe_may_have_forgotten_is_never_sent_again() {
    for (hours, again) in [(1, true), (23, true), (24, false), (25, false)] {
        assert_eq!(
            matches!(recovered(&[lost()], hours * 3_600), Recovery::Retry(_)),
            again,
            "{hours} h"
        );
    }
}

#[test]
fn a_tool_that_can_be_given_no_key_is_never_sent_again() {
    let policy = policy(json!({ "key": "none" }));
    assert!(matches!(
        policy.recover(&refund(), &[attempt(lost(), 1)]).unwrap(),
        Recovery::Hold(_)
    ));
}
