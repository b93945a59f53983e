//! What answers mean: the first rule that holds, and careful defaults where none does.

use semel_guest::{Effect, Failure, json};

use super::*;

fn ruled(rules: Value) -> Intent {
    policy(json!({ "identity": ["id"], "verdict": rules }))
}

fn effect(when: Value, outcome: impl Into<Outcome>) -> Effect {
    let policy = ruled(json!([{ "when": when, "effect": "absent" }]));
    judged(&policy, &call(), outcome).effect
}

fn call() -> Call {
    Call::new("t", json!({ "id": "A1" }))
}

/// Whether the condition holds of the outcome.
fn holds(when: Value, outcome: impl Into<Outcome>) -> bool {
    effect(when, outcome) == Effect::Absent
}

#[test]
fn the_first_rule_that_holds_decides() {
    let policy = ruled(json!([
        { "when": { "code": "card_declined" }, "effect": "refused", "reason": "declined", "retry_after": "1h" },
        { "when": { "outcome": "failed" }, "effect": "unknown" },
    ]));
    let declined = judged(&policy, &call(), Failure::new("no").code("card_declined"));
    assert_eq!(
        (declined.effect, declined.reason.as_str()),
        (Effect::Refused, "declined")
    );
    assert_eq!(declined.retry_after_ms, Some(3_600_000));
    let other = judged(
        &policy,
        &call(),
        Failure::new("no").code("stolen").status(402),
    );
    assert_eq!(
        (other.effect, other.reason.as_str()),
        (Effect::Unknown, "rule `verdict[1]` of the settings")
    );
}

#[test]
fn without_a_rule_what_returned_landed_and_doubt_stays_doubt() {
    let policy = ruled(json!([]));
    assert_eq!(
        judged(&policy, &call(), Outcome::returned("done")).effect,
        Effect::Landed
    );
    assert_eq!(
        judged(&policy, &call(), Failure::new("boom")).effect,
        Effect::Unknown
    );
    assert_eq!(
        judged(&policy, &call(), Outcome::unanswered("timed out")).effect,
        Effect::Unknown
    );
}

#[test]
fn no_rule_judges_silence() {
    assert!(!holds(
        json!({ "text": "timed out" }),
        Outcome::unanswered("timed out")
    ));
}

#[test]
fn a_text_is_the_beginning_of_a_line_and_contains_is_anywhere() {
    let closed = json!({ "text": "Error: order is closed" });
    for printed in [
        "Error: order is closed",
        "(node:1) DeprecationWarning: punycode\nError: order is closed\n    at main.js:3",
        "\u{1b}[31mError: order is closed\u{1b}[0m\n",
        "Traceback (most recent call last):\r\n  File \"a.py\"\r\n  Error: order is closed",
    ] {
        assert!(holds(closed.clone(), Failure::new(printed)), "{printed}");
        assert!(
            holds(closed.clone(), Outcome::returned(printed)),
            "{printed}"
        );
    }
    let within = Failure::new("stripe.CardError: Error: order is closed");
    assert!(!holds(closed, within.clone()));
    assert!(holds(json!({ "contains": "order is closed" }), within));
    let at = json!({ "at": "/log", "contains": "{/id} is closed" });
    assert!(holds(
        at.clone(),
        Outcome::returned(json!({ "log": "so A1 is closed" }))
    ));
    assert!(!holds(
        at,
        Outcome::returned(json!({ "log": "so A2 is closed" }))
    ));
}

#[test]
fn only_what_the_setting_shows_has_landed() {
    let settings = json!({
        "identity": ["id"],
        "landed": { "at": "/refund/id" },
        "verdict": [{ "when": { "at": "/confirmation_required", "is": true }, "effect": "absent" }],
    });
    let policy = policy(settings);
    let effect = |outcome: Outcome| judged(&policy, &call(), outcome).effect;
    assert_eq!(
        effect(Outcome::returned(json!({ "refund": { "id": "re_1" } }))),
        Effect::Landed
    );
    let in_a_result =
        json!({ "content": [{ "type": "text", "text": "{\"refund\":{\"id\":\"re_1\"}}" }] });
    assert_eq!(effect(Outcome::returned(in_a_result)), Effect::Landed);
    for soft in [
        json!("Error: try again"),
        json!(null),
        json!({ "refund": { "id": null } }),
    ] {
        assert_eq!(
            effect(Outcome::returned(soft.clone())),
            Effect::Unknown,
            "{soft}"
        );
    }
    let asks = json!({ "confirmation_required": true });
    assert_eq!(
        effect(Outcome::returned(asks)),
        Effect::Absent,
        "a rule comes first"
    );
    let failed = Failure::new("no").code("closed").status(404);
    assert_eq!(
        effect(failed.into()),
        Effect::Refused,
        "it is about what returned"
    );
}

