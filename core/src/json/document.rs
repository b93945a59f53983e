//! A JSON value with the text in which it came.

use super::{JsonError, JsonLimits, JsonValue, parse};
use std::{borrow::Cow, fmt, sync::Arc};

/// A JSON value, and its text where it was read from one: the order of its members, its blanks, its numbers and escapes
/// as its author wrote them. Documents are equal where their values are. Debug output holds neither.
///
/// # Examples
/// ```
/// use semel_core::json::{JsonDocument, JsonLimits};
///
/// let document = JsonDocument::parse(" {\"b\": 1.10, \"a\": 2}\n", &JsonLimits::default())?;
/// assert_eq!(document.text(), r#"{"b": 1.10, "a": 2}"#);
/// # Ok::<(), semel_core::json::JsonError>(())
/// ```
#[derive(Clone)]
pub struct JsonDocument {
    value: JsonValue,
    /// INVARIANT: the text of the value, without blanks around it.
    text: Option<Arc<str>>,
}

impl JsonDocument {
    /// Reads one JSON text, and keeps it without the blanks around it.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn parse(text: &str, limits: &JsonLimits) -> Result<Self, JsonError> {
        let value = parse(text, limits)?;
        Ok(Self::of_parts(value, text))
    }

    pub(super) fn of_parts(value: JsonValue, text: &str) -> Self {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        Self {
            value,
            text: Some(text.into()),
        }
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &JsonValue {
        &self.value
    }

    /// Returns the text as it was written. A value that came without one is written without blanks.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.text {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.value.to_string()),
        }
    }
}

impl fmt::Debug for JsonDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonDocument(…)")
    }
}

impl PartialEq for JsonDocument {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for JsonDocument {}

impl From<JsonValue> for JsonDocument {
    fn from(value: JsonValue) -> Self {
        Self { value, text: None }
    }
}

impl From<serde_json::Value> for JsonDocument {
    fn from(value: serde_json::Value) -> Self {
        Self::from(JsonValue::from(value))
    }
}
