//! Values of `serde_json` into values with exact numbers, without recursion: their nesting may come from outside.

use super::{JsonMap, JsonNumber, JsonValue};
use serde_json::{Map, Value, map};
use std::vec;

impl From<Value> for JsonValue {
    fn from(value: Value) -> Self {
        let mut open: Vec<PartialContainer> = Vec::new();
        let mut next = value;
        loop {
            let mut done = match next {
                Value::Null => Some(Self::Null),
                Value::Bool(value) => Some(Self::Bool(value)),
                Value::Number(number) => Some(Self::Number(JsonNumber::from(&number))),
                Value::String(text) => Some(Self::String(text)),
                Value::Array(items) => {
                    open.push(PartialContainer::Items(items.into_iter(), Vec::new()));
                    None
                }
                Value::Object(members) => {
                    open.push(PartialContainer::members(members));
                    None
                }
            };
            next = loop {
                let Some(mut container) = open.pop() else {
                    return done.unwrap_or_default();
                };
                if let Some(child) = done.take() {
                    container.add(child);
                }
                match container.next_child() {
                    Some(child) => {
                        open.push(container);
                        break child;
                    }
                    None => done = Some(container.finish()),
                }
            };
        }
    }
}

impl From<Map<String, Value>> for JsonValue {
    fn from(members: Map<String, Value>) -> Self {
        Self::from(Value::Object(members))
    }
}

/// A list or object of which some children are converted.
enum PartialContainer {
    Items(vec::IntoIter<Value>, Vec<JsonValue>),
    /// The last name is that of the child in conversion.
    Members(map::IntoIter, JsonMap, String),
}

impl PartialContainer {
    fn members(members: Map<String, Value>) -> Self {
        Self::Members(members.into_iter(), JsonMap::new(), String::new())
    }

    fn next_child(&mut self) -> Option<Value> {
        match self {
            Self::Items(rest, _) => rest.next(),
            Self::Members(rest, _, name) => {
                let (next_name, child) = rest.next()?;
                *name = next_name;
                Some(child)
            }
        }
    }

    fn add(&mut self, child: JsonValue) {
        match self {
            Self::Items(_, done) => done.push(child),
            Self::Members(_, done, name) => {
                done.insert(std::mem::take(name), child);
            }
        }
    }

    fn finish(self) -> JsonValue {
        match self {
            Self::Items(_, done) => JsonValue::Array(done),
            Self::Members(_, done, _) => JsonValue::Object(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::canonical;
    use serde_json::json;

    #[test]
    fn a_value_is_converted_whole_and_in_its_order() {
        let value =
            json!({ "b": [1, [], { "x": null }, "t"], "a": {}, "c": { "d": [true, -0.5] } });
        assert_eq!(
            canonical(&value.into()),
            r#"{"a":{},"b":[1,[],{"x":null},"t"],"c":{"d":[true,-0.5]}}"#
        );
        assert_eq!(JsonValue::from(json!(7)).as_i64(), Some(7));
    }

    #[test]
    fn ten_thousand_levels_are_converted_without_exhausting_the_stack() {
        let deep = (0..10_000).fold(json!(1), |inner, level| {
            if level % 2 == 0 {
                Value::Array(vec![inner])
            } else {
                let mut members = Map::new();
                members.insert("a".to_owned(), inner);
                Value::Object(members)
            }
        });
        assert_eq!(canonical(&JsonValue::from(deep)).len(), 40_001);
    }
}
