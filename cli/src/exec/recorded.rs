//! What a command printed, as a JSON value for its policy and the ledger, and back to the very same bytes.
//!
//! - JSON in its shortest form (RFC 8785, and a line end) is recorded as what it is: `{"id":7}`.
//! - A JSON object in another layout is recorded with its text as one more member: `{"id": 7, "$stdout": "{ \"id\": 7 }\n"}`.
//! - Any other text is recorded as a text.
//! - What is no UTF-8 text: `{"$stdout": {"base64": "…"}}`.
//! - Of what is over the limit, the beginning: `{"$stdout": {"text": "…", "bytes": 1048576}}`, or `base64` likewise.

use super::pass_on::Written;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use semel::json::{self, JsonLimits};
use serde_json::{Map, Value, json};

/// How much of a command's stdout is recorded, in bytes.
pub(super) const STDOUT_BYTES_MAX: usize = 256 << 10;

/// How long the JSON text of an outcome gets before it is recorded as base64, in bytes: control characters take six.
const TEXT_BYTES_MAX: usize = 640 << 10;

/// The member that holds what JSON alone cannot tell.
const STDOUT: &str = "$stdout";

/// The value that stands for what was printed.
pub(super) fn value(stdout: &Written) -> Value {
    let text = std::str::from_utf8(&stdout.kept).ok();
    let value = match text {
        Some(text) if stdout.is_whole() => parsed(text).unwrap_or_else(|| Value::from(text)),
        Some(text) => json!({ STDOUT: { "text": text, "bytes": stdout.total_bytes } }),
        None => in_base64(stdout),
    };
    if value.to_string().len() > TEXT_BYTES_MAX {
        in_base64(stdout)
    } else {
        value
    }
}

fn in_base64(stdout: &Written) -> Value {
    let base64 = BASE64.encode(&stdout.kept);
    if stdout.is_whole() {
        return json!({ STDOUT: { "base64": base64 } });
    }
    json!({ STDOUT: { "base64": base64, "bytes": stdout.total_bytes } })
}

/// The text as JSON, where the very same text can be made of it again.
fn parsed(text: &str) -> Option<Value> {
    let limits = JsonLimits {
        bytes: STDOUT_BYTES_MAX,
        ..JsonLimits::default()
    };
    match json::parse(text, &limits).ok()? {
        // A text is printed without quotes.
        Value::String(_) => None,
        Value::Object(object) if object.contains_key(STDOUT) => None,
        value if shortest(&value) == text => Some(value),
        Value::Object(mut object) => {
            object.insert(STDOUT.to_owned(), Value::from(text));
            Some(Value::Object(object))
        }
        _ => None,
    }
}

fn shortest(value: &Value) -> String {
    json::canonical(value) + "\n"
}

/// What is printed of a recorded value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) bytes: Vec<u8>,
    /// Whether it is all that there was.
    pub(super) is_whole: bool,
}

impl Printed {
    fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            is_whole: true,
        }
    }
}

/// What was printed, of the value that stands for it.
pub(super) fn printed(value: &Value) -> Printed {
    match value {
        Value::String(text) => Printed::whole(text.as_str()),
        Value::Object(object) => object
            .get(STDOUT)
            .and_then(kept)
            .unwrap_or_else(|| Printed::whole(shortest(value))),
        other => Printed::whole(shortest(other)),
    }
}

fn kept(stdout: &Value) -> Option<Printed> {
    if let Value::String(text) = stdout {
        return Some(Printed::whole(text.as_str()));
    }
    let text = |name| stdout.get(name)?.as_str();
    let bytes = match (text("text"), text("base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => BASE64.decode(base64).ok()?,
        (None, None) => return None,
    };
    Some(Printed {
        bytes,
        is_whole: stdout.get("bytes").is_none(),
    })
}

/// The value without the text of its layout: for an answer that is JSON itself.
pub(super) fn without_layout(value: &mut Value) {
    if let Value::Object(object) = value
        && object.get(STDOUT).is_some_and(Value::is_string)
    {
        Map::remove(object, STDOUT);
    }
}

#[cfg(test)]
mod tests;
