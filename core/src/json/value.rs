//! A JSON value in memory, with numbers that keep their digits.

use super::JsonNumber;
use super::canonical;
use std::{collections::BTreeMap, fmt, ops::Index};

/// The members of a JSON object, by name.
pub type JsonMap = BTreeMap<String, JsonValue>;

/// A JSON value. It differs from [`serde_json::Value`] in its numbers, which keep all digits and the way in which they
/// are written, and are equal where their values are.
///
/// A `serde_json::Value`, such as the `json!` macro makes, converts to it with `From`. [`JsonValue::deserialize_into`]
/// converts it to other types. Of a `JsonValue` *within* `json!` a number has the digits of a `serde_json::Number` only, and
/// one beyond its range is an error there: insert it into a [`JsonMap`] instead.
///
/// # Examples
/// ```
/// use semel_core::json::JsonValue;
/// use serde_json::json;
///
/// let value = JsonValue::from(json!({ "order": "o-7", "cents": 500 }));
/// assert_eq!(value["order"].as_str(), Some("o-7"));
/// assert_eq!(value["cents"].as_i64(), Some(500));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum JsonValue {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(JsonNumber),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<JsonValue>),
    /// An object.
    Object(JsonMap),
}

static NULL: JsonValue = JsonValue::Null;

impl JsonValue {
    /// Returns true for null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
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
    pub fn as_number(&self) -> Option<&JsonNumber> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the number, if it is whole and 64 bits with a sign hold it.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// Returns the number, if it is whole and 64 bits without a sign hold it.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
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
    pub fn as_array(&self) -> Option<&Vec<JsonValue>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&JsonMap> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the members for a change, if it is an object.
    #[must_use]
    pub fn as_object_mut(&mut self) -> Option<&mut JsonMap> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the member of this name, if it is an object that has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&JsonValue> {
        self.as_object()?.get(name)
    }

    /// Returns the member of this name for a change.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut JsonValue> {
        self.as_object_mut()?.get_mut(name)
    }

    /// Converts what serde writes as JSON to a value.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn from_serialized(value: &impl serde::Serialize) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(value)?)
    }

    /// Converts the value to a type that serde reads, such as one of your own or a [`serde_json::Value`]. The type
    /// decides how many digits of a number it holds.
    ///
    /// # Errors
    /// The value is not one of the type.
    pub fn deserialize_into<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.to_string())
    }
}

impl fmt::Display for JsonValue {
    /// Writes the value as JSON without blanks, and its numbers as they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&canonical::compact(self))
    }
}

impl Index<&str> for JsonValue {
    type Output = JsonValue;

    /// Returns the member of this name, or null.
    fn index(&self, name: &str) -> &JsonValue {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<usize> for JsonValue {
    type Output = JsonValue;

    /// Returns the item at this place, or null.
    fn index(&self, place: usize) -> &JsonValue {
        self.as_array()
            .and_then(|items| items.get(place))
            .unwrap_or(&NULL)
    }
}

impl PartialEq<serde_json::Value> for JsonValue {
    fn eq(&self, other: &serde_json::Value) -> bool {
        let other = Self::from(other.clone());
        *self == other
    }
}

impl PartialEq<JsonValue> for serde_json::Value {
    fn eq(&self, other: &JsonValue) -> bool {
        other == self
    }
}

macro_rules! from_value {
    ($($type:ty => |$from:ident| $value:expr),* $(,)?) => {
        $(impl From<$type> for JsonValue {
            fn from($from: $type) -> Self {
                $value
            }
        })*
    };
}

from_value! {
    bool => |from| Self::Bool(from),
    &str => |from| Self::String(from.to_owned()),
    String => |from| Self::String(from),
    i32 => |from| Self::Number(JsonNumber::from(i64::from(from))),
    i64 => |from| Self::Number(JsonNumber::from(from)),
    u32 => |from| Self::Number(JsonNumber::from(u64::from(from))),
    u64 => |from| Self::Number(JsonNumber::from(from)),
    JsonNumber => |from| Self::Number(from),
    JsonMap => |from| Self::Object(from),
    Vec<JsonValue> => |from| Self::Array(from),
}
