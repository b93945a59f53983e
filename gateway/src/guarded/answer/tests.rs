#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

use super::*;
use semel::model::{
    AnswerSubject, ConflictState, Durability, Effect, Failure, MissingAnswer, NextStep,
    OperatorSwitch, RecordStatus, RecordedOperation, UnguardedReason,
};

fn about() -> AnswerSubject {
    AnswerSubject {
        operation: "refund".to_owned(),
        key: "k".to_owned(),
        generation: 1,
        attempt: 1,
        recorded: RecordStatus::Yes(Durability::PowerLoss),
        switches: Vec::new(),
    }
}

fn unrecorded() -> AnswerSubject {
    AnswerSubject {
        recorded: RecordStatus::No("the ledger is away".to_owned()),
        switches: vec![OperatorSwitch::OpenWithoutLedger],
        ..about()
    }
}

fn result(text: &str) -> Outcome {
    Outcome::returned(json!({ "content": [{ "type": "text", "text": text }] }))
}

fn failure(text: &str) -> Outcome {
    let details = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    Outcome::Failed(Failure {
        message: text.to_owned(),
        details: Some(details.into()),
        ..Failure::default()
    })
}

fn error(message: &str) -> Outcome {
    let details = json!({ "code": -32_603, "message": message });
    let code = Some("-32603".to_owned());
    Outcome::Failed(Failure {
        message: message.to_owned(),
        code,
        details: Some(details.into()),
        status: None,
        retry_after_ms: None,
    })
}

fn executed(
    about: AnswerSubject,
    outcome: Outcome,
    effect: Effect,
    reason: &str,
    next: NextStep,
) -> Answer {
    Answer::Executed {
        about,
        outcome,
        effect,
        reason: reason.to_owned(),
        next,
    }
}

fn in_doubt(
    about: AnswerSubject,
    reason: &str,
    outcome: Option<Outcome>,
    after_ms: Option<u64>,
) -> Answer {
    Answer::InDoubt {
        about,
        reason: reason.to_owned(),
        outcome,
        next: NextStep::AskAgain { after_ms },
    }
}

fn held(reason: &str, outcome: Option<Outcome>) -> Answer {
    Answer::Held {
        about: about(),
        reason: reason.to_owned(),
        outcome,
        next: NextStep::AskAPerson,
    }
}

fn conflict(
    state: ConflictState,
    outcome: Option<Outcome>,
    reason: Option<&str>,
    next: NextStep,
) -> Answer {
    let reason = reason.map(ToOwned::to_owned);
    let standing = RecordedOperation {
        state,
        outcome,
        handles: Vec::new(),
        reason,
    };
    Answer::Conflict {
        about: about(),
        standing,
        next,
    }
}

fn replayed(outcome: Option<Outcome>, effect: Effect, next: NextStep) -> Answer {
    Answer::Replayed {
        about: about(),
        outcome,
        effect,
        undo: None,
        next,
    }
}

fn running(continuation: Option<&str>) -> Answer {
    let continuation = continuation.map(ToOwned::to_owned);
    Answer::Running {
        about: about(),
        continuation,
        next: NextStep::AskAgain {
            after_ms: Some(1_000),
        },
    }
}

fn refused(reason: &str, next: NextStep) -> Answer {
    Answer::Refused {
        reason: reason.to_owned(),
        next,
    }
}

