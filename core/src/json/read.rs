//! A JSON text into a value, or an error with its place.

use super::{
    JsonError, JsonLimits, JsonMap, JsonNumber, JsonValue, ShownPointer, scan::NumberScan,
    walk::push_segment,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::{cell::RefCell, fmt, vec};

/// Reads one JSON text (RFC 8259) and nothing after it.
///
/// Refused besides what is no JSON: more bytes or levels than `limits` allow, a member named twice (readers disagree
/// on which counts), a lone surrogate, and a number of more digits or a larger exponent than a [`JsonNumber`] holds.
///
/// # Errors
/// If the text is refused: what is wrong with it, and where.
///
/// # Examples
/// ```
/// use semel_core::json::{JsonLimits, parse};
///
/// let limits = JsonLimits::default();
/// assert!(parse(r#"{"amount": 5}"#, &limits).is_ok());
/// assert!(parse(r#"{"amount": 5, "amount": 7}"#, &limits).is_err());
/// ```
pub fn parse(text: &str, limits: &JsonLimits) -> Result<JsonValue, JsonError> {
    if text.len() > limits.bytes {
        return Err(JsonError::TooLarge {
            bytes: text.len(),
            limit: limits.bytes,
        });
    }
    read_value(text, limits.depth())
}

/// Reads a text of our own, as deep as the reader can bear.
pub(super) fn parse_trusted(text: &str) -> Result<JsonValue, JsonError> {
    read_value(text, usize::MAX)
}

/// Reads the members of an object of our own, such as arguments with a key in them.
///
/// # Errors
/// If the text is not JSON. What is no object has no members.
pub fn parse_members(text: &str) -> Result<JsonMap, JsonError> {
    Ok(match parse_trusted(text)? {
        JsonValue::Object(members) => members,
        _ => JsonMap::new(),
    })
}

fn read_value(text: &str, depth_limit: usize) -> Result<JsonValue, JsonError> {
    // `serde_json` reads a number as 64 bits. It gets zeros in place of longer ones, and each number that it reads is
    // the next one of the text.
    let scan = NumberScan::of(text)?;
    let trouble = ReadError::default();
    let numbers = RefCell::new(scan.numbers.into_iter());
    let mut reader = serde_json::Deserializer::from_str(&scan.masked);
    let node = ValueNode {
        depth: 0,
        depth_limit,
        trouble: &trouble,
        numbers: &numbers,
    };
    let value = node
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| trouble.into_error(&error, depth_limit))
}

/// An error below, passed upwards beside the reader's own error, which holds no path.
#[derive(Default)]
struct ReadError {
    kind: RefCell<Option<ValueKind>>,
    /// The way to it, innermost first.
    path: RefCell<Vec<String>>,
}

enum ValueKind {
    TooDeep,
    Duplicate,
}

impl ReadError {
    fn note_location(&self, kind: ValueKind) {
        *self.kind.borrow_mut() = Some(kind);
    }

    fn at_child(&self, segment: impl ToString) {
        self.path.borrow_mut().push(segment.to_string());
    }

    fn into_error(self, error: &serde_json::Error, depth_limit: usize) -> JsonError {
        let mut pointer = String::new();
        for segment in self.path.into_inner().iter().rev() {
            push_segment(&mut pointer, segment);
        }
        let at = ShownPointer::new(&pointer);
        match self.kind.into_inner() {
            Some(ValueKind::TooDeep) => JsonError::TooDeep {
                at,
                limit: depth_limit,
            },
            Some(ValueKind::Duplicate) => JsonError::Duplicate { at },
            None => JsonError::Syntax {
                problem: error.to_string(),
                at,
            },
        }
    }
}

/// One value of the text, so many levels down.
#[derive(Clone, Copy)]
struct ValueNode<'t> {
    depth: usize,
    depth_limit: usize,
    trouble: &'t ReadError,
    /// The numbers of the text that are not read yet.
    numbers: &'t RefCell<vec::IntoIter<&'t str>>,
}

impl ValueNode<'_> {
    fn child<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.depth_limit {
            self.trouble.note_location(ValueKind::TooDeep);
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn next_number<E: serde::de::Error>(self) -> Result<JsonValue, E> {
        let text = self.numbers.borrow_mut().next();
        let text = text.ok_or_else(|| E::custom("a number that is not in the text"))?;
        Ok(JsonValue::Number(JsonNumber::from_checked(text)))
    }
}

