//! One text for equal values: RFC 8785 with exact numbers.

use super::{JsonMap, JsonNumber, JsonValue};
use std::{collections::btree_map, slice, vec};

/// The canonical text of a value, as RFC 8785 gives it: no blanks, members in the order of their names' UTF-16 code
/// units, numbers laid out as ECMAScript prints them.
///
/// One thing differs. A number keeps all its digits, where RFC 8785 would round it to the nearest double and so merge
/// neighbours. Every number that a double holds exactly enough to print it has the text that RFC 8785 gives it. Never
/// recurses.
#[must_use]
pub fn canonical(value: &JsonValue) -> String {
    TextWriter::new(NumberStyle::Canonical).write(value)
}

/// The same of an object that is no value by itself, such as the arguments of a call.
pub(crate) fn canonical_object(members: &JsonMap) -> String {
    TextWriter::new(NumberStyle::Canonical).write_members(members)
}

/// The same text, but with numbers as they were written.
pub(super) fn compact(value: &JsonValue) -> String {
    TextWriter::new(NumberStyle::AsWritten).write(value)
}

#[derive(Clone, Copy)]
enum NumberStyle {
    Canonical,
    AsWritten,
}

/// A text in the making, and the lists and objects that it is within.
struct TextWriter<'a> {
    text: String,
    open: Vec<OpenContainer<'a>>,
    numbers: NumberStyle,
}

impl<'a> TextWriter<'a> {
    fn new(numbers: NumberStyle) -> Self {
        Self {
            text: String::new(),
            open: Vec::new(),
            numbers,
        }
    }

    fn write(mut self, value: &'a JsonValue) -> String {
        self.put_value(value);
        self.finish()
    }

    fn write_members(mut self, members: &'a JsonMap) -> String {
        self.open_object(members);
        self.finish()
    }

    fn finish(mut self) -> String {
        while let Some(container) = self.open.last_mut() {
            match container.next_child(&mut self.text) {
                Some(child) => self.put_value(child),
                None => {
                    self.text.push(container.closing_bracket());
                    self.open.pop();
                }
            }
        }
        self.text
    }

    fn put_value(&mut self, value: &'a JsonValue) {
        match value {
            JsonValue::Null => self.text.push_str("null"),
            JsonValue::Bool(true) => self.text.push_str("true"),
            JsonValue::Bool(false) => self.text.push_str("false"),
            JsonValue::Number(number) => self.put_number(number),
            JsonValue::String(value) => put_text(&mut self.text, value),
            JsonValue::Array(items) => {
                self.text.push('[');
                self.open
                    .push(OpenContainer::new(PendingChildren::Items(items.iter())));
            }
            JsonValue::Object(members) => self.open_object(members),
        }
    }

    fn put_number(&mut self, number: &JsonNumber) {
        match self.numbers {
            NumberStyle::Canonical => number.put_canonical(&mut self.text),
            NumberStyle::AsWritten => self.text.push_str(number.as_str()),
        }
    }

    fn open_object(&mut self, members: &'a JsonMap) {
        self.text.push('{');
        self.open
            .push(OpenContainer::new(PendingChildren::members(members)));
    }
}

/// A list or object with unfinished text.
struct OpenContainer<'a> {
    children: PendingChildren<'a>,
    is_first: bool,
}

enum PendingChildren<'a> {
    Items(slice::Iter<'a, JsonValue>),
    /// The members of an object that lie in their order.
    Members(btree_map::Iter<'a, String, JsonValue>),
    /// Those of one in which they do not.
    Sorted(vec::IntoIter<(&'a String, &'a JsonValue)>),
}

impl<'a> PendingChildren<'a> {
    fn members(of: &'a JsonMap) -> Self {
        let by_units =
            |one: &&String, other: &&String| one.encode_utf16().cmp(other.encode_utf16());
        // Parsed objects mostly lie in this order already, so most need no list to sort.
        if of
            .keys()
            .is_sorted_by(|one, other| by_units(one, other).is_le())
        {
            return Self::Members(of.iter());
        }
        let mut members: Vec<_> = of.iter().collect();
        members.sort_by(|(one, _), (other, _)| by_units(one, other));
        Self::Sorted(members.into_iter())
    }
}

impl<'a> OpenContainer<'a> {
    fn new(children: PendingChildren<'a>) -> Self {
        Self {
            children,
            is_first: true,
        }
    }

    /// Writes all text before the next child.
    fn next_child(&mut self, text: &mut String) -> Option<&'a JsonValue> {
        let (name, child) = match &mut self.children {
            PendingChildren::Items(items) => (None, items.next()?),
            PendingChildren::Members(members) => {
                members.next().map(|(name, member)| (Some(name), member))?
            }
            PendingChildren::Sorted(members) => {
                members.next().map(|(name, member)| (Some(name), member))?
            }
        };
        if !std::mem::take(&mut self.is_first) {
            text.push(',');
        }
        if let Some(name) = name {
            put_text(text, name);
            text.push(':');
        }
        Some(child)
    }

    fn closing_bracket(&self) -> char {
        match self.children {
            PendingChildren::Items(_) => ']',
            PendingChildren::Members(_) | PendingChildren::Sorted(_) => '}',
        }
    }
}

