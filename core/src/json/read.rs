//! A JSON text into a value, or an error with its place.

use super::{JsonError, JsonLimits, ShownPointer, walk::push_segment};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{cell::RefCell, fmt};

/// Reads one JSON text (RFC 8259) and nothing after it.
///
/// Refused besides what is no JSON: more bytes or levels than `limits` allow, a member named twice (readers disagree
/// on which counts), a lone surrogate, and an integer that 64 bits do not hold (it would reach the tool changed).
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
pub fn parse(text: &str, limits: &JsonLimits) -> Result<Value, JsonError> {
    if text.len() > limits.bytes {
        return Err(JsonError::TooLarge {
            bytes: text.len(),
            limit: limits.bytes,
        });
    }
    if let Some(offset) = overlong_integer(text.as_bytes()) {
        let (line, column) = position(text.as_bytes(), offset);
        return Err(JsonError::Inexact { line, column });
    }
    let trouble = ReadError::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let node = ValueNode {
        depth: 0,
        depth_limit: limits.depth(),
        trouble: &trouble,
    };
    let value = node
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| trouble.into_error(&error, limits))
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

    fn into_error(self, error: &serde_json::Error, limits: &JsonLimits) -> JsonError {
        let mut pointer = String::new();
        for segment in self.path.into_inner().iter().rev() {
            push_segment(&mut pointer, segment);
        }
        let at = ShownPointer::new(&pointer);
        match self.kind.into_inner() {
            Some(ValueKind::TooDeep) => JsonError::TooDeep {
                at,
                limit: limits.depth(),
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
}

impl<'de> DeserializeSeed<'de> for ValueNode<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueNode<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let child = self.child()?;
        let mut items = Vec::new();
        while let Some(item) = list
            .next_element_seed(child)
            .inspect_err(|_| self.trouble.at_child(items.len()))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let child = self.child()?;
        let mut members = Map::new();
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
        Ok(Value::Object(members))
    }
}

/// Returns the position of the first integer beyond `i64` and `u64`. The reader would turn it into
/// a float without notice.
fn overlong_integer(text: &[u8]) -> Option<usize> {
    let mut offset = 0;
    while let Some(byte) = text.get(offset) {
        let rest = text.get(offset..).unwrap_or_default();
        offset += match byte {
            // Digits within a string are no number.
            b'"' => length_of_text(rest),
            b'-' | b'0'..=b'9' => {
                let length = rest
                    .iter()
                    .take_while(|byte| b"+-.eE0123456789".contains(byte))
                    .count();
                if is_overlong(rest.get(..length).unwrap_or_default()) {
                    return Some(offset);
                }
                length
            }
            _ => 1,
        };
    }
    None
}

/// Returns the length of a JSON string in bytes, including both quotation marks.
fn length_of_text(text: &[u8]) -> usize {
    let mut length = 1;
    while let Some(byte) = text.get(length) {
        // An escape takes its next byte with it, so `\"` does not end the string.
        length += if *byte == b'\\' { 2 } else { 1 };
        if *byte == b'"' {
            break;
        }
    }
    length
}

fn is_overlong(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    // A fraction or an exponent makes a double by intent.
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let Ok(number) = str::from_utf8(number) else {
        return false;
    };
    !digits.is_empty() && number.parse::<u64>().is_err() && number.parse::<i64>().is_err()
}

/// Line and column of an offset, both from 1.
fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
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
            "1e999",
            "[\"\t\"]",
            "// x\n1",
            "\u{feff}1",
        ] {
            assert!(parse(text, &JsonLimits::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_integer_that_would_change_on_the_way_is_refused_with_its_place() {
        let text = "{\"a\": \"18446744073709551616\\\"\",\n \"b\": 18446744073709551616}";
        assert_eq!(
            error_text(text),
            "line 2, column 7 holds an integer too long to be kept exactly: send it as a text"
        );
        assert!(error_text("-9223372036854775809").contains("too long"));
        for fine in [
            "-9223372036854775808",
            "1e30",
            "18446744073709551616.0",
            "[1,2,-3]",
        ] {
            parse(fine, &JsonLimits::default()).unwrap();
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
            prop_assert_eq!(parse(&text, &JsonLimits::default()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }
    }
}
