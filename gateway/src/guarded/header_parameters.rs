//! Arguments that headers repeat (`x-mcp-header` in a tool's schema, since 2026-07-28), so that an
//! intermediary can decide by the same values as the server. Both must agree.
//!
//! Absent: validation of arguments by their schema, which is the server's task.

use crate::wire::{ErrorCode, ProtocolError, decode_header_text, encode_header_text, header};
use semel::json::{JsonMap, JsonNumber, JsonValue};
use serde_json::Value;
use std::collections::HashSet;

/// The depth of a schema to which arguments are searched.
const DEPTH_MAX: usize = 32;

/// The types of arguments that a header can carry.
const HEADER_TYPES: [&str; 3] = ["string", "integer", "boolean"];

/// The arguments of one tool that headers repeat. A schema that names any of them wrongly has none,
/// because clients drop such a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HeaderParameters(Vec<HeaderParameter>);

#[derive(Debug, Clone, PartialEq)]
struct HeaderParameter {
    /// The header's name in lower case.
    header: String,
    /// The path to the argument.
    path: Vec<String>,
}

impl HeaderParameters {
    /// Reads the parameters from the schema of a tool's arguments.
    pub(super) fn from_schema(schema: &Value) -> Self {
        let mut parameters = Vec::new();
        if collect_parameters(schema, &mut Vec::new(), &mut parameters).is_none() {
            return Self::default();
        }
        let mut headers = HashSet::new();
        let are_unique = parameters
            .iter()
            .all(|parameter| headers.insert(parameter.header.clone()));
        if are_unique {
            Self(parameters)
        } else {
            Self::default()
        }
    }

    /// Checks that the headers of a call agree with its arguments.
    pub(super) fn check_agreement(
        &self,
        arguments: &JsonValue,
        headers: &[(String, String)],
    ) -> Result<(), ProtocolError> {
        for parameter in &self.0 {
            parameter.check_agreement(arguments.as_object(), headers)?;
        }
        Ok(())
    }

    /// Sets the headers from the arguments.
    pub(super) fn set_headers(&self, arguments: &JsonMap, headers: &mut Vec<(String, String)>) {
        for parameter in &self.0 {
            // The client's own value must not be sent, too.
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&parameter.header));
            let value = parameter.argument(Some(arguments)).and_then(header_value);
            if let Some(value) = value {
                headers.push((parameter.header.clone(), value));
            }
        }
    }
}

impl HeaderParameter {
    fn argument<'a>(&self, arguments: Option<&'a JsonMap>) -> Option<&'a JsonValue> {
        let (first, rest) = self.path.split_first()?;
        let mut value = arguments?.get(first)?;
        for name in rest {
            value = value.get(name)?;
        }
        (!value.is_null()).then_some(value)
    }

    fn check_agreement(
        &self,
        arguments: Option<&JsonMap>,
        headers: &[(String, String)],
    ) -> Result<(), ProtocolError> {
        let sent: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.header))
            .map(|(_, value)| value.as_str())
            .collect();
        let argument = self.argument(arguments);
        let header = &self.header;
        let path = self.path.join("/");
        let what = match (argument.and_then(header_value), sent.as_slice()) {
            (None, []) => return Ok(()),
            (Some(_), [value]) if argument.is_some_and(|argument| is_equal(value, argument)) => {
                return Ok(());
            }
            (None, _) => format!("the header `{header}` repeats no argument: leave it out"),
            (Some(expected), []) => format!(
                "the header `{header}` is missing: send it as `{expected}`, like the argument `{path}`"
            ),
            // A header sent twice agrees with nothing: the server may read either.
            (Some(expected), _) => format!(
                "the header `{header}` differs from the argument `{path}`: send it once, as `{expected}`"
            ),
        };
        Err(ProtocolError::new(ErrorCode::HeaderMismatch, what))
    }
}

/// Collects the parameters of a schema. Returns `None` if the schema names any wrongly.
fn collect_parameters(
    schema: &Value,
    path: &mut Vec<String>,
    parameters: &mut Vec<HeaderParameter>,
) -> Option<()> {
    if path.len() >= DEPTH_MAX {
        return Some(());
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Some(());
    };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(annotation) = property.get("x-mcp-header") {
            let suffix = annotation.as_str()?;
            let json_type = property.get("type").and_then(Value::as_str)?;
            if !is_token(suffix) || !HEADER_TYPES.contains(&json_type) {
                return None;
            }
            parameters.push(HeaderParameter {
                header: format!("{}{}", header::PARAMETER, suffix.to_ascii_lowercase()),
                path: path.clone(),
            });
        }
        collect_parameters(property, path, parameters)?;
        path.pop();
    }
    Some(())
}

