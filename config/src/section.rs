//! One table of the file, read key by key. A wrong value is noted and reads as absent; a key that is not in the
//! reference is refused.

use super::{
    error::{ConfigError, ConfigErrorKind, ConfigErrors, Origin},
    places::Text,
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
pub(super) type Span = Range<usize>;

/// The mistakes found so far.
pub(super) struct MistakeList<'a> {
    file: Option<&'a Text>,
    found: RefCell<Vec<(usize, ConfigError)>>,
}

impl<'a> MistakeList<'a> {
    pub(super) fn new(file: Option<&'a Text>) -> Self {
        Self {
            file,
            found: RefCell::default(),
        }
    }

    pub(super) fn note(&self, span: Span, problem: impl Into<String>) {
        self.note_as(ConfigErrorKind::InvalidValue, span, problem);
    }

    pub(super) fn note_as(&self, kind: ConfigErrorKind, span: Span, problem: impl Into<String>) {
        let place = span.start;
        self.add(place, self.origin(span), kind, problem);
    }

    /// Notes a mistake that is not in the file: it is listed after those that are.
    pub(super) fn note_elsewhere(&self, at: Origin, problem: impl Into<String>) {
        self.add(usize::MAX, at, ConfigErrorKind::InvalidValue, problem);
    }

    pub(super) fn origin(&self, span: Span) -> Origin {
        self.file.map_or(Origin::Nowhere, |file| {
            let before = file
                .text
                .as_bytes()
                .get(..span.start)
                .unwrap_or(file.text.as_bytes());
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Origin::Line {
                file: file.path.clone(),
                line,
            }
        })
    }

    pub(super) fn none_or<T>(self, value: T) -> Result<T, ConfigErrors> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|(place, _)| *place);
        Err(ConfigErrors(
            found.into_iter().map(|(_, error)| error).collect(),
        ))
    }

    fn add(&self, place: usize, at: Origin, kind: ConfigErrorKind, problem: impl Into<String>) {
        self.found.borrow_mut().push((
            place,
            ConfigError {
                at,
                kind,
                problem: problem.into(),
            },
        ));
    }
}

/// A table of the file, with its part of the reference.
pub(super) struct Section<'a> {
    keys: &'static SectionKeys,
    table: &'a DeTable<'a>,
    pub(super) span: Span,
    pub(super) mistakes: &'a MistakeList<'a>,
    /// Keys that were refused with a reason of their own.
    refused: RefCell<Vec<&'static str>>,
}

