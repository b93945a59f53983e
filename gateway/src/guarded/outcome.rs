//! From a server's response to an outcome, and back.
//!
//! An outcome is a JSON value, whose numbers have 64 bits and whose depth has a limit. A result that it cannot hold keeps its own
//! text beside, so that a replay has every digit of it.

use crate::{
    link::Lost,
    wire::{Kind, Members, Message, meta},
};
use semel::model::{Failure, MissingAnswer, Outcome};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The longest message of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// How many digits a number may have so that a value certainly holds all of them.
const DIGITS_MAX: usize = 15;

/// What the server's response says of the attempt.
pub(super) fn of_response(response: &Message) -> Outcome {
    let text = response.body().unwrap_or("null");
    let (mut body, is_whole) = match serde_json::from_str(text) {
        Ok(body) => (body, true),
        Err(_) => (readable_part(text), false),
    };
    if response.kind() == Kind::Error {
        let message = body
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("the server answered an error")
            .to_owned();
        let code = body.get("code").map(Value::to_string);
        return Outcome::Failed(Failure {
            message,
            code,
            status: None,
            details: Some(body),
        });
    }
    forget_text(&mut body);
    if !is_whole || has_long_numbers(text) {
        keep_text(&mut body, text);
    }
    if body.get("isError") == Some(&Value::Bool(true)) {
        let message = text_of(&body);
        return Outcome::Failed(Failure {
            message,
            code: None,
            status: None,
            details: Some(body),
        });
    }
    Outcome::Returned(body)
}

/// The members that a value can hold of a body that it cannot: one is nested too deeply, say, or holds half a letter. What they
/// say of the effect counts all the same.
fn readable_part(text: &str) -> Value {
    let members = Members::read(text).unwrap_or_default();
    let readable = members.names().filter_map(|name| {
        let value = serde_json::from_str(members.get(name)?).ok()?;
        Some((name.to_owned(), value))
    });
    Value::Object(readable.collect())
}

/// What it says that no response came.
pub(super) fn of_loss(lost: Lost) -> Outcome {
    Outcome::Unanswered(MissingAnswer {
        reason: lost.reason,
        sent: lost.sent,
    })
}

/// A recorded outcome as the response that it once was: the member's name, and its JSON.
pub(super) fn as_response(outcome: &Outcome) -> Option<(&'static str, String)> {
    let body = body_of(outcome)?;
    if matches!(outcome, Outcome::Failed(_)) && body.get("code").is_some() {
        return Some(("error", body.to_string()));
    }
    let kept = body
        .get("_meta")
        .and_then(|own| own.get(meta::TEXT))
        .and_then(Value::as_str);
    Some((
        "result",
        kept.map_or_else(|| body.to_string(), ToOwned::to_owned),
    ))
}

/// What the server said, result or error, as a value.
pub(super) fn as_json(outcome: &Outcome) -> Option<Value> {
    let mut body = body_of(outcome)?.into_owned();
    forget_text(&mut body);
    Some(body)
}

/// What was answered as a result, whoever recorded it: a person, or another door, may have written another value.
fn body_of(outcome: &Outcome) -> Option<Cow<'_, Value>> {
    let (body, is_error) = match outcome {
        Outcome::Returned(result) => (result, false),
        Outcome::Failed(Failure {
            details: Some(body),
            ..
        }) => (body, true),
        Outcome::Failed(Failure { message, .. }) => {
            return Some(Cow::Owned(as_result(message, true)));
        }
        Outcome::Unanswered(_) => return None,
    };
    let is_whole = ["content", "structuredContent", "code"]
        .iter()
        .any(|member| body.get(member).is_some());
    Some(if is_whole {
        Cow::Borrowed(body)
    } else {
        Cow::Owned(as_result(&body.to_string(), is_error))
    })
}

fn as_result(text: &str, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

/// Whether a number is longer than a value certainly holds. Digits within texts may be taken for one: that costs room only.
fn has_long_numbers(json: &str) -> bool {
    let mut digits = 0;
    json.bytes().any(|byte| {
        digits = match byte {
            b'0'..=b'9' => digits + 1,
            b'.' => digits,
            _ => 0,
        };
        digits > DIGITS_MAX
    })
}

fn keep_text(body: &mut Value, text: &str) {
    let Some(result) = body.as_object_mut() else {
        return;
    };
    let own = result
        .entry("_meta")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Some(own) = own.as_object_mut() {
        own.insert(meta::TEXT.to_owned(), Value::from(text));
    }
}

/// Takes that text out, or what a server wrote under its name.
fn forget_text(body: &mut Value) {
    if let Some(own) = body.get_mut("_meta").and_then(Value::as_object_mut) {
        own.remove(meta::TEXT);
    }
}

/// What a result says in text.
fn text_of(result: &Value) -> String {
    let parts = result.get("content").and_then(Value::as_array);
    let texts = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part.get("text").and_then(Value::as_str));
    let text: Vec<_> = texts.collect();
    text.join("\n").chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Id;

    fn there_and_back(member: &str, body: &str) -> (String, String) {
        let outcome = of_response(&Message::response(Some(&Id::Number(1)), member, body));
        let (member, body) = as_response(&outcome).unwrap_or_default();
        (member.to_owned(), body)
    }

    #[test]
    fn an_outcome_is_given_back_as_the_response_it_came_from() {
        for (member, body) in [
            ("result", r#"{"content":[{"text":"done","type":"text"}]}"#),
            (
                "result",
                r#"{"content":[{"text":"no","type":"text"}],"isError":true}"#,
            ),
            ("error", r#"{"code":-32602,"message":"no such tool"}"#),
        ] {
            assert_eq!(
                there_and_back(member, body),
                (member.to_owned(), body.to_owned())
            );
        }
    }

    #[test]
    fn a_replay_has_every_digit_of_a_long_number() {
        for number in [
            "123456789012345678901234567890",
            "0.12345678901234567890",
            "-18446744073709551616",
        ] {
            let body =
                format!(r#"{{"z":1,"structuredContent":{{"n":{number}}},"_meta":{{"own":true}}}}"#);
            assert_eq!(there_and_back("result", &body).1, body);
        }
        assert!(
            !has_long_numbers(r#"{"n":123456789012345,"m":1.5}"#),
            "the control: nothing is kept twice in vain"
        );
    }

    #[test]
    fn what_no_server_wrote_is_a_result_all_the_same() {
        let results = [
            (
                Outcome::Returned(json!("re_1")),
                r#"{"content":[{"text":"\"re_1\"","type":"text"}],"isError":false}"#,
            ),
            (
                Outcome::failed("exit status 1"),
                r#"{"content":[{"text":"exit status 1","type":"text"}],"isError":true}"#,
            ),
        ];
        for (outcome, result) in results {
            assert_eq!(as_response(&outcome), Some(("result", result.to_owned())));
        }
    }

    #[test]
    fn what_is_told_of_it_does_not_have_its_text_besides() {
        let outcome = of_response(&Message::response(
            Some(&Id::Number(1)),
            "result",
            r#"{"content":[],"n":1234567890123456789}"#,
        ));
        assert_eq!(
            as_json(&outcome),
            Some(json!({ "content": [], "n": 1_234_567_890_123_456_789_u64, "_meta": {} }))
        );
    }
}
