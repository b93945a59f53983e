//! What the client and its model get for a guarded call.
//!
//! An answer that is the server's own result stays as it was, but for a word in its `_meta` and, where it is not plain
//! that it ran, a text after its content. Any other is a result with `isError`, because models read results and not errors
//! of the protocol; what the server itself said goes with it.
//!
//! `structuredContent` of ours stands only where the tool has no output schema: clients hold it against that, even in an
//! error. Where it stands it says everything, because some clients show nothing else to their model.

use super::{model_text::TextSubject, outcome};
use crate::wire::{Id, Kind, Members, Message, meta};
use semel::model::{Answer, Outcome};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

/// What an answer is written for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) id: &'a Id,
    pub(super) subject: TextSubject<'a>,
    /// Whether the tool's results have a schema.
    pub(super) has_output_schema: bool,
    /// Whether results say of what type they are, as since 2026-07-28.
    pub(super) has_result_types: bool,
}

impl Reader<'_> {
    /// The response for `answer`. `own` is what the server answered to this very call, if it was sent.
    pub(super) fn response(&self, answer: &Answer, own: Option<&Message>) -> Message {
        let result = match (answer, own) {
            (Answer::Passed { .. }, Some(own)) => return own.with_id(self.id),
            (Answer::Executed { .. } | Answer::Running { .. }, Some(own)) => {
                Some(own.with_id(self.id))
            }
            (Answer::Passed { outcome, .. } | Answer::Executed { outcome, .. }, None)
            | (
                Answer::Replayed {
                    outcome: Some(outcome),
                    ..
                },
                _,
            ) => outcome::as_response(outcome)
                .map(|(member, body)| Message::response(Some(self.id), member, &body)),
            _ => None,
        };
        match result {
            // An error of the protocol has no place for more.
            Some(error) if error.kind() == Kind::Error => error,
            Some(result) => self.marked(&result, answer).unwrap_or(result),
            None => self.told(answer),
        }
    }

    /// The same result with what there is to say beside it.
    fn marked(&self, response: &Message, answer: &Answer) -> Option<Message> {
        let mut result = Members::read(response.body()?).ok()?;
        let mut own = result.object("_meta").ok()?;
        put_meta(&mut own, answer).ok()?;
        result.set("_meta", &own).ok()?;
        self.complete(&mut result).ok()?;
        if let Some(text) = self.subject.note_beside_result(answer) {
            let mut content: Vec<Box<RawValue>> =
                serde_json::from_str(result.get("content").unwrap_or("[]")).ok()?;
            content.push(serde_json::value::to_raw_value(&text_part(&text)).ok()?);
            result.set("content", &content).ok()?;
        }
        Some(response.with_body(&serde_json::to_string(&result).ok()?))
    }

    /// What says of no type is complete, and says so where its reader wants that.
    fn complete(&self, result: &mut Members) -> Result<(), serde_json::Error> {
        if self.has_result_types && result.get("resultType").is_none() {
            result.set("resultType", &"complete")?;
        }
        Ok(())
    }

    /// A result that says what happened, what stands, and what to do, and what the server said.
    fn told(&self, answer: &Answer) -> Message {
        let body = self
            .written(answer)
            .unwrap_or_else(|_| r#"{"content":[],"isError":true}"#.to_owned());
        Message::response(Some(self.id), "result", &body)
    }

    fn written(&self, answer: &Answer) -> Result<String, serde_json::Error> {
        let (text, said) = (
            self.subject.text_without_result(answer),
            said(answer).and_then(outcome::as_json),
        );
        let mut content = vec![text_part(&text)];
        content.extend(said.as_ref().into_iter().flat_map(content_of));
        let (mut result, mut own) = (Members::default(), Members::default());
        put_meta(&mut own, answer)?;
        result.set("content", &content)?;
        if self.has_output_schema {
            if let Some(said) = said {
                own.set(meta::SERVER_SAID, &said)?;
            }
        } else {
            result.set(
                "structuredContent",
                &json!({ "semel": Told::of(answer, &text, said) }),
            )?;
        }
        result.set("isError", &true)?;
        self.complete(&mut result)?;
        result.set("_meta", &own)?;
        serde_json::to_string(&result)
    }
}

/// What the server said, of this call or of the one that stands.
fn said(answer: &Answer) -> Option<&Outcome> {
    match answer {
        Answer::Conflict { standing, .. } => standing.outcome.as_ref(),
        answer => answer.outcome(),
    }
}

/// The parts of what the server said as a model reads them.
fn content_of(said: &Value) -> Vec<Value> {
    match (
        said.get("content").and_then(Value::as_array),
        said.get("message").and_then(Value::as_str),
    ) {
        (Some(parts), _) => parts.clone(),
        (None, Some(message)) => vec![text_part(message)],
        (None, None) => vec![text_part(&said.to_string())],
    }
}

fn text_part(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// An answer for whoever reads structure only.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    answer: &'static str,
    text: &'a str,
    next: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stands: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_said: Option<Value>,
}

impl<'a> Told<'a> {
    fn of(answer: &'a Answer, text: &'a str, server_said: Option<Value>) -> Self {
        Self {
            answer: answer.word(),
            text,
            next: json!(answer.next()),
            operation: answer.about().map(|about| about.operation.as_str()),
            reason: reason(answer),
            stands: match answer {
                Answer::Conflict { standing, .. } => Some(standing.state.as_str()),
                _ => None,
            },
            server_said,
        }
    }
}

fn reason(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Executed { reason, .. }
        | Answer::InDoubt { reason, .. }
        | Answer::Held { reason, .. }
        | Answer::Refused { reason, .. } => Some(reason),
        Answer::Conflict { standing, .. } => standing.reason.as_deref(),
        Answer::Passed { .. }
        | Answer::Replayed { .. }
        | Answer::Running { .. }
        | Answer::Expired { .. } => None,
    }
}

fn put_meta(own: &mut Members, answer: &Answer) -> Result<(), serde_json::Error> {
    own.set(meta::ANSWER, &answer.word())?;
    if let Some(about) = answer.about() {
        own.set(meta::OPERATION, &about.operation)?;
        own.set(meta::RECORDED, &about.recorded)?;
        if !about.switches.is_empty() {
            own.set(meta::SWITCHES, &about.switches)?;
        }
    }
    own.set(meta::NEXT, &answer.next())
}

#[cfg(test)]
mod tests;
