//! JSON as Semel reads and writes it: bounded, without duplicate names, and in one canonical form.
//!
//! All input passes [`parse`] (a text) or [`check`] (a value built in memory) before any other code
//! reads it. [`canonical`] is the form in which values are compared, digested and handed to
//! policies. Numbers are exact: no digit of a [`JsonNumber`] is lost. There is no schema here, and no I/O.

mod canonical;
mod convert;
mod document;
mod number;
mod read;
mod scan;
mod serde_form;
mod value;
mod walk;

use std::fmt;
use walk::TreeWalk;

pub use canonical::canonical;
pub(crate) use canonical::canonical_object;
pub use document::JsonDocument;
pub use number::{JsonNumber, NumberError};
pub use read::{parse, parse_members};
pub use value::{JsonMap, JsonValue};

/// The deepest nesting that is ever read, whatever the limits say.
pub const DEPTH_MAX: usize = 100;

/// The longest part of a pointer that a message shows, in characters.
const POINTER_CHARS_SHOWN: usize = 160;

/// The limits of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting of lists and objects; `[]` is one deep. Never more than [`DEPTH_MAX`].
    pub depth: usize,
}

impl Default for JsonLimits {
    /// One MiB, 64 deep.
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: 64,
        }
    }
}

impl JsonLimits {
    fn depth(&self) -> usize {
        self.depth.min(DEPTH_MAX)
    }
}

/// A JSON Pointer as messages show it: cut where it is long, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPointer(String);

impl ShownPointer {
    /// This pointer.
    #[must_use]
    pub fn new(pointer: &str) -> Self {
        let mut shown: String = pointer
            .chars()
            .take(POINTER_CHARS_SHOWN)
            .map(|char| {
                if char.is_control() {
                    char::REPLACEMENT_CHARACTER
                } else {
                    char
                }
            })
            .collect();
        if pointer.chars().nth(POINTER_CHARS_SHOWN).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for ShownPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("the top")
        } else {
            write!(f, "`{}`", self.0)
        }
    }
}

/// The fault of a JSON text or value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is too long.
    #[error("the JSON is {bytes} bytes long or longer, and the limit is {limit}: send less")]
    TooLarge {
        /// The lower bound of its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It is nested too deeply.
    #[error("the JSON is nested more than {limit} deep at {at}: make it flatter")]
    TooDeep {
        /// Where.
        at: ShownPointer,
        /// The limit.
        limit: usize,
    },
    /// An object names a member twice.
    #[error("{at} occurs twice in its object: keep one of them")]
    Duplicate {
        /// The member.
        at: ShownPointer,
    },
    /// A number is longer than Semel keeps.
    #[error("line {line}, column {column} holds {problem}")]
    Number {
        /// Its line, from 1.
        line: usize,
        /// Its column in bytes, from 1.
        column: usize,
        /// The limit that it is past.
        problem: NumberError,
    },
    /// The text is not JSON.
    #[error("this is not valid JSON: {problem}, within {at}")]
    Syntax {
        /// The problem, with line and column.
        problem: String,
        /// The innermost value that can be named.
        at: ShownPointer,
    },
}

/// Holds a value that was built in memory to the bounds that [`parse`] holds a text to. Its size is that of its
/// canonical text, but for escapes. Never recurses, so no depth of nesting can exhaust the stack.
///
/// # Errors
/// If it is larger or deeper than `limits` allow.
pub fn check(value: &JsonValue, limits: &JsonLimits) -> Result<(), JsonError> {
    within(TreeWalk::over(value), 0, limits)
}

/// The same of an object that is no value by itself, such as the arguments of a call.
pub fn check_object(members: &JsonMap, limits: &JsonLimits) -> Result<(), JsonError> {
    within(
        TreeWalk::over_members(members),
        brackets_and_commas(members.len()),
        limits,
    )
}

fn within(mut walk: TreeWalk<'_>, mut bytes: usize, limits: &JsonLimits) -> Result<(), JsonError> {
    while let Some(value) = walk.next() {
        bytes = bytes
            .saturating_add(size_without_children(value))
            .saturating_add(walk.name_bytes());
        if bytes > limits.bytes {
            return Err(JsonError::TooLarge {
                bytes,
                limit: limits.bytes,
            });
        }
        if walk.depth() > limits.depth() {
            return Err(JsonError::TooDeep {
                at: walk.here(),
                limit: limits.depth(),
            });
        }
    }
    Ok(())
}

