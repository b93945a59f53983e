//! One text for equal values: RFC 8785.

use serde_json::{Map, Number, Value, map};
use std::{slice, vec};

/// The canonical text of a value, as RFC 8785 gives it: no blanks, members in the order of their names' UTF-16 code
/// units, numbers as ECMAScript prints them.
///
/// One thing differs. An integer beyond 2^53 keeps its digits, where RFC 8785 would round it to the nearest double and
/// so merge neighbours. Keys never depend on it, because such integers are refused in identity and content; elsewhere
/// they reach policy and tool unchanged. Never recurses.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    let mut open = Vec::new();
    put_value(&mut text, &mut open, value);
    finish_text(text, open)
}

/// The same of an object that is no value by itself, such as the arguments of a call.
pub(crate) fn canonical_object(members: &Map<String, Value>) -> String {
    finish_text(
        "{".to_owned(),
        vec![OpenContainer::new(PendingChildren::members(members))],
    )
}

fn finish_text(mut text: String, mut open: Vec<OpenContainer<'_>>) -> String {
    while let Some(container) = open.last_mut() {
        match container.next_child(&mut text) {
            Some(child) => put_value(&mut text, &mut open, child),
            None => {
                text.push(container.closing_bracket());
                open.pop();
            }
        }
    }
    text
}

/// A list or object with unfinished text.
struct OpenContainer<'a> {
    children: PendingChildren<'a>,
    is_first: bool,
}

enum PendingChildren<'a> {
    Items(slice::Iter<'a, Value>),
    /// The members of an object that lie in their order.
    Members(map::Iter<'a>),
    /// Those of one in which they do not.
    Sorted(vec::IntoIter<(&'a String, &'a Value)>),
}

impl<'a> PendingChildren<'a> {
    fn members(of: &'a Map<String, Value>) -> Self {
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
    fn next_child(&mut self, text: &mut String) -> Option<&'a Value> {
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

fn put_value<'a>(text: &mut String, open: &mut Vec<OpenContainer<'a>>, value: &'a Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(value) => text.push_str(&number(value)),
        Value::String(value) => put_text(text, value),
        Value::Array(items) => {
            text.push('[');
            open.push(OpenContainer::new(PendingChildren::Items(items.iter())));
        }
        Value::Object(members) => {
            text.push('{');
            open.push(OpenContainer::new(PendingChildren::members(members)));
        }
    }
}

/// A number as ECMAScript prints it; an integer with all its digits.
pub(super) fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => ryu_js::Buffer::new().format(float).to_owned(),
        // `ryu_js` knows doubles only, and would merge neighbours beyond 2^53.
        _ => number.to_string(),
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
                canonical(&json!(f64::from_bits(bits))),
                expected,
                "{bits:016x}"
            );
        }
    }

    #[test]
    fn the_standards_own_example_comes_out_as_it_says() {
        // RFC 8785, 3.2.2 and 3.2.3.
        let text = r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
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
        let value: Map<_, _> = names
            .iter()
            .rev()
            .map(|name| ((*name).to_owned(), json!(0)))
            .collect();
        let text = canonical(&Value::Object(value));
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
    fn long_integers_keep_their_digits() {
        assert_eq!(canonical(&json!(u64::MAX)), "18446744073709551615");
        assert_eq!(
            canonical(&json!(9_007_199_254_740_993_u64)),
            "9007199254740993"
        );
        assert_eq!(canonical(&json!(i64::MIN)), "-9223372036854775808");
    }

    #[test]
    fn an_integer_and_a_float_of_one_value_have_one_text() {
        assert_eq!(canonical(&json!([10, 10.0, -0.0])), "[10,10,0]");
    }

    fn values() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from)
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> String {
        match value {
            Value::Array(items) => format!(
                "[{}]",
                items.iter().map(reversed).collect::<Vec<_>>().join(" , ")
            ),
            Value::Object(members) => {
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
            prop_assert_eq!(canonical(&serde_json::from_str(&text).unwrap()), text.clone());
            // What is too long to be exact is printed in full by RFC 8785, and read by no reader of ours.
            if let Ok(read) = parse(&text, &limits) {
                prop_assert_eq!(canonical(&read), text);
            }
        }

        #[test]
        fn order_and_blanks_do_not_matter(value in values()) {
            let other: Value = serde_json::from_str(&reversed(&value)).unwrap();
            prop_assert_eq!(canonical(&other), canonical(&value));
        }
    }
}
