//! Templates: text with places, such as `reservation/{/reservation_id}`.
//!
//! `{/x}` is a JSON Pointer into the arguments or the outcome, whichever the setting is about; `{arguments:/x}` and
//! `{outcome:/x}` say which. `{key}` is the key of an attempt. Braces themselves are written `{{` and `}}`.

use semel_guest::Value;

use crate::pointer::pointer;
use crate::settings::SettingValue;

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueSource {
    Arguments,
    Outcome,
    Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Place { source: ValueSource, at: String },
}

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<TemplatePart>,
}

impl Template {
    /// Reads a template from the settings, as [`parse`](Self::parse) does.
    pub(crate) fn read(
        at: &SettingValue<'_>,
        plain: ValueSource,
        allowed: &[ValueSource],
    ) -> Result<Self, String> {
        Self::parse(at.text()?, plain, allowed).map_err(|mistake| at.wrong(mistake))
    }

    /// Reads a template in which `{/x}` means the `plain_text` source, and only the `allowed` ones may be named.
    fn parse(text: &str, plain: ValueSource, allowed: &[ValueSource]) -> Result<Self, String> {
        let mut parts = TemplateParts::default();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            parts.text(before);
            rest = if let Some(after) = brace.strip_prefix("{{") {
                parts.text("{");
                after
            } else if let Some(after) = brace.strip_prefix("}}") {
                parts.text("}");
                after
            } else {
                let (inside, after) = split_placeholder(text, brace)?;
                parts.0.push(read_placeholder(inside, plain, allowed)?);
                after
            };
        }
        parts.text(rest);
        if parts.0.is_empty() {
            Err("it is empty".into())
        } else {
            Ok(Self { parts: parts.0 })
        }
    }

    /// Returns true if it needs this source.
    pub(crate) fn needs_source(&self, wanted: ValueSource) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, TemplatePart::Place { source, .. } if *source == wanted))
    }

    /// The text, its values looked up. A value must be a text that says something, or a whole number.
    pub(crate) fn text(
        &self,
        look: impl Fn(ValueSource, &str) -> Option<Value>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(plain) => text.push_str(plain),
                TemplatePart::Place { source, at } => {
                    text.push_str(&plain_text(at, look(*source, at))?)
                }
            }
        }
        Ok(text)
    }

    /// The value: that of the place itself, of whatever kind, where the template is one place and nothing else.
    pub(crate) fn value(
        &self,
        look: impl Fn(ValueSource, &str) -> Option<Value>,
    ) -> Result<Value, String> {
        match self.parts.as_slice() {
            [TemplatePart::Place { source, at }] => {
                look(*source, at).ok_or_else(|| missing_value(at))
            }
            _ => self.text(look).map(Value::String),
        }
    }
}

/// The parts so far, neighbouring texts joined.
#[derive(Default)]
struct TemplateParts(Vec<TemplatePart>);

impl TemplateParts {
    fn text(&mut self, more: &str) {
        match self.0.last_mut() {
            _ if more.is_empty() => {}
            Some(TemplatePart::Text(text)) => text.push_str(more),
            _ => self.0.push(TemplatePart::Text(more.to_owned())),
        }
    }
}

/// Splits the text between this brace and the next from the rest.
fn split_placeholder<'a>(whole: &str, brace: &'a str) -> Result<(&'a str, &'a str), String> {
    brace
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .ok_or_else(|| {
            format!("`{whole}` has an unmatched brace: write `{{{{` or `}}}}` for a brace itself")
        })
}

fn read_placeholder(
    inside: &str,
    plain: ValueSource,
    allowed: &[ValueSource],
) -> Result<TemplatePart, String> {
    let (source, at) = match inside.split_once(':') {
        _ if inside == "key" => (ValueSource::Key, String::new()),
        Some(("arguments", at)) => (ValueSource::Arguments, pointer(at)?),
        Some(("outcome", at)) => (ValueSource::Outcome, pointer(at)?),
        _ if inside.starts_with('/') => (plain, pointer(inside)?),
        _ => {
            return Err(format!(
                "`{{{inside}}}` is not a placeholder: write a JSON Pointer such as `{{/order_id}}`"
            ));
        }
    };
    if allowed.contains(&source) {
        return Ok(TemplatePart::Place { source, at });
    }
    Err(format!("`{{{inside}}}` is not known at this point"))
}

fn plain_text(at: &str, value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) if number.is_plain_integer() => Ok(number.to_string()),
        None | Some(Value::Null) => Err(missing_value(at)),
        Some(_) => Err(format!(
            "`{at}` must be a text that is not empty, or a whole number"
        )),
    }
}

fn missing_value(at: &str) -> String {
    format!("`{at}` is missing")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use semel_guest::json;

    use super::*;

    const ALL: &[ValueSource] = &[
        ValueSource::Arguments,
        ValueSource::Outcome,
        ValueSource::Key,
    ];

    fn fill(text: &str) -> Result<String, String> {
        let look = |source, at: &str| match source {
            ValueSource::Key => Some(json!("k-1")),
            ValueSource::Arguments => json!({ "id": " A1 ", "n": 7, "empty": "", "list": [1] })
                .pointer(at)
                .cloned(),
            ValueSource::Outcome => json!({ "id": "B2" }).pointer(at).cloned(),
        };
        Template::parse(text, ValueSource::Arguments, ALL)?.text(look)
    }

    #[test]
    fn values_are_put_in_their_places() {
        assert_eq!(fill("order/{/id}").as_deref(), Ok("order/A1"));
        assert_eq!(
            fill("{/n}-{outcome:/id}-{arguments:/id}-{key}").as_deref(),
            Ok("7-B2-A1-k-1")
        );
        assert_eq!(fill("{{{/n}}}").as_deref(), Ok("{7}"));
        assert_eq!(fill("constant").as_deref(), Ok("constant"));
    }

    #[test]
    fn a_value_that_says_nothing_is_an_error_with_its_place() {
        for at in ["empty", "list", "none"] {
            assert!(fill(&format!("{{/{at}}}")).unwrap_err().contains(at));
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "{",
            "}",
            "{/id",
            "/id}",
            "{id}",
            "{}",
            "{answer:/id}",
            "{/a~b}",
        ] {
            assert!(fill(text).is_err(), "{text}");
        }
        assert!(Template::parse("{key}", ValueSource::Outcome, &[ValueSource::Outcome]).is_err());
    }

    #[test]
    fn a_lone_place_keeps_the_kind_of_its_value() {
        let template = Template::parse("{/list}", ValueSource::Arguments, ALL).unwrap();
        assert_eq!(template.value(|_, _| Some(json!([1]))), Ok(json!([1])));
        assert_eq!(
            Template::parse("n{/n}", ValueSource::Arguments, ALL)
                .unwrap()
                .value(|_, _| Some(json!(7))),
            Ok(json!("n7"))
        );
    }
}