/// A value with its place in the file.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<'a> Section<'a> {
    pub(super) fn top(table: &'a DeTable<'a>, mistakes: &'a MistakeList<'a>) -> Self {
        Self {
            keys: &table::FILE,
            table,
            span: 0..0,
            mistakes,
            refused: RefCell::default(),
        }
    }

    pub(super) fn section(&self, key: &'static ConfigKey) -> Option<Self> {
        let found = self.value(key)?;
        self.subsection(key, found)
    }

    /// All tables of this name, as `[[key]]` makes them.
    pub(super) fn sections(&self, key: &'static ConfigKey) -> Vec<Self> {
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
            kind(found.get_ref()),
            key.value.description()
        );
        self.mistakes
            .note_as(ConfigErrorKind::WrongType, found.span(), problem);
    }

    pub(super) fn has(&self, key: &'static ConfigKey) -> bool {
        self.table.contains_key(key.name)
    }

    pub(super) fn text(&self, key: &'static ConfigKey) -> Option<Located<&'a str>> {
        let found = self.value(key)?;
        match found.get_ref().as_str() {
            Some(value) => Some(Located {
                value,
                span: found.span(),
            }),
            None => self.wrong(key, found),
        }
    }

    /// A name as tenants have: not empty, not overlong, without control characters.
    pub(super) fn name(&self, key: &'static ConfigKey) -> Option<&'a str> {
        let Located { value, span } = self.text(key)?;
        match checked_name(key.name, value) {
            Ok(()) => Some(value),
            Err(fault) => {
                self.mistakes
                    .note(span, format!("{fault}, in {}", self.keys.title));
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &'static ConfigKey) -> Option<bool> {
        let found = self.value(key)?;
        found.get_ref().as_bool().or_else(|| self.wrong(key, found))
    }

    pub(super) fn number(&self, key: &'static ConfigKey) -> Option<u32> {
        let found = self.value(key)?;
        let ValueType::Number { least, most, .. } = key.value else {
            return None;
        };
        let number = found
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| (least..=most).contains(number));
        number.or_else(|| self.wrong(key, found))
    }

    pub(super) fn duration(&self, key: &'static ConfigKey) -> Option<Duration> {
        let found = self.value(key)?;
        let ValueType::Duration(range) = &key.value else {
            return None;
        };
        let text = found.get_ref().as_str();
        text.and_then(|text| range.parse(text))
            .or_else(|| self.wrong(key, found))
    }

    /// One of the texts that the reference lists for this key.
    pub(super) fn choice(&self, key: &'static ConfigKey) -> Option<&'a str> {
        let found = self.value(key)?;
        let ValueType::Choice(words) = key.value else {
            return None;
        };
        let text = found.get_ref().as_str();
        text.filter(|text| words.contains(text))
            .or_else(|| self.wrong(key, found))
    }

    /// One text or a list of texts, each with its place.
    pub(super) fn texts(&self, key: &'static ConfigKey) -> Option<Vec<Located<&'a str>>> {
        let found = self.value(key)?;
        let text = |found: &'a Spanned<DeValue<'a>>| {
            Some(Located {
                value: found.get_ref().as_str()?,
                span: found.span(),
            })
        };
        let texts = match found.get_ref() {
            DeValue::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => text(found).map(|text| vec![text]),
        };
        texts.or_else(|| self.wrong(key, found))
    }

    /// A table as a JSON object.
    pub(super) fn object(&self, key: &'static ConfigKey) -> Option<Map<String, Value>> {
        let found = self.value(key)?;
        match found.get_ref().as_table() {
            Some(table) => Some(self.object_of(table)),
            None => self.wrong(key, found),
        }
    }

    /// Refuses a key of another section here, and says where it belongs.
    pub(super) fn refuse(&self, key: &'static ConfigKey, cure: &str) {
        if let Some(found) = self.table.get(key.name) {
            let problem = format!(
                "`{}` is not allowed in {}: {cure}",
                key.name, self.keys.title
            );
            self.mistakes
                .note_as(ConfigErrorKind::MisplacedKey, found.span(), problem);
            self.refused.borrow_mut().push(key.name);
        }
    }

    /// Refuses every key that the reference does not list for this section.
    pub(super) fn refuse_unknown(&self) {
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
                shown(name),
                self.keys.title,
                listed.join(", ")
            );
            self.mistakes
                .note_as(ConfigErrorKind::UnknownKey, key.span(), problem);
        }
    }

    fn value(&self, key: &'static ConfigKey) -> Option<&'a Spanned<DeValue<'a>>> {
        // A key that is not listed would be read here and refused as unknown later.
        let is_listed = self.keys.keys.iter().any(|listed| ptr::eq(*listed, key));
        debug_assert!(is_listed, "`{}` is not in the reference", key.name);
        self.table.get(key.name)
    }

    fn wrong<T>(&self, key: &ConfigKey, found: &Spanned<DeValue<'_>>) -> Option<T> {
        let is = match found.get_ref() {
            DeValue::String(text) => format!("`\"{}\"`", shown(text)),
            DeValue::Integer(number) => format!("`{}`", shown(&number.to_string())),
            other => kind(other).to_owned(),
        };
        let problem = format!(
            "`{}` in {} is {is}: write {}",
            key.name,
            self.keys.title,
            key.value.description()
        );
        self.mistakes.note(found.span(), problem);
        None
    }

    // The reader bounds how deep a file is nested, and so how deep these two go.
    fn object_of(&self, table: &DeTable<'_>) -> Map<String, Value> {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), self.json_of(value)))
            .collect()
    }

    fn json_of(&self, found: &Spanned<DeValue<'_>>) -> Value {
        match found.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Datetime(moment) => Value::from(moment.to_string()),
            DeValue::Array(items) => items.iter().map(|item| self.json_of(item)).collect(),
            DeValue::Table(table) => Value::Object(self.object_of(table)),
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

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text from outside, fit for a message.
pub(super) fn shown(text: &str) -> String {
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

/// A path from a configuration, or what is wrong with it.
pub(super) fn path(written: &str) -> Result<PathBuf, &'static str> {
    if written.is_empty() {
        return Err("the path is empty: write one");
    }
    if written.contains('\0') {
        return Err("the path holds a NUL: leave it out");
    }
    if written == "~" || written.starts_with("~/") {
        return Err("`~` is not expanded here: write the whole path");
    }
    Ok(PathBuf::from(written))
}