/// Every answer, with every reason that changes its text.
fn answers() -> Vec<(&'static str, Answer)> {
    let again = |after_ms| NextStep::CallAgain { after_ms };
    let lost = "no answer: the server ended";
    let unanswered = |sent| {
        Outcome::Unanswered(MissingAnswer {
            reason: "the server cannot be reached".to_owned(),
            sent,
        })
    };
    let passed = |outcome| Answer::Passed {
        why: UnguardedReason::Shadow,
        outcome,
    };
    vec![
        (
            "executed",
            executed(
                about(),
                result("refunded"),
                Effect::Landed,
                "",
                NextStep::Nothing,
            ),
        ),
        (
            "executed, not recorded",
            executed(
                unrecorded(),
                result("refunded"),
                Effect::Landed,
                "",
                NextStep::Nothing,
            ),
        ),
        (
            "executed, rejected",
            executed(
                about(),
                failure("no such charge"),
                Effect::Absent,
                "",
                again(None),
            ),
        ),
        (
            "executed, not sent",
            executed(
                about(),
                unanswered(false),
                Effect::Absent,
                "nothing was sent",
                again(None),
            ),
        ),
        (
            "executed, landed although it failed",
            executed(
                about(),
                failure("duplicate of refund re_1"),
                Effect::Landed,
                "a duplicate was rejected",
                NextStep::Nothing,
            ),
        ),
        (
            "executed, landed although it failed, not recorded",
            executed(
                unrecorded(),
                error("duplicate of refund re_1"),
                Effect::Landed,
                "a duplicate was rejected",
                NextStep::Nothing,
            ),
        ),
        (
            "replayed, landed although it failed",
            replayed(
                Some(error("duplicate of refund re_1")),
                Effect::Landed,
                NextStep::Nothing,
            ),
        ),
        ("passed, lost", passed(unanswered(true))),
        ("passed, not sent", passed(unanswered(false))),
        (
            "replayed",
            replayed(Some(result("refunded")), Effect::Landed, NextStep::Nothing),
        ),
        (
            "replayed, not kept",
            replayed(None, Effect::Landed, NextStep::Nothing),
        ),
        (
            "replayed, refused",
            replayed(
                Some(failure("declined")),
                Effect::Refused,
                again(Some(600_000)),
            ),
        ),
        (
            "replayed, refused by a person",
            replayed(None, Effect::Refused, NextStep::AskAPerson),
        ),
        (
            "replayed, an error of the protocol",
            replayed(Some(error("declined")), Effect::Refused, again(Some(5_000))),
        ),
        ("running", running(None)),
        ("running, waiting for an answer", running(Some("c"))),
        ("in doubt", in_doubt(about(), lost, None, Some(5_000))),
        (
            "in doubt, not recorded",
            in_doubt(unrecorded(), lost, None, None),
        ),
        (
            "in doubt, the server answered",
            in_doubt(about(), "it failed", Some(failure("disk full")), None),
        ),
        ("held", held(lost, Some(unanswered(true)))),
        (
            "held, the server answered",
            held("the tool failed", Some(failure("disk full"))),
        ),
        (
            "held, an error of the protocol",
            held("the tool failed", Some(error("boom"))),
        ),
        (
            "conflict, landed",
            conflict(
                ConflictState::Landed,
                Some(result("refunded 30")),
                None,
                NextStep::Nothing,
            ),
        ),
        (
            "conflict, landed, not kept",
            conflict(ConflictState::Landed, None, None, NextStep::Nothing),
        ),
        (
            "conflict, tombstone",
            conflict(ConflictState::Tombstone, None, None, NextStep::Nothing),
        ),
        (
            "conflict, in doubt",
            conflict(ConflictState::InDoubt, None, Some(lost), NextStep::Nothing),
        ),
        (
            "conflict, running",
            conflict(ConflictState::Running, None, None, again(Some(1_000))),
        ),
        (
            "conflict, waiting",
            conflict(ConflictState::Waiting, None, None, again(Some(1_000))),
        ),
        (
            "conflict, probing",
            conflict(ConflictState::Probing, None, Some(lost), again(Some(1_000))),
        ),
        (
            "conflict, held",
            conflict(ConflictState::Held, None, Some(lost), NextStep::AskAPerson),
        ),
        (
            "conflict, released",
            conflict(ConflictState::Released, None, None, NextStep::Nothing),
        ),
        (
            "conflict, refused",
            conflict(ConflictState::Refused, None, None, NextStep::Nothing),
        ),
        (
            "expired",
            Answer::Expired {
                about: about(),
                landed_at_ms: 1_795_000_000_000,
                next: NextStep::Nothing,
            },
        ),
        (
            "refused",
            refused("the argument `order` is missing", NextStep::CorrectTheCall),
        ),
        (
            "refused, the ledger is away",
            refused("the ledger cannot be used: locked", again(Some(5_000))),
        ),
        (
            "refused, the tool is not set up",
            refused("no policy is set up for the tool", NextStep::AskAPerson),
        ),
    ]
}

