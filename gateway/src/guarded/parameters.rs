//! Arguments that are repeated in headers (`x-mcp-header` in a tool's schema, since 2026-07-28), so that whatever stands on the
//! way to a server decides by what the server acts on. Both must say the same.
//!
//! Nothing here validates arguments by their schema: that is the server's.

use crate::wire::{Fault, FaultCode, decoded, encoded, header};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// How deep in a schema arguments are looked for.
const DEPTH_MAX: usize = 32;

/// Below this, each integer is a number of its own in every client.
const INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

/// The arguments of one tool that are repeated in headers. Of a tool whose schema says so in a wrong way none is, as clients
/// drop it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parameters(Vec<Parameter>);

#[derive(Debug, Clone, PartialEq)]
struct Parameter {
    /// The header's name, in small letters.
    header: String,
    /// Where among the arguments it is.
    path: Vec<String>,
}

impl Parameters {
    /// Those that the schema of a tool's arguments names.
    pub(super) fn of(schema: &Value) -> Self {
        let mut found = Vec::new();
        let is_sound = find(schema, &mut Vec::new(), &mut found).is_some();
        let mut headers = HashSet::new();
        let is_sound = is_sound
            && found
                .iter()
                .all(|parameter| headers.insert(parameter.header.clone()));
        if is_sound {
            Self(found)
        } else {
            Self::default()
        }
    }

    /// Whether the headers of a call say what its arguments say.
    pub(super) fn agree(
        &self,
        arguments: &Value,
        headers: &[(String, String)],
    ) -> Result<(), Fault> {
        self.0
            .iter()
            .try_for_each(|parameter| parameter.agrees(arguments.as_object(), headers))
    }

    /// Has the headers say what the arguments say.
    pub(super) fn put(&self, arguments: &Map<String, Value>, headers: &mut Vec<(String, String)>) {
        for parameter in &self.0 {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&parameter.header));
            let text = parameter.argument(Some(arguments)).and_then(text);
            headers.extend(text.map(|text| (parameter.header.clone(), text)));
        }
    }
}

impl Parameter {
    fn argument<'a>(&self, arguments: Option<&'a Map<String, Value>>) -> Option<&'a Value> {
        let (first, rest) = self.path.split_first()?;
        rest.iter()
            .try_fold(arguments?.get(first)?, |value, name| value.get(name))
            .filter(|value| !value.is_null())
    }

    fn agrees(
        &self,
        arguments: Option<&Map<String, Value>>,
        headers: &[(String, String)],
    ) -> Result<(), Fault> {
        let given = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(&self.header));
        let given: Vec<_> = given.map(|(_, value)| value.as_str()).collect();
        let argument = self.argument(arguments);
        let (header, path) = (&self.header, self.path.join("/"));
        let what = match (argument.and_then(text), given.as_slice()) {
            (None, []) => return Ok(()),
            (Some(_), [value]) if argument.is_some_and(|argument| says(value, argument)) => {
                return Ok(());
            }
            (None, _) => format!("the header `{header}` repeats no argument: leave it out"),
            (Some(text), []) => {
                format!(
                    "the header `{header}` is missing: send it as `{text}`, as the argument `{path}`"
                )
            }
            (Some(text), _) => {
                format!(
                    "the header `{header}` says something else than the argument `{path}`: send it once, as `{text}`"
                )
            }
        };
        Err(Fault::new(FaultCode::HeaderMismatch, what))
    }
}

/// Finds what the schema names; none: it does so in a wrong way.
fn find(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Parameter>) -> Option<()> {
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .filter(|_| path.len() < DEPTH_MAX);
    for (name, property) in properties.into_iter().flatten() {
        path.push(name.clone());
        if let Some(annotation) = property.get("x-mcp-header") {
            let named = annotation
                .as_str()
                .filter(|name| is_token(name))?
                .to_ascii_lowercase();
            let kind = property.get("type").and_then(Value::as_str)?;
            ["string", "integer", "boolean"]
                .contains(&kind)
                .then_some(())?;
            found.push(Parameter {
                header: format!("{}{named}", header::PARAMETER),
                path: path.clone(),
            });
        }
        find(property, path, found)?;
        path.pop();
    }
    Some(())
}

/// Whether a header may be called so.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The argument as a header carries it; none: it is of a kind that no header carries.
fn text(argument: &Value) -> Option<String> {
    match argument {
        Value::String(text) => Some(encoded(text)),
        Value::Bool(is) => Some(is.to_string()),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            // Written with a fraction or an exponent, it may be an integer all the same.
            Some(float) => (float.fract() == 0.0 && float.abs() < INTEGERS_BELOW)
                .then(|| format!("{float:.0}")),
            None => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a header says what the argument says. Numbers may be written in several ways.
fn says(value: &str, argument: &Value) -> bool {
    match argument {
        Value::String(text) => decoded(value) == *text,
        Value::Number(_) => text(argument).is_some_and(|text| is_same_number(value, &text)),
        _ => text(argument).is_some_and(|text| value == text),
    }
}

fn is_same_number(one: &str, other: &str) -> bool {
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return one == other;
    }
    let floats = one.parse::<f64>().ok().zip(other.parse::<f64>().ok());
    floats.is_some_and(|(one, other)| one.total_cmp(&other).is_eq() && one.abs() < INTEGERS_BELOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters() -> Parameters {
        Parameters::of(&json!({ "properties": {
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
        let agreed = parameters().agree(arguments, &headers);
        assert!(
            agreed.as_ref().is_ok()
                || agreed.is_err_and(|fault| fault.code == FaultCode::HeaderMismatch)
        );
        parameters().agree(arguments, &headers).is_ok()
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
        let arguments = json!({ "region": "größe", "options": { "limit": 1e3 } });
        parameters().put(arguments.as_object().unwrap_or(&Map::new()), &mut headers);
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
            Parameters::of(&json!({ "properties": { "a": good, "b": other } }))
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
