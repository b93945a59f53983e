//! One table of the file, read key by key.
//!
//! A wrong value is noted and reads as absent, so that one reading finds all mistakes. A key that
//! is not in the reference is refused.

use crate::{
    error::{ConfigError, ConfigErrorKind, ConfigErrors, Origin, Problem},
    file::ConfigFile,
    reference::{ConfigKey, SectionKeys, ValueType, table},
};
use semel::model::checked_name;
use serde_json::{Map, Number, Value};
use std::{cell::RefCell, ops::Range, path::PathBuf, ptr, time::Duration};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The longest text of a file that a message repeats, in characters.
const CHARS_SHOWN: usize = 60;

/// A range of the file, in bytes.
pub(crate) type Span = Range<usize>;

/// The mistakes found so far.
pub(crate) struct MistakeList<'a> {
    file: Option<&'a ConfigFile>,
    /// Each with its position in the file, for their order.
    mistakes: RefCell<Vec<(usize, ConfigError)>>,
}

impl<'a> MistakeList<'a> {
    pub(crate) fn new(file: Option<&'a ConfigFile>) -> Self {
        Self {
            file,
            mistakes: RefCell::default(),
        }
    }

    pub(crate) fn note(&self, span: Span, problem: impl Into<Problem>) {
        let position = span.start;
        self.push(position, self.origin(&span), problem.into());
    }

    /// Notes a mistake outside the file. These are listed after those in the file.
    pub(crate) fn note_at(&self, origin: Origin, problem: impl Into<Problem>) {
        self.push(usize::MAX, origin, problem.into());
    }

    /// Returns the value, or notes its mistake.
    pub(crate) fn value_or_note<T, P>(&self, result: Result<T, P>, span: Span) -> Option<T>
    where
        P: Into<Problem>,
    {
        result.map_err(|problem| self.note(span, problem)).ok()
    }

    /// Returns the value, or notes its mistake outside the file.
    pub(crate) fn value_or_note_at<T, P>(&self, result: Result<T, P>, origin: Origin) -> Option<T>
    where
        P: Into<Problem>,
    {
        result.map_err(|problem| self.note_at(origin, problem)).ok()
    }

    /// The line at which a range of the file begins.
    pub(crate) fn origin(&self, span: &Span) -> Origin {
        let Some(file) = self.file else {
            return Origin::Nowhere;
        };
        let text = file.text.as_bytes();
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::Line {
            file: file.path.clone(),
            line,
        }
    }

    /// Returns the value if there are no mistakes, else all of them in the order of the file.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, ConfigErrors> {
        let mut mistakes = self.mistakes.into_inner();
        if mistakes.is_empty() {
            return Ok(value);
        }
        mistakes.sort_by_key(|(position, _)| *position);
        let errors = mistakes.into_iter().map(|(_, error)| error).collect();
        Err(ConfigErrors(errors))
    }

    fn push(&self, position: usize, origin: Origin, problem: Problem) {
        let error = ConfigError::new(origin, problem);
        self.mistakes.borrow_mut().push((position, error));
    }
}

/// A table of the file, with its part of the reference.
pub(crate) struct Section<'a> {
    keys: &'static SectionKeys,
    table: &'a DeTable<'a>,
    pub(crate) span: Span,
    pub(crate) mistakes: &'a MistakeList<'a>,
    /// Keys that [`refuse`](Self::refuse) has noted already.
    refused: RefCell<Vec<&'static str>>,
}

/// A value with its range in the file.
pub(crate) struct SpannedValue<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<'a> Section<'a> {
    /// The file as a whole.
    pub(crate) fn whole_file(table: &'a DeTable<'a>, mistakes: &'a MistakeList<'a>) -> Self {
        Self {
            keys: &table::FILE,
            table,
            span: 0..0,
            mistakes,
            refused: RefCell::default(),
        }
    }

    pub(crate) fn section(&self, key: &'static ConfigKey) -> Option<Self> {
        let found = self.value(key)?;
        self.subsection(key, found)
    }

    /// All tables of this name, as `[[key]]` makes them.
    pub(crate) fn sections(&self, key: &'static ConfigKey) -> Vec<Self> {
        let Some(found) = self.value(key) else {
            return Vec::new();
        };
        let Some(tables) = found.get_ref().as_array() else {
            self.note_not_a_table(key, found);
            return Vec::new();
        };
        tables
            .iter()
            .filter_map(|table| self.subsection(key, table))
            .collect()
    }