#[test]
fn an_exit_is_a_code() {
    let exit = |number: u8| Failure::new("x").code(format!("exit-{number}"));
    assert!(holds(json!({ "exit": 3 }), exit(3)));
    assert!(!holds(json!({ "exit": 3 }), exit(33)));
    assert!(holds(json!({ "exit": [3, 4] }), exit(4)));
    assert!(!holds(json!({ "exit": 3 }), Outcome::returned("exit-3")));
}

#[test]
fn a_status_is_one_or_a_class() {
    let status = |number| Failure::new("x").status(number);
    assert!(holds(json!({ "status": 503 }), status(503)));
    assert!(holds(json!({ "status": "5xx" }), status(503)));
    assert!(holds(json!({ "status": ["5xx", 404] }), status(404)));
    assert!(!holds(json!({ "status": "5xx" }), status(499)));
    assert!(!holds(json!({ "status": 503 }), Failure::new("503")));
}

#[test]
fn everything_that_is_given_must_hold() {
    let when = json!({ "code": "busy", "text": "Server" });
    assert!(holds(
        when.clone(),
        Failure::new("Server is busy").code("busy")
    ));
    assert!(!holds(
        when.clone(),
        Failure::new("Line is busy").code("busy")
    ));
    assert!(!holds(when, Failure::new("Server is busy")));
}

#[test]
fn a_place_is_found_in_whatever_wraps_it() {
    let plain = json!({ "state": "rejected", "n": 1 });
    let in_text = json!(plain.to_string());
    let in_content = json!({ "content": [{ "type": "text", "text": plain.to_string() }] });
    let structured = json!({ "content": [], "structuredContent": plain });
    for answer in [plain.clone(), in_text, in_content, structured] {
        assert!(
            holds(
                json!({ "at": "state", "is": "rejected" }),
                Outcome::returned(answer.clone())
            ),
            "{answer}"
        );
        assert!(
            holds(
                json!({ "at": "/state", "text": "rej" }),
                Outcome::returned(answer.clone())
            ),
            "{answer}"
        );
        assert!(
            holds(json!({ "at": "/n" }), Outcome::returned(answer.clone())),
            "{answer}"
        );
        assert!(
            !holds(
                json!({ "at": "/state", "is": "done" }),
                Outcome::returned(answer.clone())
            ),
            "{answer}"
        );
        assert!(!holds(json!({ "at": "/none" }), Outcome::returned(answer)));
    }
    assert!(holds(
        json!({ "at": "/n", "is": 1 }),
        Failure::new("x").details(plain.clone())
    ));
    assert!(holds(
        json!({ "at": "/n", "is": 1 }),
        Failure::new(plain.to_string())
    ));
}

#[test]
fn null_may_be_asked_for() {
    assert!(holds(
        json!({ "at": "/error", "is": null }),
        Outcome::returned(json!({ "error": null }))
    ));
    assert!(!holds(
        json!({ "at": "/error", "is": null }),
        Outcome::returned(json!({ "error": "x" }))
    ));
}

#[test]
fn a_text_is_matched_at_its_beginning() {
    let wrapped =
        json!({ "content": [{ "type": "text", "text": " Error: no seats" }], "isError": true });
    for outcome in [
        Outcome::returned("Error: no seats"),
        Outcome::returned(wrapped),
        Failure::new("Error: no seats").into(),
    ] {
        assert!(holds(json!({ "text": "Error: no" }), outcome));
    }
    assert!(!holds(
        json!({ "text": "no seats" }),
        Outcome::returned("Error: no seats")
    ));
}

#[test]
fn a_text_may_name_an_argument() {
    let when = json!({ "text": "order {/id} is closed" });
    assert!(holds(
        when.clone(),
        Outcome::returned("order A1 is closed already")
    ));
    assert!(!holds(
        when,
        Outcome::returned("order A2 is closed already")
    ));
}

#[test]
fn a_result_that_says_it_is_an_error_has_not_landed_unasked() {
    let wrapped = json!({ "content": [{ "type": "text", "text": "boom" }], "isError": true });
    let verdict = judged(&ruled(json!([])), &call(), Outcome::returned(wrapped));
    assert_eq!(verdict.effect, Effect::Unknown);
    assert!(verdict.reason.contains("boom"));
}

#[test]
fn handles_are_made_of_outcome_and_arguments_and_left_out_where_they_cannot_be() {
    let policy = policy(json!({
        "identity": ["id"], "handles": ["order/{arguments:/id}/{/part}"], "undoes": ["part/{outcome:/replaced}"],
    }));
    let named = judged(
        &policy,
        &call(),
        Outcome::returned(json!({ "part": 7, "replaced": "P6" })),
    );
    assert_eq!(
        (named.handles, named.undid),
        (vec!["order/A1/7".to_owned()], vec!["part/P6".to_owned()])
    );
    let bare = judged(&policy, &call(), Outcome::returned("done"));
    assert_eq!(
        (bare.effect, bare.handles.len(), bare.undid.len()),
        (Effect::Landed, 0, 0)
    );
    assert!(
        bare.reason.contains("/part") && bare.reason.contains("/replaced"),
        "{}",
        bare.reason
    );
}
