//! Stripe's answer, unwrapped from an HTTP body, a client library's error, a tool's text, or a result of the Model Context
//! Protocol.

use semel_guest::{Failure, Outcome, Value};

/// An answer, unwrapped.
#[derive(Debug, PartialEq)]
pub(crate) enum StripeAnswer {
    /// The requested object.
    Object(Value),
    Error(StripeError),
}

/// The known parts of an error.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct StripeError {
    pub(crate) status: Option<u64>,
    /// In Stripe's terms, such as `card_error`.
    pub(crate) kind: Option<String>,
    /// Such as `card_declined`.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}

impl StripeAnswer {
    /// Reads the answer, if there is one.
    pub(crate) fn new(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Returned(json) => Some(Self::from_json(json)),
            Outcome::Failed(failure) => Some(Self::Error(StripeError::new(failure))),
            Outcome::Unanswered(_) => None,
        }
    }

    fn from_json(json: &str) -> Self {
        let whole = parse_text(json).unwrap_or_default();
        let is_error = whole.get("isError") == Some(&Value::Bool(true));
        let inner = unwrap_value(&whole);
        match (StripeError::nested_object(&inner), &inner) {
            (Some(error), _) => Self::Error(error),
            (None, _) if is_error => Self::Error(StripeError::of_text(&text_of(&inner))),
            // Tools built on Stripe's toolkit return this text when a request failed.
            (None, Value::String(text)) if admits_failure(text) => {
                Self::Error(StripeError::of_text(text))
            }
            (None, _) => Self::Object(inner),
        }
    }
}

fn admits_failure(text: &str) -> bool {
    ["Failed to ", "Error"]
        .iter()
        .any(|start| text.trim().starts_with(start))
}

impl StripeError {
    fn new(failure: &Failure) -> Self {
        let details = failure.details.as_deref().and_then(parse_text);
        let told = details
            .or_else(|| parse_text(&failure.message))
            .as_ref()
            .and_then(|told| Self::nested_object(&unwrap_value(told)));
        let told = told.unwrap_or_default();
        Self {
            status: failure.status.map(u64::from).or(told.status),
            kind: told.kind,
            code: told.code.or_else(|| failure.code.clone()),
            message: if told.message.is_empty() {
                failure.message.clone()
            } else {
                told.message
            },
        }
    }

    fn of_text(text: &str) -> Self {
        Self {
            message: text.to_owned(),
            ..Self::default()
        }
    }

    /// Stripe's error in a value: its body, `{"error": {…}}`, or the error object of a client library.
    fn nested_object(value: &Value) -> Option<Self> {
        let error = value
            .get("error")
            .filter(|error| error.is_object())
            .unwrap_or(value);
        let kind = text_member(error, "rawType")
            .or_else(|| text_member(error, "type").filter(|kind| kind.ends_with("_error")))?;
        Some(Self {
            status: ["statusCode", "status", "http_status"]
                .iter()
                .find_map(|name| error.get(name)?.as_u64()),
            kind: Some(kind.to_owned()),
            code: text_member(error, "code").map(str::to_owned),
            message: text_member(error, "message").unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn has_type(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// In a line: `card_error card_declined HTTP 402: Your card was declined.`
    pub(crate) fn reported_error(&self) -> String {
        let mut told = String::from("Stripe:");
        let status = self
            .status
            .map(|status| "HTTP ".to_owned() + &status.to_string());
        for word in [&self.kind, &self.code, &status].into_iter().flatten() {
            told.push(' ');
            told.push_str(word);
        }
        told.push_str(": ");
        told.extend(self.message.chars().take(SHOWN_CHARACTERS));
        told
    }
}

/// The longest part of a message that a reason quotes, in characters.
const SHOWN_CHARACTERS: usize = 120;

fn text_member<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn parse_text(text: &str) -> Option<Value> {
    Value::parse(text).ok()
}

/// Returns the wrapped value: the structured content or the text of a result of the Model Context
/// Protocol, JSON in a text.
fn unwrap_value(value: &Value) -> Value {
    if let Some(content) = value.get("content").and_then(Value::as_array) {
        if let Some(structured) = value.get("structuredContent") {
            return structured.clone();
        }
        let text = content
            .iter()
            .find_map(|item| text_member(item, "text"))
            .unwrap_or_default();
        return unwrap_value(&Value::String(text.to_owned()));
    }
    let json = value.as_str().and_then(parse_text).filter(Value::is_object);
    json.unwrap_or_else(|| value.clone())
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
