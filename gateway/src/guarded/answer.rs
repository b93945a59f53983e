//! What the client and its model get for a guarded call.
//!
//! An answer that is the server's own result stays byte for byte, but for a word in its `_meta`. Any other is a result
//! with `isError`, because models read results and not errors of the protocol.

use super::outcome;
use crate::wire::{Id, Members, Message, meta};
use semel::words::{Answer, Next};
use serde_json::json;

/// The response for `answer`. `own` is what the server answered to this very call, if it was sent.
pub(super) fn response(id: &Id, answer: &Answer, own: Option<&Message>, has_output_schema: bool) -> Message {
    match (answer, own) {
        (Answer::Passed { .. } | Answer::Executed { .. }, Some(own)) => marked(own, answer),
        (Answer::Passed { outcome, .. } | Answer::Executed { outcome, .. }, None)
        | (Answer::Replayed { outcome: Some(outcome), .. }, _) => match outcome::as_response(outcome) {
            Some((member, body)) => marked(&Message::response(Some(id), member, &body.to_string()), answer),
            None => told(id, answer, has_output_schema),
        },
        _ => told(id, answer, has_output_schema),
    }
}

/// The same response with what Semel says of it in its `_meta`. What passes is not touched, and an error has none.
fn marked(response: &Message, answer: &Answer) -> Message {
    if matches!(answer, Answer::Passed { .. }) {
        return response.clone();
    }
    let marked = || -> Option<Message> {
        let mut result = Members::read(response.body()?).ok()?;
        let mut own = result.object("_meta").ok()?;
        put_meta(&mut own, answer).ok()?;
        result.set("_meta", &own).ok()?;
        Some(response.with_body(&serde_json::to_string(&result).ok()?))
    };
    marked().filter(|_| response.kind() == crate::wire::Kind::Result).unwrap_or_else(|| response.clone())
}

fn put_meta(own: &mut Members, answer: &Answer) -> Result<(), serde_json::Error> {
    own.set(meta::ANSWER, &answer.word())?;
    if let Some(about) = answer.about() {
        own.set(meta::OPERATION, &about.operation)?;
        own.set(meta::RECORDED, &about.recorded)?;
    }
    own.set(meta::NEXT, &answer.next())
}

/// A result that says what happened, what stands, and what to do.
fn told(id: &Id, answer: &Answer, has_output_schema: bool) -> Message {
    let text = format!("{} {}", happened(answer), advice(&answer.next()));
    let mut result = Members::default();
    let written = || -> Result<String, serde_json::Error> {
        result.set("content", &json!([{ "type": "text", "text": text }]))?;
        if !has_output_schema {
            result.set("structuredContent", &json!({ "semel": { "answer": answer.word(), "next": answer.next() } }))?;
        }
        result.set("isError", &true)?;
        let mut own = Members::default();
        put_meta(&mut own, answer)?;
        result.set("_meta", &own)?;
        serde_json::to_string(&result)
    };
    Message::response(Some(id), "result", &{ written }().unwrap_or_else(|_| r#"{"isError":true}"#.to_owned()))
}

/// What happened, and what stands.
fn happened(answer: &Answer) -> String {
    match answer {
        Answer::Passed { .. } => "The tool gave no answer, and whether it took effect is not known.".to_owned(),
        Answer::Executed { reason, .. } => format!("The tool ran and gave no usable answer: {reason}."),
        Answer::Replayed { .. } => "This was done before, and its result is no longer kept.".to_owned(),
        Answer::Running { .. } => "The same call is under way already; this one was not sent.".to_owned(),
        Answer::InDoubt { reason, .. } => format!("Outcome unknown: it may have taken effect ({reason})."),
        Answer::Held { reason, .. } => format!("Outcome unknown: it may have taken effect ({reason})."),
        Answer::Conflict { standing, .. } => format!(
            "Not sent: the same operation was called with other content, and that call stands as {}.",
            standing.state
        ),
        Answer::Expired { .. } => {
            "This was done before, so it was not sent again; its result is no longer kept.".to_owned()
        }
        Answer::Refused { reason, .. } => format!("Not sent: {reason}."),
    }
}

/// What to do.
fn advice(next: &Next) -> String {
    let soon = |after: &Option<u64>| after.map_or_else(String::new, |ms| format!(" after {} s", ms.div_ceil(1_000)));
    match next {
        Next::Nothing => "Do not call again.".to_owned(),
        Next::CallAgain { after_ms } => format!("You may call again{}.", soon(after_ms)),
        Next::AskAgain { after_ms } => {
            format!(
                "Make the very same call again{} to learn what became of it; nothing is sent by that.",
                soon(after_ms)
            )
        }
        Next::AskAPerson => "Do not call again: a person must decide (`semel ledger decide`).".to_owned(),
        Next::CorrectTheCall => "Correct the call before you make it again.".to_owned(),
    }
}
