//! The response that a client and its model get for a guarded call.
//!
//! A server's own result stays as it was, with a member added to its `_meta` and, where the call
//! did not simply run, a text added to its content. Any other answer becomes a result with
//! `isError`, because models read results and not protocol errors; what the server said goes with
//! it. An error of the server that means success, such as the rejection of a duplicate, becomes a success.
//!
//! The gateway's own `structuredContent` is set only where the tool has no output schema: clients
//! check it against that schema, even in an error. It repeats everything, because some clients show
//! nothing else to their model.

use super::{model_text::TextSubject, outcome};
use crate::wire::{JsonMembers, Message, MessageKind, RequestId, meta};
use semel::{
    json::JsonValue,
    model::{Answer, Outcome},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::BTreeMap;

/// Builds the response to one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseBuilder<'a> {
    pub(super) id: &'a RequestId,
    pub(super) subject: TextSubject<'a>,
    /// The tool declares a schema for its results.
    pub(super) has_output_schema: bool,
    /// Results declare their type, as since 2026-07-28.
    pub(super) has_result_types: bool,
}

impl ResponseBuilder<'_> {
    /// Returns the response for `answer`. `own_response` is the server's response to this very
    /// call, if it was sent.
    pub(super) fn response(&self, answer: &Answer, own_response: Option<&Message>) -> Message {
        if let Some(text) = self.subject.landed_failure(answer) {
            // Without `isError`, clients would check it against the tool's output schema, which an error does not fit.
            return self.own_response(answer, &text, self.has_output_schema);
        }
        let response = match (answer, own_response) {
            (Answer::Passed { .. }, Some(own)) => return own.with_id(self.id),
            // The server's own bytes, so that the result stays as it was written.
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
            ) => outcome::to_response(outcome)
                .map(|(member, body)| Message::response(Some(self.id), member, &body)),
            _ => None,
        };
        match response {
            // A protocol error has no place for more.
            Some(error) if error.kind() == MessageKind::Error => error,
            Some(response) => self.annotate(&response, answer).unwrap_or(response),
            None => self.own_response(answer, &self.subject.text_without_result(answer), true),
        }
    }

    /// Adds the answer's metadata, and a note if there is one, to a result. Returns `None` if the
    /// result cannot be read.
    fn annotate(&self, response: &Message, answer: &Answer) -> Option<Message> {
        let mut result = JsonMembers::read(response.body()?).ok()?;
        let mut own_meta = result.object("_meta").ok()?;
        set_meta(&mut own_meta, answer).ok()?;
        result.set("_meta", &own_meta).ok()?;
        self.set_result_type(&mut result).ok()?;
        if let Some(text) = self.subject.note_beside_result(answer) {
            let mut content: Vec<Box<RawValue>> =
                serde_json::from_str(result.get("content").unwrap_or("[]")).ok()?;
            content.push(serde_json::value::to_raw_value(&text_part(&text)).ok()?);
            result.set("content", &content).ok()?;
        }
        Some(response.with_body(&serde_json::to_string(&result).ok()?))
    }

    /// Declares a result without a type as complete, if the protocol version has types.
    fn set_result_type(&self, result: &mut JsonMembers) -> Result<(), serde_json::Error> {
        if self.has_result_types && result.get("resultType").is_none() {
            result.set("resultType", &"complete")?;
        }
        Ok(())
    }

    /// Returns a result of the gateway's own: what happened, what to do next, and what the server said.
    fn own_response(&self, answer: &Answer, text: &str, is_error: bool) -> Message {
        let body = self
            .own_result(answer, text, is_error)
            .unwrap_or_else(|_| r#"{"content":[],"isError":true}"#.to_owned());
        Message::response(Some(self.id), "result", &body)
    }

    fn own_result(
        &self,
        answer: &Answer,
        text: &str,
        is_error: bool,
    ) -> Result<String, serde_json::Error> {
        let server_said = server_outcome(answer).and_then(outcome::to_json);
        let mut content = vec![text_part(text)];
        if let Some(said) = &server_said {
            content.extend(content_parts(said));
        }
        let mut own_meta = JsonMembers::default();
        set_meta(&mut own_meta, answer)?;
        let mut result = JsonMembers::default();
        result.set("content", &content)?;
        if self.has_output_schema {
            if let Some(said) = server_said {
                own_meta.set(meta::SERVER_SAID, &said)?;
            }
        } else {
            let structured = StructuredAnswer::new(answer, text, server_said);
            // Not `json!`, which would round the server's numbers.
            let structured = BTreeMap::from([("semel", structured)]);
            result.set("structuredContent", &structured)?;
        }
        result.set("isError", &is_error)?;
        self.set_result_type(&mut result)?;
        result.set("_meta", &own_meta)?;
        serde_json::to_string(&result)
    }
}

/// Returns what the server said, to this call or to the recorded one that it conflicts with.
fn server_outcome(answer: &Answer) -> Option<&Outcome> {
    match answer {
        Answer::Conflict { standing, .. } => standing.outcome.as_ref(),
        answer => answer.outcome(),
    }
}

/// Returns what the server said as the parts of a result's content.
fn content_parts(server_said: &JsonValue) -> Vec<JsonValue> {
    if let Some(parts) = server_said.get("content").and_then(JsonValue::as_array) {
        return parts.clone();
    }
    match server_said.get("message").and_then(JsonValue::as_str) {
        Some(message) => vec![text_part(message)],
        None => vec![text_part(&server_said.to_string())],
    }
}

fn text_part(text: &str) -> JsonValue {
    json!({ "type": "text", "text": text }).into()
}

/// An answer as structured content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StructuredAnswer<'a> {
    answer: &'static str,
    text: &'a str,
    next: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(rename = "stands", skip_serializing_if = "Option::is_none")]
    conflict_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_said: Option<JsonValue>,
}

impl<'a> StructuredAnswer<'a> {
    fn new(answer: &'a Answer, text: &'a str, server_said: Option<JsonValue>) -> Self {
        let conflict_state = match answer {
            Answer::Conflict { standing, .. } => Some(standing.state.as_str()),
            _ => None,
        };
        Self {
            answer: answer.word(),
            text,
            next: json!(answer.next()),
            operation: answer.about().map(|about| about.operation.as_str()),
            reason: answer_reason(answer),
            conflict_state,
            server_said,
        }
    }
}

fn answer_reason(answer: &Answer) -> Option<&str> {
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

fn set_meta(own_meta: &mut JsonMembers, answer: &Answer) -> Result<(), serde_json::Error> {
    own_meta.set(meta::ANSWER, &answer.word())?;
    if let Some(about) = answer.about() {
        own_meta.set(meta::OPERATION, &about.operation)?;
        own_meta.set(meta::RECORDED, &about.recorded)?;
        if !about.switches.is_empty() {
            own_meta.set(meta::SWITCHES, &about.switches)?;
        }
    }
    own_meta.set(meta::NEXT, &answer.next())
}

#[cfg(test)]
mod tests;
