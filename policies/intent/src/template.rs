//! Templates: text with places, such as `reservation/{/reservation_id}`.
//!
//! `{/x}` is a JSON Pointer into the arguments or the outcome, whichever the setting is about; `{arguments:/x}` and
//! `{outcome:/x}` say which. `{key}` is the key of an attempt. Braces themselves are written `{{` and `}}`.

use semel_guest::Value;

use crate::pointer::pointer;
use crate::settings::At;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Arguments,
    Outcome,
    Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place { source: Source, at: String },
}

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template from the settings, as [`parse`](Self::parse) does.
    pub(crate) fn read(at: &At<'_>, plain: Source, allowed: &[Source]) -> Result<Self, String> {
        Self::parse(at.text()?, plain, allowed).map_err(|mistake| at.wrong(mistake))
    }

    /// Reads a template in which `{/x}` means the `plain` source, and only the `allowed` ones may be named.
    fn parse(text: &str, plain: Source, allowed: &[Source]) -> Result<Self, String> {
        let mut parts = Parts::default();
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
                let (inside, after) = place(text, brace)?;
                parts.0.push(read(inside, plain, allowed)?);
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

    /// Whether it needs this source.
    pub(crate) fn needs(&self, wanted: Source) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Place { source, .. } if *source == wanted))
    }

    /// The text, its values looked up. A value must be a text that says something, or a whole number.
    pub(crate) fn text(
        &self,
        look: impl Fn(Source, &str) -> Option<Value>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Place { source, at } => text.push_str(&plain(at, look(*source, at))?),
            }
        }
        Ok(text)
    }

    /// The value: that of the place itself, of whatever kind, where the template is one place and nothing else.
    pub(crate) fn value(
        &self,
        look: impl Fn(Source, &str) -> Option<Value>,
    ) -> Result<Value, String> {
        match self.parts.as_slice() {
            [Part::Place { source, at }] => look(*source, at).ok_or_else(|| missing(at)),
            _ => self.text(look).map(Value::String),
        }
    }
}

/// The parts so far, neighbouring texts joined.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, more: &str) {
        match self.0.last_mut() {
            _ if more.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.0.push(Part::Text(more.to_owned())),
        }
    }
}

/// What stands between this brace and the next, and what follows.
fn place<'a>(whole: &str, brace: &'a str) -> Result<(&'a str, &'a str), String> {
    brace
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .ok_or_else(|| format!("`{whole}` has a brace without its fellow: a brace itself is written `{{{{` or `}}}}`"))
}

fn read(inside: &str, plain: Source, allowed: &[Source]) -> Result<Part, String> {
    let (source, at) = match inside.split_once(':') {
        _ if inside == "key" => (Source::Key, String::new()),
        Some(("arguments", at)) => (Source::Arguments, pointer(at)?),
        Some(("outcome", at)) => (Source::Outcome, pointer(at)?),
        _ if inside.starts_with('/') => (plain, pointer(inside)?),
        _ => {
            return Err(format!(
                "`{{{inside}}}` is no place: write a JSON Pointer such as `{{/order_id}}`"
            ));
        }
    };
    if allowed.contains(&source) {
        return Ok(Part::Place { source, at });
    }
    Err(format!("`{{{inside}}}` is not known where this is needed"))
}

fn plain(at: &str, value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        None | Some(Value::Null) => Err(missing(at)),
        Some(_) => Err(format!(
            "`{at}` must be a text that is not empty, or a whole number"
        )),
    }
}

fn missing(at: &str) -> String {
    format!("`{at}` is missing")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use semel_guest::json;

    use super::*;

    const ALL: &[Source] = &[Source::Arguments, Source::Outcome, Source::Key];

    fn fill(text: &str) -> Result<String, String> {
        let look = |source, at: &str| match source {
            Source::Key => Some(json!("k-1")),
            Source::Arguments => json!({ "id": " A1 ", "n": 7, "empty": "", "list": [1] })
                .pointer(at)
                .cloned(),
            Source::Outcome => json!({ "id": "B2" }).pointer(at).cloned(),
        };
        Template::parse(text, Source::Arguments, ALL)?.text(look)
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
        assert!(Template::parse("{key}", Source::Outcome, &[Source::Outcome]).is_err());
    }

    #[test]
    fn a_lone_place_keeps_the_kind_of_its_value() {
        let template = Template::parse("{/list}", Source::Arguments, ALL).unwrap();
        assert_eq!(template.value(|_, _| Some(json!([1]))), Ok(json!([1])));
        assert_eq!(
            Template::parse("n{/n}", Source::Arguments, ALL)
                .unwrap()
                .value(|_, _| Some(json!(7))),
            Ok(json!("n7"))
        );
    }
}
