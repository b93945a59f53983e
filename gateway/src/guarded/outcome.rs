//! Conversion of a server's response to an outcome, and back.
//!
//! An outcome is a JSON value with a limited depth. A result that does not fit keeps its own text
//! too, so that a replay has all of it.

use crate::{
    layer::NoResponse,
    wire::{JsonMembers, Message, MessageKind, meta},
};
use semel::{
    json::{self, DEPTH_MAX, JsonLimits, JsonMap, JsonValue},
    model::{Failure, MissingAnswer, Outcome},
};
use serde_json::json;
use std::borrow::Cow;

/// The limits of a body that is kept as a value. Its length is bounded by the message that it came in.
const OUTCOME_LIMITS: JsonLimits = JsonLimits {
    bytes: usize::MAX,
    depth: DEPTH_MAX,
};

/// The longest message of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Returns the outcome that a server's response reports.
pub(super) fn from_response(response: &Message) -> Outcome {
    let text = response.body().unwrap_or("null");
    let parsed = json::parse(text, &OUTCOME_LIMITS);
    let is_complete = parsed.is_ok();
    let mut body = parsed.unwrap_or_else(|_| readable_members(text));
    if response.kind() == MessageKind::Error {
        let message = body
            .get("message")
            .and_then(JsonValue::as_str)
            .unwrap_or("the server answered with an error")
            .to_owned();
        let code = body.get("code").map(ToString::to_string);
        return Outcome::Failed(Failure {
            message,
            code,
            status: response.http_status(),
            retry_after_ms: response.retry_after_ms(),
            details: Some(body),
        });
    }
    // The name of the text's member is the gateway's: a server must not fill it.
    remove_own_text(&mut body);
    if !is_complete {
        insert_own_text(&mut body, text);
    }
    // A tool's own error is a result in the protocol, and a failure to a policy.
    if body.get("isError") == Some(&JsonValue::Bool(true)) {
        return Outcome::Failed(Failure {
            message: content_text(&body),
            code: None,
            status: None,
            retry_after_ms: None,
            details: Some(body),
        });
    }
    Outcome::Returned(body)
}

/// Returns the members that a value can hold of a body that it cannot hold as a whole, such as one
/// that is nested too deeply. What they say of the effect counts all the same.
fn readable_members(text: &str) -> JsonValue {
    let members = JsonMembers::read(text).unwrap_or_default();
    let mut readable = JsonMap::new();
    for name in members.names() {
        let value = members
            .get(name)
            .and_then(|text| json::parse(text, &OUTCOME_LIMITS).ok());
        if let Some(value) = value {
            readable.insert(name.to_owned(), value);
        }
    }
    JsonValue::Object(readable)
}

/// Returns the outcome of a request without a response.
pub(super) fn from_no_response(no_response: NoResponse) -> Outcome {
    Outcome::Unanswered(MissingAnswer {
        reason: no_response.reason,
        sent: no_response.sent,
    })
}

/// Returns a recorded outcome as the response that it once was: the member's name, and its JSON.
pub(super) fn to_response(outcome: &Outcome) -> Option<(&'static str, String)> {
    let body = response_body(outcome)?;
    if matches!(outcome, Outcome::Failed(_)) && body.get("code").is_some() {
        return Some(("error", body.to_string()));
    }
    let own_text = body
        .get("_meta")
        .and_then(|own| own.get(meta::TEXT))
        .and_then(JsonValue::as_str);
    let json = own_text.map_or_else(|| body.to_string(), ToOwned::to_owned);
    Some(("result", json))
}

/// Returns the server's result or error as a value.
pub(super) fn to_json(outcome: &Outcome) -> Option<JsonValue> {
    let mut body = response_body(outcome)?.into_owned();
    remove_own_text(&mut body);
    Some(body)
}

/// Returns the body of a response. A person or another front end may have recorded an outcome that
/// is no MCP result: it becomes the text of one.
fn response_body(outcome: &Outcome) -> Option<Cow<'_, JsonValue>> {
    let (body, is_error) = match outcome {
        Outcome::Returned(result) => (result, false),
        Outcome::Failed(Failure {
            details: Some(body),
            ..
        }) => (body, true),
        Outcome::Failed(Failure { message, .. }) => {
            return Some(Cow::Owned(text_result(message, true)));
        }
        Outcome::Unanswered(_) => return None,
    };
    let is_response = ["content", "structuredContent", "code"]
        .iter()
        .any(|member| body.get(member).is_some());
    Some(if is_response {
        Cow::Borrowed(body)
    } else {
        Cow::Owned(text_result(&body.to_string(), is_error))
    })
}

fn text_result(text: &str, is_error: bool) -> JsonValue {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }).into()
}

fn insert_own_text(body: &mut JsonValue, text: &str) {
    let Some(result) = body.as_object_mut() else {
        return;
    };
    let own = result
        .entry("_meta".to_owned())
        .or_insert_with(|| JsonValue::Object(JsonMap::new()));
    if let Some(own) = own.as_object_mut() {
        own.insert(meta::TEXT.to_owned(), text.into());
    }
}

fn remove_own_text(body: &mut JsonValue) {
    if let Some(own) = body.get_mut("_meta").and_then(JsonValue::as_object_mut) {
        own.remove(meta::TEXT);
    }
}

/// Returns the texts in a result's content.
fn content_text(result: &JsonValue) -> String {
    let Some(parts) = result.get("content").and_then(JsonValue::as_array) else {
        return String::new();
    };
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| part.get("text").and_then(JsonValue::as_str))
        .collect();
    texts.join("\n").chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::RequestId;

    fn there_and_back(member: &str, body: &str) -> (String, String) {
        let outcome = from_response(&Message::response(
            Some(&RequestId::Number(1)),
            member,
            body,
        ));
        let (member, body) = to_response(&outcome).unwrap_or_default();
        (member.to_owned(), body)
    }

    #[test]
    fn an_outcome_becomes_the_response_it_came_from() {
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
            "1.10",
            "1e999",
        ] {
            let body =
                format!(r#"{{"_meta":{{"own":true}},"structuredContent":{{"n":{number}}}}}"#);
            assert_eq!(there_and_back("result", &body).1, body);
        }
    }

    #[test]
    fn an_outcome_without_a_response_becomes_a_result() {
        let results = [
            (
                Outcome::returned(json!("re_1")),
                r#"{"content":[{"text":"\"re_1\"","type":"text"}],"isError":false}"#,
            ),
            (
                Outcome::failed("exit status 1"),
                r#"{"content":[{"text":"exit status 1","type":"text"}],"isError":true}"#,
            ),
        ];
        for (outcome, result) in results {
            assert_eq!(to_response(&outcome), Some(("result", result.to_owned())));
        }
    }

    #[test]
    fn the_server_s_body_has_no_own_text() {
        let outcome = from_response(&Message::response(
            Some(&RequestId::Number(1)),
            "result",
            r#"{"content":[],"n":1234567890123456789}"#,
        ));
        assert_eq!(
            to_json(&outcome),
            Some(json!({ "content": [], "n": 1_234_567_890_123_456_789_u64 }).into())
        );
    }
}
