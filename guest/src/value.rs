//! JSON as a policy reads it, with every digit of its numbers.
//!
//! An extension point: policies outside this repository use it.

mod macros;
mod number;
mod pointer;
mod reader;
mod serde_form;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

pub use number::Number;
pub use reader::InvalidJson;

/// The members of an object, in order of name.
pub type Map = BTreeMap<String, Value>;

/// A JSON value. A [`Number`] in it is exact, so that `1.1` and `1.100000000000000001` are two; [`json!`](crate::json!)
/// makes one, and `Display` writes it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

static NULL: Value = Value::Null;

impl Value {
    /// Reads a JSON text.
    ///
    /// # Errors
    ///
    /// It is not JSON, or nested more than 128 deep.
    pub fn parse(text: &str) -> Result<Self, InvalidJson> {
        reader::read(text)
    }

    /// Returns true for null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns true for a text.
    #[must_use]
    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    /// Returns true for a list.
    #[must_use]
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Returns true for an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Returns the truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the number, if it is whole and 64 bits with a sign hold it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_str().parse().ok()
    }

    /// Returns the number, if it is whole and 64 bits without a sign hold it.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_str().parse().ok()
    }

    /// Returns the text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items, if it is a list.
    #[must_use]
    pub fn as_array(&self) -> Option<&Vec<Value>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the members for a change, if it is an object.
    #[must_use]
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the member of this name, if it is an object that has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// Returns the member of this name for a change.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.as_object_mut()?.get_mut(name)
    }

    /// Writes the value as JSON without blanks.
    pub(crate) fn put_json(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Number(number) => text.push_str(number.as_str()),
            Self::String(value) => put_text(text, value),
            Self::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    put_comma(text, index);
                    item.put_json(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (index, (name, member)) in members.iter().enumerate() {
                    put_comma(text, index);
                    put_text(text, name);
                    text.push(':');
                    member.put_json(text);
                }
                text.push('}');
            }
        }
    }
}

fn put_comma(text: &mut String, index: usize) {
    if index > 0 {
        text.push(',');
    }
}

fn put_text(text: &mut String, value: &str) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0'..='\x1f' => put_escape(text, letter),
            letter => text.push(letter),
        }
    }
    text.push('"');
}

fn put_escape(text: &mut String, control: char) {
    let code = u32::from(control);
    text.push_str("\\u00");
    for digit in [code >> 4, code & 15] {
        text.extend(char::from_digit(digit, 16));
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.put_json(&mut text);
        f.write_str(&text)
    }
}

impl Index<&str> for Value {
    type Output = Value;

    /// Returns the member of this name, or null.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<usize> for Value {
    type Output = Value;

    /// Returns the item at this place, or null.
    fn index(&self, place: usize) -> &Value {
        self.as_array()
            .and_then(|items| items.get(place))
            .unwrap_or(&NULL)
    }
}

macro_rules! from_type {
    ($($type:ty => |$from:ident| $value:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from($from: $type) -> Self {
                $value
            }
        })*
    };
}

from_type! {
    bool => |from| Self::Bool(from),
    &str => |from| Self::String(from.to_owned()),
    String => |from| Self::String(from),
    &String => |from| Self::String(from.clone()),
    i32 => |from| Self::Number(Number::from(i64::from(from))),
    i64 => |from| Self::Number(Number::from(from)),
    u32 => |from| Self::Number(Number::from(u64::from(from))),
    u64 => |from| Self::Number(Number::from(from)),
    Number => |from| Self::Number(from),
    Map => |from| Self::Object(from),
    &Value => |from| from.clone(),
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

impl FromIterator<(String, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Self::Object(members.into_iter().collect())
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Other;
        match value {
            Other::Null => Self::Null,
            Other::Bool(value) => Self::Bool(value),
            Other::Number(number) => number.to_string().parse().map_or(Self::Null, Self::Number),
            Other::String(text) => Self::String(text),
            Other::Array(items) => Self::from(items),
            Other::Object(members) => members
                .into_iter()
                .map(|(name, member)| (name, Self::from(member)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
