//! From a server's response to an outcome, and back.

use crate::{
    link::Lost,
    wire::{Kind, Message},
};
use semel::words::{Failure, Outcome, Silence};
use serde_json::Value;

/// The longest message of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What the server's response says of the attempt.
pub(super) fn of_response(response: &Message) -> Outcome {
    let body = response.body().unwrap_or("null");
    // A body that the ledger's reader cannot hold is an answer all the same.
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    if response.kind() == Kind::Error {
        let message = body.get("message").and_then(Value::as_str).unwrap_or("the server answered an error").to_owned();
        let code = body.get("code").map(Value::to_string);
        return Outcome::Failed(Failure { message, code, status: None, details: Some(body) });
    }
    if body.get("isError") == Some(&Value::Bool(true)) {
        let message = text_of(&body);
        return Outcome::Failed(Failure { message, code: None, status: None, details: Some(body) });
    }
    Outcome::Returned(body)
}

/// What it says that no response came.
pub(super) fn of_loss(lost: Lost) -> Outcome {
    Outcome::Unanswered(Silence { reason: lost.reason, sent: lost.sent })
}

/// A recorded outcome as the response that it once was: the member's name, and its JSON.
pub(super) fn as_response(outcome: &Outcome) -> Option<(&'static str, Value)> {
    match outcome {
        Outcome::Returned(result) => Some(("result", result.clone())),
        Outcome::Failed(Failure { code: Some(_), details: Some(error), .. }) => Some(("error", error.clone())),
        Outcome::Failed(Failure { details: Some(result), .. }) => Some(("result", result.clone())),
        Outcome::Failed(_) | Outcome::Unanswered(_) => None,
    }
}

/// What a result says in text.
fn text_of(result: &Value) -> String {
    let parts = result.get("content").and_then(Value::as_array);
    let texts = parts.into_iter().flatten().filter_map(|part| part.get("text").and_then(Value::as_str));
    let text: Vec<_> = texts.collect();
    text.join("\n").chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Id;

    #[test]
    fn an_outcome_is_given_back_as_the_response_it_came_from() {
        for (member, body) in [
            ("result", r#"{"content":[{"text":"done","type":"text"}]}"#),
            ("result", r#"{"content":[{"text":"no","type":"text"}],"isError":true}"#),
            ("error", r#"{"code":-32602,"message":"no such tool"}"#),
        ] {
            let outcome = of_response(&Message::response(Some(&Id::Number(1)), member, body));
            let (given_member, given) = as_response(&outcome).unwrap_or_default();
            assert_eq!((given_member, given.to_string().as_str()), (member, body));
        }
    }
}