fn read(answer: &Answer, has_output_schema: bool) -> Value {
    let lookup_tools = ["get_refund".to_owned(), "list_refunds".to_owned()];
    let lookup_tools = if has_output_schema {
        &lookup_tools[..0]
    } else {
        &lookup_tools[..]
    };
    let id = RequestId::Number(7);
    let subject = TextSubject {
        tool: "refund",
        lookup_tools,
    };
    let message = ResponseBuilder {
        id: &id,
        subject,
        has_output_schema,
        has_result_types: false,
    }
    .response(answer, None);
    assert_eq!(message.id(), Some(&id));
    serde_json::from_str(message.text()).unwrap()
}

#[test]
fn what_a_model_reads() {
    let texts: Vec<_> = answers()
        .iter()
        .map(|(name, answer)| {
            let response = read(answer, false);
            format!(
                "## {name}\n{}",
                serde_json::to_string_pretty(response.get("result").unwrap_or(&response)).unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_result_with_a_schema_of_its_own_has_no_structure_of_ours() {
    for (name, answer) in answers() {
        let response = read(&answer, true);
        assert_eq!(response["result"].get("structuredContent"), None, "{name}");
        let says_what = response["result"]["_meta"]["dev.semel/answer"] == answer.word();
        assert!(says_what || response.get("error").is_some(), "{name}");
    }
    let (_, answer) = answers()
        .into_iter()
        .find(|(name, _)| *name == "held, the server answered")
        .unwrap();
    let said = &read(&answer, true)["result"]["_meta"]["dev.semel/server-said"];
    assert_eq!(said["content"][0]["text"], "disk full");
}

#[test]
fn the_server_s_own_words_are_there_wherever_it_answered() {
    for (name, answer) in answers() {
        let words = [
            "refunded",
            "no such charge",
            "declined",
            "disk full",
            "boom",
            "duplicate",
        ];
        let spoke = |outcome: &Outcome| !matches!(outcome, Outcome::Unanswered(_));
        if server_outcome(&answer).is_some_and(spoke) {
            let text = read(&answer, false).to_string();
            assert!(
                words.iter().any(|word| text.contains(word)),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn what_the_server_answered_to_this_call_stays_as_it_wrote_it() {
    let body = r#"{"z":1.10,"content":[ {"type":"text","text":"\u0041"}],"_meta":{"own":[1.0]}}"#;
    let own = Message::response(Some(&RequestId::Text("other".into())), "result", body);
    let id = RequestId::Number(7);
    let subject = TextSubject {
        tool: "refund",
        lookup_tools: &[],
    };
    let builder = ResponseBuilder {
        id: &id,
        subject,
        has_output_schema: false,
        has_result_types: false,
    };
    let plain = executed(
        about(),
        result("unused"),
        Effect::Landed,
        "",
        NextStep::Nothing,
    );
    let text = builder.response(&plain, Some(&own));
    let untouched = &body[..body.len() - 2];
    let added = r#","dev.semel/answer":"executed""#;
    assert!(
        text.body()
            .unwrap()
            .starts_with(&format!("{untouched}{added}")),
        "{}",
        text.text()
    );
    let passed = Answer::Passed {
        why: UnguardedReason::Policy,
        outcome: result("unused"),
    };
    assert_eq!(builder.response(&passed, Some(&own)).body(), Some(body));
}

#[test]
fn a_client_of_the_newer_version_reads_that_a_result_is_complete() {
    let id = RequestId::Number(7);
    let subject = TextSubject {
        tool: "refund",
        lookup_tools: &[],
    };
    for has_result_types in [true, false] {
        let builder = ResponseBuilder {
            id: &id,
            subject,
            has_output_schema: false,
            has_result_types,
        };
        for (name, answer) in answers() {
            let response: Value =
                serde_json::from_str(builder.response(&answer, None).text()).unwrap();
            let Some(result) = response.get("result") else {
                continue;
            };
            assert_eq!(
                result.get("resultType").is_some(),
                has_result_types,
                "{name}"
            );
        }
    }
    let asked = r#"{"resultType":"input_required","requestState":"s"}"#;
    let own = Message::response(Some(&id), "result", asked);
    let builder = ResponseBuilder {
        id: &id,
        subject,
        has_output_schema: false,
        has_result_types: true,
    };
    let response = builder.response(&running(Some("c")), Some(&own));
    assert!(
        response.text().contains("input_required"),
        "what has a type keeps it: {}",
        response.text()
    );
}
