//! The parts of a tool's schema that a call can violate most plainly: a required argument is
//! missing, or an argument has another type.
//!
//! Absent: everything else that a schema can say. It is not read, so no call is ever reported to
//! violate it.

use semel::json::{JsonMap, JsonValue};
use serde_json::Value;

/// The most arguments of a tool that are checked.
const ARGUMENTS_MAX: usize = 1_000;

/// The required arguments of a tool, and the types of its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ArgumentSchema {
    required: Vec<String>,
    types: Vec<(String, Vec<JsonType>)>,
}

/// A type of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonType {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl ArgumentSchema {
    pub(super) fn from_json(schema: &Value) -> Self {
        Self {
            required: required_names(schema),
            types: argument_types(schema),
        }
    }

    /// Returns whether the arguments fit, as far as they are checked.
    pub(super) fn accepts(&self, arguments: &JsonMap) -> bool {
        let has_required = self
            .required
            .iter()
            .all(|name| arguments.contains_key(name));
        let has_types = self.types.iter().all(|(name, types)| {
            let Some(value) = arguments.get(name) else {
                return true;
            };
            types.iter().any(|json_type| json_type.matches(value))
        });
        has_required && has_types
    }
}

fn required_names(schema: &Value) -> Vec<String> {
    let Some(names) = schema.get("required").and_then(Value::as_array) else {
        return Vec::new();
    };
    names
        .iter()
        .filter_map(Value::as_str)
        .take(ARGUMENTS_MAX)
        .map(ToOwned::to_owned)
        .collect()
}

fn argument_types(schema: &Value) -> Vec<(String, Vec<JsonType>)> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .filter_map(|(name, property)| {
            let types = JsonType::parse_all(property.get("type")?)?;
            Some((name.clone(), types))
        })
        .take(ARGUMENTS_MAX)
        .collect()
}

impl JsonType {
    /// Returns the types that `type` names, or `None` if any of them is unknown here.
    fn parse_all(names: &Value) -> Option<Vec<Self>> {
        let names = names
            .as_array()
            .map_or(std::slice::from_ref(names), Vec::as_slice);
        names
            .iter()
            .map(|name| Self::from_name(name.as_str()?))
            .collect()
    }

    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    fn matches(self, value: &JsonValue) -> bool {
        match value {
            JsonValue::Null => self == Self::Null,
            JsonValue::Bool(_) => self == Self::Boolean,
            // A number with a fraction part of zero may count as an integer: only the server can
            // decide that.
            JsonValue::Number(_) => matches!(self, Self::Integer | Self::Number),
            JsonValue::String(_) => self == Self::String,
            JsonValue::Array(_) => self == Self::Array,
            JsonValue::Object(_) => self == Self::Object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(arguments: &Value) -> bool {
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
        JsonValue::from(arguments.clone())
            .as_object()
            .is_some_and(|arguments| ArgumentSchema::from_json(&schema).accepts(arguments))
    }

    #[test]
    fn a_missing_argument_or_another_type_does_not_fit() {
        for wrong in [
            json!({}),
            json!({ "amount": "5" }),
            json!({ "amount": null }),
            json!({ "amount": 5, "to": 1 }),
        ] {
            assert!(!accepts(&wrong), "{wrong}");
        }
    }

    #[test]
    fn an_unchecked_part_of_a_schema_is_never_violated() {
        for fine in [
            json!({ "amount": 5 }),
            json!({ "amount": 5.0, "to": null }),
            json!({ "amount": 5, "to": "A1", "how": 3, "odd": {}, "more": true }),
        ] {
            assert!(accepts(&fine), "{fine}");
        }
        for schema in [
            json!(null),
            json!({}),
            json!({ "required": "amount", "properties": [] }),
        ] {
            assert!(
                ArgumentSchema::from_json(&schema).accepts(&JsonMap::new()),
                "{schema}"
            );
        }
    }
}