fn put_text(text: &mut String, value: &str) {
    text.push('"');
    let mut rest = value;
    // Runs without escapes are copied whole. The searched bytes are ASCII, so a split never falls
    // within a character.
    while let Some(at) = rest
        .bytes()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
    {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        let mut from = from.chars();
        if let Some(char) = from.next() {
            put_escaped(text, char);
        }
        rest = from.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

fn put_escaped(text: &mut String, char: char) {
    match char {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\u{8}' => text.push_str("\\b"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\u{c}' => text.push_str("\\f"),
        '\r' => text.push_str("\\r"),
        control => text.push_str(&format!("\\u{:04x}", u32::from(control))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::json::{JsonLimits, parse};
    use proptest::prelude::*;
    use serde_json::json;

    /// Appendix B of RFC 8785: the bits of a double, and its text.
    const NUMBERS: [(u64, &str); 26] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        (0x3ff0_0000_0000_0000, "1"),
        (0x4024_0000_0000_0000, "10"),
    ];

    #[test]
    fn numbers_are_printed_as_the_standard_prints_them() {
        for (bits, expected) in NUMBERS {
            assert_eq!(
                canonical(&json!(f64::from_bits(bits)).into()),
                expected,
                "{bits:016x}"
            );
        }
    }

    #[test]
    fn the_standards_own_example_comes_out_as_it_says_but_for_digits_that_a_double_drops() {
        // RFC 8785, 3.2.2 and 3.2.3. There, the first number loses its last digit.
        let text = r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],"#,
            "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        assert_eq!(
            canonical(&parse(text, &JsonLimits::default()).unwrap()),
            expected
        );
    }

    #[test]
    fn members_stand_in_the_order_of_utf_16() {
        // RFC 8785, 3.2.3. The emoji is a surrogate pair, so it comes before U+FB33, which is less than it.
        let names = [
            "\r",
            "1",
            "\u{80}",
            "\u{f6}",
            "\u{20ac}",
            "\u{1f600}",
            "\u{fb33}",
        ];
        let value: JsonMap = names
            .iter()
            .rev()
            .map(|name| ((*name).to_owned(), JsonValue::from(0)))
            .collect();
        let text = canonical(&JsonValue::Object(value));
        let places: Vec<_> = names
            .iter()
            .map(|name| text.find(if *name == "\r" { "\\r" } else { name }))
            .collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{text}"
        );
    }

    #[test]
    fn members_and_numbers_of_one_value_have_one_text() {
        assert_eq!(
            canonical(&json!([10, 10.0, -0.0, u64::MAX]).into()),
            "[10,10,0,18446744073709551615]"
        );
    }

    fn values() -> impl Strategy<Value = JsonValue> {
        let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?"
            .prop_map(|text| JsonNumber::parse(&text).unwrap().into());
        let leaf = prop_oneof![
            Just(JsonValue::Null),
            any::<bool>().prop_map(JsonValue::from),
            number,
            any::<String>().prop_map(JsonValue::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(JsonValue::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(JsonValue::Object),
            ]
        })
    }

    fn reversed(value: &JsonValue) -> String {
        match value {
            JsonValue::Array(items) => format!(
                "[{}]",
                items.iter().map(reversed).collect::<Vec<_>>().join(" , ")
            ),
            JsonValue::Object(members) => {
                let member = |(name, member)| format!("{} : {}", json!(name), reversed(member));
                format!(
                    "{{ {} }}",
                    members
                        .iter()
                        .rev()
                        .map(member)
                        .collect::<Vec<_>>()
                        .join(",")
                )
            }
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn a_canonical_text_is_its_own_canonical_text(value in values()) {
            let text = canonical(&value);
            let limits = JsonLimits::default();
            let read = parse(&text, &limits).unwrap();
            prop_assert_eq!(canonical(&read), text);
            prop_assert_eq!(read, value);
        }

        #[test]
        fn a_value_survives_serde_as_it_is(value in values()) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<JsonValue>(&text).unwrap().to_string(), value.to_string());
        }

        #[test]
        fn order_and_blanks_do_not_matter(value in values()) {
            let other = parse(&reversed(&value), &JsonLimits::default()).unwrap();
            prop_assert_eq!(canonical(&other), canonical(&value));
        }
    }
}
