//! A key into the text of a call's arguments. Every byte that is not the key's stays as the agent wrote it.

use super::pointer::ObjectPointer;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{fmt, ops::Range};

/// The obstacle to a key: the kind of the value that is in its path or place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SpliceError {
    /// This is on the path.
    Blocked(&'static str),
    /// This is in the place.
    Occupied(&'static str),
    /// The text is not an object.
    Unreadable(String),
}

impl From<serde_json::Error> for SpliceError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Writes the key as the value at a place, with the objects on the way that are missing. Null counts as missing. Lists
/// on the way are not entered: where a key belongs must not depend on how many items a call has.
pub(super) fn set(text: &str, at: &ObjectPointer, key: &str) -> Result<String, SpliceError> {
    let key = json_text(key);
    let mut object = 0..text.len();
    let mut names = at.names();
    while let Some(name) = names.next() {
        let is_last = names.len() == 0;
        let found = find_member(text, &object, name)?;
        let range = match found {
            FoundMember::Missing {
                insert_at,
                has_others,
            } => {
                let comma = if has_others { "," } else { "" };
                let name = json_text(name);
                let value = nested(names, &key);
                return Ok(replace(
                    text,
                    insert_at..insert_at,
                    &format!("{comma}{name}:{value}"),
                ));
            }
            FoundMember::Present(range) => range,
        };
        let kind = kind_of_text(text.get(range.clone()).unwrap_or_default());
        match (kind, is_last) {
            ("null", _) => return Ok(replace(text, range, &nested(names, &key))),
            // A text or number there is an older key, mostly; a list or object is data that would be lost.
            ("an object" | "a list", true) => return Err(SpliceError::Occupied(kind)),
            (_, true) => return Ok(replace(text, range, &key)),
            ("an object", false) => object = range,
            (_, false) => return Err(SpliceError::Blocked(kind)),
        }
    }
    Err(SpliceError::Unreadable("no place is named".to_owned()))
}

/// Adds the key to the text at a place, on a line of its own.
pub(super) fn append(text: &str, at: &ObjectPointer, key: &str) -> Result<String, SpliceError> {
    let mut range = 0..text.len();
    for name in at.names() {
        if kind_of_text(text.get(range.clone()).unwrap_or_default()) != "an object" {
            return Err(SpliceError::Occupied("nothing"));
        }
        match find_member(text, &range, name)? {
            FoundMember::Present(found) => range = found,
            FoundMember::Missing { .. } => return Err(SpliceError::Occupied("nothing")),
        }
    }
    let written = text.get(range.clone()).unwrap_or_default();
    let kind = kind_of_text(written);
    if kind != "a text" {
        return Err(SpliceError::Occupied(kind));
    }
    let before: String = serde_json::from_str(written)?;
    let line_end = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\\n"
    };
    let quoted = json_text(key);
    let key = quoted
        .strip_prefix('"')
        .and_then(|key| key.strip_suffix('"'))
        .unwrap_or_default();
    // Before its closing quotation mark.
    let end = range.end.saturating_sub(1);
    Ok(replace(text, end..end, &format!("{line_end}{key}")))
}

/// Objects within each other by these names, and the key in the innermost.
fn nested<'a>(names: impl DoubleEndedIterator<Item = &'a String>, key: &str) -> String {
    names.rev().fold(key.to_owned(), |inner, name| {
        format!("{{{}:{inner}}}", json_text(name))
    })
}

fn replace(text: &str, range: Range<usize>, with: &str) -> String {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    [before, with, after].concat()
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The kind of a JSON value, by its first byte.
fn kind_of_text(value: &str) -> &'static str {
    match value.bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// A member of an object in a text.
enum FoundMember {
    /// The range of its value.
    Present(Range<usize>),
    /// Where to insert it, and whether after another one.
    Missing { insert_at: usize, has_others: bool },
}

fn find_member(text: &str, object: &Range<usize>, name: &str) -> Result<FoundMember, SpliceError> {
    let own = text.get(object.clone()).unwrap_or_default();
    let mut reader = serde_json::Deserializer::from_str(own);
    let members = (&mut reader).deserialize_map(MembersVisitor)?;
    let range = |value: &RawValue| {
        let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        start..start + value.get().len()
    };
    if let Some((_, value)) = members.iter().find(|(own, _)| own == name) {
        return Ok(FoundMember::Present(range(value)));
    }
    Ok(FoundMember::Missing {
        insert_at: match members.last() {
            Some((_, value)) => range(value).end,
            None => object.start + 1,
        },
        has_others: !members.is_empty(),
    })
}

/// Reads the members of an object with their texts.
struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
