//! What a tool's schema says of its arguments, as far as a call can break it in the plainest way: an argument that is
//! required is missing, or one is of another type.
//!
//! Absent: everything else that a schema can say. It is not read, so nothing is ever said to break it.

use serde_json::{Map, Value};

/// The most arguments of a tool that are looked at.
const ARGUMENTS_MAX: usize = 1_000;

/// What is required, and of which types arguments are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    required: Vec<String>,
    types: Vec<(String, Vec<Type>)>,
}

/// A type of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    List,
    Object,
}

impl Arguments {
    pub(super) fn of_schema(schema: &Value) -> Self {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let required = required
            .filter_map(Value::as_str)
            .take(ARGUMENTS_MAX)
            .map(ToOwned::to_owned)
            .collect();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let typed = properties.filter_map(|(name, property)| {
            Some((name.clone(), Type::all_of(property.get("type")?)?))
        });
        Self {
            required,
            types: typed.take(ARGUMENTS_MAX).collect(),
        }
    }

    /// Whether these may be the tool's, as far as is looked at.
    pub(super) fn may_be(&self, arguments: &Map<String, Value>) -> bool {
        let is_of = |value: &Value, types: &[Type]| types.iter().any(|is| is.has(value));
        let is_wrong = |(name, types): &(String, Vec<Type>)| {
            arguments
                .get(name)
                .is_some_and(|value| !is_of(value, types))
        };
        self.required
            .iter()
            .all(|name| arguments.contains_key(name))
            && !self.types.iter().any(is_wrong)
    }
}

impl Type {
    /// The types that `type` names; none: at least one of them is unknown here.
    fn all_of(named: &Value) -> Option<Vec<Self>> {
        let names = named
            .as_array()
            .map_or(std::slice::from_ref(named), Vec::as_slice);
        names
            .iter()
            .map(|name| Self::named(name.as_str()?))
            .collect()
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::Text,
            "array" => Self::List,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn has(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            // One with a point may be whole, and how is the server's to say.
            Self::Integer | Self::Number => value.is_number(),
            Self::Text => value.is_string(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn may_be(arguments: &Value) -> bool {
        let schema = json!({
            "type": "object",
            "properties": {
                "amount": { "type": "integer" },
                "to": { "type": ["string", "null"] },
                "how": { "anyOf": [{ "type": "string" }] },
                "odd": { "type": "decimal" },
            },
            "required": ["amount"],
        });
        arguments
            .as_object()
            .is_some_and(|arguments| Arguments::of_schema(&schema).may_be(arguments))
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_not_the_tool_s() {
        for wrong in [
            json!({}),
            json!({ "amount": "5" }),
            json!({ "amount": null }),
            json!({ "amount": 5, "to": 1 }),
        ] {
            assert!(!may_be(&wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_never_said_to_be_wrong() {
        for fine in [
            json!({ "amount": 5 }),
            json!({ "amount": 5.0, "to": null }),
            json!({ "amount": 5, "to": "A1", "how": 3, "odd": {}, "more": true }),
        ] {
            assert!(may_be(&fine), "{fine}");
        }
        for schema in [
            json!(null),
            json!({}),
            json!({ "required": "amount", "properties": [] }),
        ] {
            assert!(
                Arguments::of_schema(&schema).may_be(&Map::new()),
                "{schema}"
            );
        }
    }
}
