//! A command's stdout as a JSON value for its policy and the ledger, and the way back to exactly the same bytes.
//!
//! | stdout | value |
//! |---|---|
//! | JSON in its shortest form (`json::canonical`) and a line end | the JSON: `{"id":7}` |
//! | a JSON object in another form | the object, with its text: `{"id": 7, "$stdout": "{ \"id\": 7 }\n"}` |
//! | other text | a JSON string |
//! | bytes that are not UTF-8 | `{"$stdout": {"base64": "…"}}` |
//! | more than the limit | its beginning: `{"$stdout": {"text": "…", "bytes": 1048576}}`, or `base64` likewise |

use super::capture::CapturedOutput;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use semel::json::{self, JsonLimits, JsonValue};
use serde_json::json;

/// The limit on the recorded part of a command's stdout, in bytes.
pub(super) const STDOUT_BYTES_MAX: usize = 256 << 10;

/// The limit on the JSON text of a value, in bytes. A longer one is recorded as base64: JSON needs six bytes for a control
/// character.
const VALUE_BYTES_MAX: usize = 640 << 10;

/// The member that holds what the JSON value alone does not.
const STDOUT_MEMBER: &str = "$stdout";

/// Encodes a command's stdout as a JSON value.
pub(super) fn encode(stdout: &CapturedOutput) -> JsonValue {
    let text = std::str::from_utf8(&stdout.kept).ok();
    let value = match text {
        Some(text) if stdout.is_complete() => {
            parse_reversibly(text).unwrap_or_else(|| JsonValue::from(text))
        }
        Some(text) => {
            json!({ STDOUT_MEMBER: { "text": text, "bytes": stdout.total_bytes } }).into()
        }
        None => encode_base64(stdout),
    };
    if value.to_string().len() > VALUE_BYTES_MAX {
        encode_base64(stdout)
    } else {
        value
    }
}

fn encode_base64(stdout: &CapturedOutput) -> JsonValue {
    let base64 = BASE64.encode(&stdout.kept);
    if stdout.is_complete() {
        return json!({ STDOUT_MEMBER: { "base64": base64 } }).into();
    }
    json!({ STDOUT_MEMBER: { "base64": base64, "bytes": stdout.total_bytes } }).into()
}

/// Parses the text as JSON, if [`decode`] can make the same text of the value.
fn parse_reversibly(text: &str) -> Option<JsonValue> {
    let limits = JsonLimits {
        bytes: STDOUT_BYTES_MAX,
        ..JsonLimits::default()
    };
    match json::parse(text, &limits).ok()? {
        // A JSON string decodes to its content, which has no quotes.
        JsonValue::String(_) => None,
        JsonValue::Object(object) if object.contains_key(STDOUT_MEMBER) => None,
        value if shortest_form(&value) == text => Some(value),
        JsonValue::Object(mut object) => {
            object.insert(STDOUT_MEMBER.to_owned(), JsonValue::from(text));
            Some(JsonValue::Object(object))
        }
        _ => None,
    }
}

fn shortest_form(value: &JsonValue) -> String {
    json::canonical(value) + "\n"
}

/// The stdout that a value was encoded from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodedStdout {
    pub(super) bytes: Vec<u8>,
    /// False if only the beginning was recorded.
    pub(super) is_complete: bool,
}

impl DecodedStdout {
    fn complete(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            is_complete: true,
        }
    }
}

/// Decodes a recorded value to the stdout that it was encoded from. Any other value decodes to its shortest form.
pub(super) fn decode(value: &JsonValue) -> DecodedStdout {
    match value {
        JsonValue::String(text) => DecodedStdout::complete(text.as_str()),
        JsonValue::Object(object) => object
            .get(STDOUT_MEMBER)
            .and_then(decode_member)
            .unwrap_or_else(|| DecodedStdout::complete(shortest_form(value))),
        other => DecodedStdout::complete(shortest_form(other)),
    }
}

fn decode_member(member: &JsonValue) -> Option<DecodedStdout> {
    if let JsonValue::String(text) = member {
        return Some(DecodedStdout::complete(text.as_str()));
    }
    let text_of = |name| member.get(name)?.as_str();
    let bytes = match (text_of("text"), text_of("base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => BASE64.decode(base64).ok()?,
        (None, None) => return None,
    };
    Some(DecodedStdout {
        bytes,
        is_complete: member.get("bytes").is_none(),
    })
}

/// Removes the recorded text of an object, which is of use for a replay only.
pub(super) fn remove_original_text(value: &mut JsonValue) {
    if let JsonValue::Object(object) = value
        && matches!(object.get(STDOUT_MEMBER), Some(JsonValue::String(_)))
    {
        object.remove(STDOUT_MEMBER);
    }
}

#[cfg(test)]
mod tests;