    fn subsection(&self, key: &'static ConfigKey, found: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        let (ValueType::Section(keys) | ValueType::Sections(keys)) = key.value else {
            return None;
        };
        let Some(table) = found.get_ref().as_table() else {
            self.note_not_a_table(key, found);
            return None;
        };
        Some(Self {
            keys,
            table,
            span: found.span(),
            mistakes: self.mistakes,
            refused: RefCell::default(),
        })
    }

    fn note_not_a_table(&self, key: &ConfigKey, found: &Spanned<DeValue<'_>>) {
        let problem = format!(
            "`{}` is {}: write {}",
            key.name,
            type_name(found.get_ref()),
            key.value.description()
        );
        let problem = Problem::new(ConfigErrorKind::WrongType, problem);
        self.mistakes.note(found.span(), problem);
    }

    pub(crate) fn has_key(&self, key: &'static ConfigKey) -> bool {
        self.table.contains_key(key.name)
    }

    pub(crate) fn text(&self, key: &'static ConfigKey) -> Option<SpannedValue<&'a str>> {
        let found = self.value(key)?;
        match found.get_ref().as_str() {
            Some(value) => Some(SpannedValue {
                value,
                span: found.span(),
            }),
            None => self.note_wrong_value(key, found),
        }
    }

    /// A name within the limits of tenants: not empty, not too long, without control characters.
    pub(crate) fn name(&self, key: &'static ConfigKey) -> Option<&'a str> {
        let SpannedValue { value, span } = self.text(key)?;
        match checked_name(key.name, value) {
            Ok(()) => Some(value),
            Err(error) => {
                let message = format!("{error}, in {}", self.keys.title);
                let problem = Problem::from(message).with_source(error);
                self.mistakes.note(span, problem);
                None
            }
        }
    }

    pub(crate) fn flag(&self, key: &'static ConfigKey) -> Option<bool> {
        let found = self.value(key)?;
        found
            .get_ref()
            .as_bool()
            .or_else(|| self.note_wrong_value(key, found))
    }

    pub(crate) fn number(&self, key: &'static ConfigKey) -> Option<u32> {
        let found = self.value(key)?;
        let ValueType::Number { least, most, .. } = key.value else {
            return None;
        };
        let number = found
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| (least..=most).contains(number));
        number.or_else(|| self.note_wrong_value(key, found))
    }

    pub(crate) fn duration(&self, key: &'static ConfigKey) -> Option<Duration> {
        let found = self.value(key)?;
        let ValueType::Duration(range) = &key.value else {
            return None;
        };
        let text = found.get_ref().as_str();
        text.and_then(|text| range.parse(text))
            .or_else(|| self.note_wrong_value(key, found))
    }

    /// One of the texts that the reference lists for this key.
    pub(crate) fn choice(&self, key: &'static ConfigKey) -> Option<&'a str> {
        let found = self.value(key)?;
        let ValueType::Choice(words) = key.value else {
            return None;
        };
        let text = found.get_ref().as_str();
        text.filter(|text| words.contains(text))
            .or_else(|| self.note_wrong_value(key, found))
    }

    /// One text or a list of texts, each with its range in the file.
    pub(crate) fn texts(&self, key: &'static ConfigKey) -> Option<Vec<SpannedValue<&'a str>>> {
        let found = self.value(key)?;
        let text = |found: &'a Spanned<DeValue<'a>>| {
            Some(SpannedValue {
                value: found.get_ref().as_str()?,
                span: found.span(),
            })
        };
        let texts = match found.get_ref() {
            DeValue::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => text(found).map(|text| vec![text]),
        };
        texts.or_else(|| self.note_wrong_value(key, found))
    }

    /// A table as a JSON object.
    pub(crate) fn object(&self, key: &'static ConfigKey) -> Option<Map<String, Value>> {
        let found = self.value(key)?;
        match found.get_ref().as_table() {
            Some(table) => Some(self.json_object(table)),
            None => self.note_wrong_value(key, found),
        }
    }

    /// Notes a mistake of the section as a whole.
    pub(crate) fn note(&self, problem: impl Into<Problem>) {
        self.mistakes.note(self.span.clone(), problem);
    }

    /// The place of the section in the file.
    pub(crate) fn origin(&self) -> Origin {
        self.mistakes.origin(&self.span)
    }

    /// Refuses a key of another section, if it is here. `cure` names the section it belongs to.
    pub(crate) fn refuse(&self, key: &'static ConfigKey, cure: &str) {
        if let Some(found) = self.table.get(key.name) {
            let problem = format!(
                "`{}` is not allowed in {}: {cure}",
                key.name, self.keys.title
            );
            let problem = Problem::new(ConfigErrorKind::MisplacedKey, problem);
            self.mistakes.note(found.span(), problem);
            self.refused.borrow_mut().push(key.name);
        }
    }

    /// Refuses every key that the reference does not list for this section.
    pub(crate) fn refuse_unknown(&self) {
        let refused = self.refused.borrow();
        let listed: Vec<_> = self
            .keys
            .keys
            .iter()
            .map(|key| format!("`{}`", key.name))
            .collect();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.keys.contains(name) || refused.contains(&name) {
                continue;
            }
            let problem = format!(
                "there is no key `{}` in {}: use one of {}",
                shorten(name),
                self.keys.title,
                listed.join(", ")
            );
            let problem = Problem::new(ConfigErrorKind::UnknownKey, problem);
            self.mistakes.note(key.span(), problem);
        }
    }

    fn value(&self, key: &'static ConfigKey) -> Option<&'a Spanned<DeValue<'a>>> {
        // A key that is not listed would be read here, and refused as unknown at the end.
        let is_listed = self.keys.keys.iter().any(|listed| ptr::eq(*listed, key));
        debug_assert!(is_listed, "`{}` is not in the reference", key.name);
        self.table.get(key.name)
    }

    /// Notes that the value has the wrong type or is out of bounds. Returns `None`.
    fn note_wrong_value<T>(&self, key: &ConfigKey, found: &Spanned<DeValue<'_>>) -> Option<T> {
        let shown = match found.get_ref() {
            DeValue::String(text) => format!("`\"{}\"`", shorten(text)),
            DeValue::Integer(number) => format!("`{}`", shorten(&number.to_string())),
            other => type_name(other).to_owned(),
        };
        let problem = format!(
            "`{}` in {} is {shown}: write {}",
            key.name,
            self.keys.title,
            key.value.description()
        );
        self.mistakes.note(found.span(), problem);
        None
    }

    // The TOML reader bounds the nesting of a file, and so this recursion.
    fn json_object(&self, table: &DeTable<'_>) -> Map<String, Value> {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), self.json_value(value)))
            .collect()
    }

    fn json_value(&self, found: &Spanned<DeValue<'_>>) -> Value {
        match found.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Datetime(moment) => Value::from(moment.to_string()),
            DeValue::Array(items) => items.iter().map(|item| self.json_value(item)).collect(),
            DeValue::Table(table) => Value::Object(self.json_object(table)),
            DeValue::Integer(number) => {
                let integer = i64::from_str_radix(number.as_str(), number.radix()).ok();
                self.json_number(found, integer.map(Number::from))
            }
            DeValue::Float(number) => self.json_number(
                found,
                number.as_str().parse().ok().and_then(Number::from_f64),
            ),
        }
    }

    fn json_number(&self, found: &Spanned<DeValue<'_>>, number: Option<Number>) -> Value {
        if number.is_none() {
            self.mistakes.note(
                found.span(),
                "this number is too large for JSON, or not a number: write it as a text",
            );
        }
        number.map_or(Value::Null, Value::Number)
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Shortens and escapes a text from outside for a message.
pub(crate) fn shorten(text: &str) -> String {
    let short: String = text
        .chars()
        .take(CHARS_SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(CHARS_SHOWN).is_some() {
        short + "…"
    } else {
        short
    }
}

/// Checks a path from a configuration.
pub(crate) fn parse_path(written: &str) -> Result<PathBuf, Problem> {
    if written.is_empty() {
        return Err("the path is empty: write one".into());
    }
    if written.contains('\0') {
        return Err("the path contains a NUL: leave it out".into());
    }
    if written == "~" || written.starts_with("~/") {
        return Err("`~` is not expanded in a path: write the whole path".into());
    }
    Ok(PathBuf::from(written))
}
