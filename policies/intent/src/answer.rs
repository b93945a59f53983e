//! An answer, whatever it is wrapped in: plain text, JSON, JSON within a text, or a result of the Model Context
//! Protocol. Texts and places are searched in the answer itself first, then in the values that it wraps.

use semel_guest::{Failure, Outcome, Value};

use crate::escapes::without_escapes;

/// The form of a tool's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    Returned,
    Failed,
}

/// An answer, unwrapped. An attempt without an answer has none.
pub(crate) struct Answer {
    pub(crate) how: AnswerForm,
    pub(crate) code: Option<String>,
    pub(crate) status: Option<u16>,
    texts: Vec<String>,
    documents: Vec<Value>,
}

impl Answer {
    pub(crate) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Returned(json) => Some(Self::from_json(json)),
            Outcome::Failed(failure) => Some(Self::from_failure(failure)),
            Outcome::Unanswered(_) => None,
        }
    }

    fn from_json(json: &str) -> Self {
        let answer = parse_text(json).unwrap_or_else(|| Value::String(json.to_owned()));
        Self {
            how: AnswerForm::Returned,
            code: None,
            status: None,
            texts: Vec::new(),
            documents: Vec::new(),
        }
        .with_document(answer)
    }

    fn from_failure(failure: &Failure) -> Self {
        let mut this = Self {
            how: AnswerForm::Failed,
            code: failure.code.clone(),
            status: failure.status,
            texts: Vec::new(),
            documents: Vec::new(),
        };
        if let Some(details) = failure.details.as_deref().and_then(parse_text) {
            this = this.with_document(details);
        }
        this.with_document(Value::String(failure.message.clone()))
    }

    /// Adds an answer, then the values that it wraps.
    fn with_document(mut self, answer: Value) -> Self {
        let structured = if is_protocol_result(&answer) {
            answer.get("structuredContent").cloned()
        } else {
            None
        };
        let texts = texts_of(&answer);
        self.documents.push(answer);
        self.documents.extend(structured);
        for text in texts {
            self.texts.push(without_escapes(&text).into_owned());
            self.documents
                .extend(parse_text(&text).filter(|value| value.is_object() || value.is_array()));
        }
        self
    }

    /// The whole answer, still wrapped.
    pub(crate) fn whole_value(&self) -> &Value {
        self.documents.first().unwrap_or(&Value::Null)
    }

    /// Its text, for people to read.
    pub(crate) fn text(&self) -> Option<&str> {
        self.texts.first().map(String::as_str)
    }

    /// Returns the value at a JSON Pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.documents
            .iter()
            .find_map(|document| document.pointer(pointer))
    }

    /// Its texts, without the escape sequences of terminals.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Returns true if it is a protocol result with `isError`.
    pub(crate) fn is_error_in_disguise(&self) -> bool {
        let says_so = self.whole_value().get("isError") == Some(&Value::Bool(true));
        self.how == AnswerForm::Returned && is_protocol_result(self.whole_value()) && says_so
    }
}

fn parse_text(text: &str) -> Option<Value> {
    Value::parse(text).ok()
}

/// A result of a tool call in the Model Context Protocol has a list of content.
fn is_protocol_result(answer: &Value) -> bool {
    answer.get("content").is_some_and(Value::is_array)
}

/// The texts of an answer: itself, or those in the content of such a result.
fn texts_of(answer: &Value) -> Vec<String> {
    let content = answer.get("content").and_then(Value::as_array);
    let items = content
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("text"));
    items
        .chain([answer])
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
