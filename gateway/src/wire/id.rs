//! The ids of requests.

use std::fmt;

/// The id of a request. Two spellings of one id are equal; the spelling itself stays in the
/// message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequestId {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(Box<str>),
    /// Other JSON, such as a fraction, as its peer wrote it.
    Other(Box<str>),
}

impl RequestId {
    /// Reads the JSON of an id. Returns `None` for `null`, a list or an object, which are not ids.
    pub(crate) fn read(json: &str) -> Option<Self> {
        match json.as_bytes().first()? {
            b'"' => serde_json::from_str::<String>(json)
                .ok()
                .map(|text| Self::Text(text.into())),
            b'-' | b'0'..=b'9' => Some(
                json.parse()
                    .map_or_else(|_| Self::Other(json.into()), Self::Number),
            ),
            b't' | b'f' => Some(Self::Other(json.into())),
            _ => None,
        }
    }

    /// The JSON of the id.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => serde_json::Value::from(&**text).to_string(),
            Self::Other(json) => json.to_string(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_id_are_equal_and_no_others_are() {
        assert_eq!(RequestId::read(r#""ab""#), RequestId::read(r#""a\u0062""#));
        assert_ne!(RequestId::read("1"), RequestId::read(r#""1""#));
        assert_ne!(RequestId::read("1"), RequestId::read("1.5"));
        assert_eq!(RequestId::read("null"), None);
        assert_eq!(RequestId::read("{}"), None);
    }
}