impl<'de> DeserializeSeed<'de> for ValueNode<'_> {
    type Value = JsonValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueNode<'_> {
    type Value = JsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<JsonValue, E> {
        Ok(JsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonValue, E> {
        Ok(JsonValue::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<JsonValue, E> {
        self.next_number()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<JsonValue, E> {
        self.next_number()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<JsonValue, E> {
        self.next_number()
    }

    fn visit_str<E>(self, value: &str) -> Result<JsonValue, E> {
        Ok(JsonValue::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<JsonValue, E> {
        Ok(JsonValue::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonValue, A::Error> {
        let child = self.child()?;
        let mut items = Vec::new();
        while let Some(item) = list
            .next_element_seed(child)
            .inspect_err(|_| self.trouble.at_child(items.len()))?
        {
            items.push(item);
        }
        Ok(JsonValue::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<JsonValue, A::Error> {
        let child = self.child()?;
        let mut members = JsonMap::new();
        while let Some(name) = object.next_key::<String>()? {
            // Checked before the value is read, so that a repeated member costs no further memory.
            if members.contains_key(&name) {
                self.trouble.note_location(ValueKind::Duplicate);
                self.trouble.at_child(name);
                return Err(A::Error::custom("named twice"));
            }
            let member = object
                .next_value_seed(child)
                .inspect_err(|_| self.trouble.at_child(&name))?;
            members.insert(name, member);
        }
        Ok(JsonValue::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::json::canonical;
    use proptest::prelude::*;
    use serde_json::json;

    fn error_text(text: &str) -> String {
        parse(
            text,
            &JsonLimits {
                bytes: 200_000,
                depth: 4,
            },
        )
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn json_is_read_unchanged() {
        let text =
            r#" {"a":[null,true,-1,2,1.5,"\ud83d\ude00\u0000"],"b":{},"c":18446744073709551615} "#;
        let expected = json!({"a": [null, true, -1, 2, 1.5, "😀\0"], "b": {}, "c": u64::MAX});
        assert_eq!(parse(text, &JsonLimits::default()).unwrap(), expected);
    }

    #[test]
    fn a_member_named_twice_is_refused_with_its_path() {
        assert_eq!(
            error_text(r#"{"a":[0,{"b~":1,"b~":1}]}"#),
            "`/a/1/b~0` occurs twice in its object: keep one of them"
        );
        assert_eq!(
            error_text(r#"{"a":1,"\u0061":2}"#),
            "`/a` occurs twice in its object: keep one of them"
        );
    }

    #[test]
    fn one_level_too_many_is_refused_with_its_path() {
        parse(
            "[[[[0]]]]",
            &JsonLimits {
                bytes: 99,
                depth: 4,
            },
        )
        .unwrap();
        assert_eq!(
            error_text(r#"[[{"x":[[]]}]]"#),
            "the JSON is nested more than 4 deep at `/0/0/x/0`: make it flatter"
        );
    }

    #[test]
    fn a_hundred_thousand_levels_are_refused() {
        let text = "[".repeat(100_000);
        assert!(error_text(&text).contains("nested more than 4 deep"));
        let any = JsonLimits {
            bytes: usize::MAX,
            depth: usize::MAX,
        };
        assert!(matches!(parse(&text, &any), Err(JsonError::TooDeep { .. })));
    }

    #[test]
    fn one_byte_too_many_is_refused() {
        assert!(matches!(
            parse("[1]", &JsonLimits { bytes: 2, depth: 9 }),
            Err(JsonError::TooLarge { bytes: 3, .. })
        ));
    }

    #[test]
    fn text_after_the_value_is_refused() {
        assert!(error_text("{} {}").contains("trailing characters at line 1 column 4"));
    }

    #[test]
    fn half_a_character_is_refused() {
        for text in [
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udc00"}"#,
            r#"{"a":"\ud800x"}"#,
            r#"{"\ud800":1}"#,
        ] {
            assert!(
                error_text(text).starts_with("this is not valid JSON: "),
                "{text}"
            );
        }
        assert!(error_text(r#"{"a":"\ud800x"}"#).ends_with("within `/a`"));
    }

    #[test]
    fn what_javascript_would_allow_is_refused() {
        for text in [
            "",
            "NaN",
            "[1,]",
            "{'a':1}",
            "01",
            "+1",
            "1.e9",
            "[\"\t\"]",
            "// x\n1",
            "\u{feff}1",
        ] {
            assert!(parse(text, &JsonLimits::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_past_the_limits_is_refused_with_its_place() {
        let nines = "9".repeat(1_001);
        assert_eq!(
            error_text(&format!("{{\"a\": \"{nines}\\\"\",\n \"b\": {nines}}}")),
            "line 2, column 7 holds a number with 1001 digits, more than 1000: send it as a text"
        );
        assert_eq!(
            error_text("[1.5, 1e-1000001]"),
            "line 1, column 7 holds a number with an exponent beyond 1000000 or below -1000000: send it as a text"
        );
    }

    #[test]
    fn every_number_keeps_its_digits_and_its_spelling() {
        let text = r#"{"b":[-0,1.10,1E2,18446744073709551616,"7",-9223372036854775809],"a":{"c":1e999,"d":7}}"#;
        let value = parse(text, &JsonLimits::default()).unwrap();
        let spelling: Vec<_> = value["b"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| Some(item.as_number()?.as_str()))
            .collect();
        assert_eq!(
            spelling,
            [
                "-0",
                "1.10",
                "1E2",
                "18446744073709551616",
                "-9223372036854775809"
            ]
        );
        assert_eq!(value["a"]["c"].as_number().unwrap().as_str(), "1e999");
        assert_eq!(value["a"]["d"].as_i64(), Some(7));
        assert_eq!(
            canonical(&value),
            r#"{"a":{"c":1e+999,"d":7},"b":[0,1.1,100,18446744073709551616,"7",-9223372036854775809]}"#
        );
    }

    #[test]
    fn a_mistake_after_a_long_number_is_at_its_own_place() {
        assert!(error_text("[1.50, 2x]").contains("line 1 column 9"));
        assert!(error_text("[1.50 2]").contains("line 1 column 7"));
        for text in [
            "[1.5.2]", "[1.]", "[1e]", "[-]", "[1.50.]", "{1.5:2}", "[\"1.5]",
        ] {
            assert!(
                error_text(text).starts_with("this is not valid JSON: "),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,64}", json in "[\\[\\]{}:,\"\\\\a0-9eE.+-]{0,64}") {
            let _ = parse(&text, &JsonLimits::default());
            let _ = parse(&json, &JsonLimits::default());
        }

        #[test]
        fn what_serde_reads_without_doubt_is_read_equally(value in any::<(Vec<Option<i64>>, String, f64)>()) {
            let text = json!(value).to_string();
            prop_assert_eq!(parse(&text, &JsonLimits::default()).unwrap(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }
    }
}