fn size_without_children(value: &JsonValue) -> usize {
    match value {
        JsonValue::Null | JsonValue::Bool(true) => 4,
        JsonValue::Bool(false) => 5,
        JsonValue::Number(number) => number.canonical().len(),
        JsonValue::String(text) => text.len() + 2,
        JsonValue::Array(items) => brackets_and_commas(items.len()),
        JsonValue::Object(members) => brackets_and_commas(members.len()),
    }
}

fn brackets_and_commas(children: usize) -> usize {
    2 + children.saturating_sub(1)
}

/// Returns why a value identifies nothing: it is null or empty.
pub(crate) fn emptiness(value: &JsonValue) -> Option<&'static str> {
    match value {
        JsonValue::Null => Some(kind_of(value)),
        JsonValue::String(text) if text.is_empty() => Some("an empty text"),
        JsonValue::Array(items) if items.is_empty() => Some("an empty list"),
        JsonValue::Object(members) if members.is_empty() => Some("an empty object"),
        _ => None,
    }
}

/// Returns the kind of a JSON value, for messages.
#[must_use]
pub(crate) fn kind_of(value: &JsonValue) -> &'static str {
    match value {
        JsonValue::Null => "null",
        JsonValue::Bool(_) => "a boolean",
        JsonValue::Number(_) => "a number",
        JsonValue::String(_) => "a text",
        JsonValue::Array(_) => "a list",
        JsonValue::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> JsonValue {
        let innermost = JsonValue::Array(Vec::new());
        (1..depth).fold(innermost, |inner, _| JsonValue::Array(vec![inner]))
    }

    #[test]
    fn a_value_within_the_limits_passes() {
        let limits = JsonLimits {
            bytes: 23,
            depth: 2,
        };
        assert_eq!(
            check(&json!({"a": [1, true], "b": null}).into(), &limits),
            Ok(())
        );
        assert_eq!(
            canonical(&json!({"a": [1, true], "b": null}).into()).len(),
            23
        );
    }

    #[test]
    fn a_value_one_byte_too_long_is_refused() {
        let limits = JsonLimits {
            bytes: 22,
            depth: 2,
        };
        let error = check(&json!({"a": [1, true], "b": null}).into(), &limits).unwrap_err();
        assert_eq!(
            error,
            JsonError::TooLarge {
                bytes: 23,
                limit: 22
            }
        );
    }

    #[test]
    fn ten_thousand_levels_are_refused_without_exhausting_the_stack() {
        let deep = nested(10_000);
        let limits = JsonLimits {
            bytes: usize::MAX,
            depth: 3,
        };
        let error = check(&deep, &limits).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the JSON is nested more than 3 deep at `/0/0/0`: make it flatter"
        );
        assert_eq!(canonical(&deep).len(), 20_000);
    }

    #[test]
    fn limits_never_allow_more_than_the_reader_can_bear() {
        let limits = JsonLimits {
            bytes: usize::MAX,
            depth: usize::MAX,
        };
        assert_eq!(check(&nested(DEPTH_MAX), &limits), Ok(()));
        assert!(matches!(
            check(&nested(DEPTH_MAX + 1), &limits),
            Err(JsonError::TooDeep {
                limit: DEPTH_MAX,
                ..
            })
        ));
    }

    #[test]
    fn a_pointer_in_a_message_is_bounded_and_holds_no_control_characters() {
        let shown = ShownPointer::new(&format!("/\u{1b}[2J{}", "x".repeat(1000))).to_string();
        assert!(
            shown.starts_with("`/\u{fffd}[2Jxx") && shown.ends_with("x…`"),
            "{shown}"
        );
        assert_eq!(shown.chars().count(), POINTER_CHARS_SHOWN + 3);
    }

    #[test]
    fn an_object_is_bounded_alike_whether_it_is_a_value_or_not() {
        let object = JsonValue::from(json!({ "a": [1, { "bc": [[]] }], "d": "text", "e": null }));
        let members = object.as_object().unwrap();
        for bytes in 0..=canonical(&object).len() {
            for depth in 1..=6 {
                let limits = JsonLimits { bytes, depth };
                let verdict = |checked: Result<(), JsonError>| {
                    checked.map_err(|error| std::mem::discriminant(&error))
                };
                assert_eq!(
                    verdict(check(&object, &limits)),
                    verdict(check_object(members, &limits)),
                    "{limits:?}"
                );
            }
        }
    }
}
