//! The JSON Schema of `semel.toml`, for editors.

use super::{ConfigKey, DefaultValue, SectionKeys, ValueType, table};
use serde_json::{Map, Value, json};

/// Returns the JSON Schema (draft 2020-12) of `semel.toml`.
///
/// It checks names, types and bounds of numbers. Only the reader checks the bounds of durations,
/// and how keys go together.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = section_schema(&table::FILE);
    if let Value::Object(members) = &mut schema {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("title".to_owned(), json!("semel.toml"));
    }
    schema
}

fn section_schema(section: &SectionKeys) -> Value {
    let properties: Map<_, _> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), key_schema(key)))
        .collect();
    let is_required = |key: &&&ConfigKey| matches!(key.default, DefaultValue::Required);
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(is_required)
        .map(|key| key.name)
        .collect();
    json!({
        "type": "object",
        "description": section.meaning,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn key_schema(key: &ConfigKey) -> Value {
    let mut schema = match &key.value {
        ValueType::Text => json!({ "type": "string" }),
        ValueType::Texts => json!({
            "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        ValueType::Boolean => json!({ "type": "boolean" }),
        ValueType::Number { least, most, .. } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        ValueType::Duration(_) => json!({ "type": "string" }),
        ValueType::Choice(words) => json!({ "enum": words }),
        ValueType::Object => json!({ "type": "object" }),
        ValueType::Section(section) => return section_schema(section),
        ValueType::Sections(section) => {
            return json!({ "type": "array", "items": section_schema(section) });
        }
    };
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(description(key)));
        members.extend(
            json_of_toml(key.example).map(|example| ("examples".to_owned(), json!([example]))),
        );
        if let DefaultValue::Toml(text) = key.default {
            members.extend(json_of_toml(text).map(|default| ("default".to_owned(), default)));
        }
    }
    schema
}

/// What an editor shows for a key: its meaning, and all that the other members of a schema cannot express.
fn description(key: &ConfigKey) -> String {
    let meaning = match &key.value {
        ValueType::Duration(range) => format!("{} ({})", key.meaning, range.description()),
        ValueType::Number { unit, .. } => format!("{} ({unit})", key.meaning),
        _ => key.meaning.to_owned(),
    };
    match key.default {
        DefaultValue::Words(words) => format!("{meaning}; default: {words}"),
        _ => meaning,
    }
}

/// The JSON of a value in the table, if the value is JSON as well as TOML. All but inline tables are.
fn json_of_toml(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