/// Returns whether HTTP allows this name of a header.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Returns the argument as a header carries it, or `None` for a type that no header carries.
fn header_value(argument: &JsonValue) -> Option<String> {
    match argument {
        JsonValue::String(text) => Some(encode_header_text(text)),
        JsonValue::Bool(value) => Some(value.to_string()),
        JsonValue::Number(number) => whole_number(number),
        JsonValue::Null | JsonValue::Array(_) | JsonValue::Object(_) => None,
    }
}

/// Returns the digits of a whole number. One that is written with a fraction or an exponent may still be whole; a very
/// long one is carried by no header.
fn whole_number(number: &JsonNumber) -> Option<String> {
    let canonical = number.canonical();
    let is_plain = canonical
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_digit());
    is_plain.then_some(canonical)
}

/// Returns whether a header's value equals the argument. A number may be written in several ways.
fn is_equal(value: &str, argument: &JsonValue) -> bool {
    match argument {
        JsonValue::String(text) => decode_header_text(value) == *text,
        JsonValue::Number(number) => JsonNumber::parse(value).is_ok_and(|sent| sent == *number),
        _ => header_value(argument).is_some_and(|expected| value == expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters() -> HeaderParameters {
        HeaderParameters::from_schema(&json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "query": { "type": "string" },
            "options": { "properties": { "limit": { "type": "integer", "x-mcp-header": "Limit" } } },
        } }))
    }

    fn agrees(arguments: &Value, headers: &[(&str, &str)]) -> bool {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let arguments = &JsonValue::from(arguments.clone());
        let agreed = parameters().check_agreement(arguments, &headers);
        assert!(
            agreed.as_ref().is_ok()
                || agreed.is_err_and(|error| error.code == ErrorCode::HeaderMismatch)
        );
        parameters().check_agreement(arguments, &headers).is_ok()
    }

    #[test]
    fn headers_say_what_the_arguments_say() {
        let arguments = json!({ "region": "größe", "options": { "limit": 42 }, "query": "q" });
        let region = ("mcp-param-region", "=?base64?Z3LDtsOfZQ==?=");
        assert!(agrees(
            &arguments,
            &[region, ("mcp-param-limit", "42"), ("mcp-param-other", "x")]
        ));
        assert!(agrees(&arguments, &[region, ("mcp-param-limit", "42.0")]));
        assert!(!agrees(&arguments, &[region]), "one is missing");
        assert!(!agrees(&arguments, &[region, ("mcp-param-limit", "43")]));
        assert!(
            !agrees(&arguments, &[region, region, ("mcp-param-limit", "42")]),
            "who reads which is not known"
        );
        assert!(agrees(&json!({ "region": null }), &[]));
        assert!(!agrees(&json!({}), &[("mcp-param-region", "eu")]));
    }

    #[test]
    fn headers_are_set_from_the_arguments_that_are_sent() {
        let mut headers = vec![
            ("mcp-param-region".to_owned(), "us".to_owned()),
            ("traceparent".to_owned(), "t".to_owned()),
        ];
        let arguments = JsonValue::from(json!({ "region": "größe", "options": { "limit": 1e3 } }));
        parameters().set_headers(
            arguments.as_object().unwrap_or(&JsonMap::new()),
            &mut headers,
        );
        let names: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("traceparent", "t"),
                ("mcp-param-limit", "1000"),
                ("mcp-param-region", "=?base64?Z3LDtsOfZQ==?=")
            ]
        );
    }

    #[test]
    fn a_schema_that_names_headers_in_a_wrong_way_names_none() {
        let good = json!({ "type": "string", "x-mcp-header": "A" });
        let all = |other: Value| {
            HeaderParameters::from_schema(&json!({ "properties": { "a": good, "b": other } }))
                .0
                .len()
        };
        assert_eq!(
            all(json!({ "type": "string", "x-mcp-header": "B" })),
            2,
            "the control"
        );
        for (kind, name) in [
            ("string", "a"),
            ("string", "b c"),
            ("string", ""),
            ("number", "B"),
            ("object", "B"),
        ] {
            assert_eq!(
                all(json!({ "type": kind, "x-mcp-header": name })),
                0,
                "{kind} {name}"
            );
        }
    }
}
