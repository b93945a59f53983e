//! One table of the file, read key by key. What is wrong is noted and reads as absent; what nobody asked for is refused.

use super::{
    fault::{ConfigFault, ConfigFaults, Origin},
    places::Text,
};
use semel::model::checked_name;
use serde_json::{Map, Number, Value};
use std::{cell::RefCell, ops::Range, path::PathBuf, time::Duration};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The longest text of a file that a message repeats, in characters.
const CHARS_SHOWN: usize = 60;

/// Where something stands in the file, in bytes.
pub(super) type Span = Range<usize>;

/// The mistakes found so far.
pub(super) struct Mistakes<'a> {
    file: Option<&'a Text>,
    found: RefCell<Vec<(usize, ConfigFault)>>,
}

impl<'a> Mistakes<'a> {
    pub(super) fn of(file: Option<&'a Text>) -> Self {
        Self {
            file,
            found: RefCell::default(),
        }
    }

    pub(super) fn note(&self, span: Span, problem: impl Into<String>) {
        self.add(span.start, self.origin(span), problem);
    }

    /// A mistake that is not in the file: told after those that are.
    pub(super) fn note_elsewhere(&self, at: Origin, problem: impl Into<String>) {
        self.add(usize::MAX, at, problem);
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

    pub(super) fn none_or<T>(self, value: T) -> Result<T, ConfigFaults> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|(place, _)| *place);
        Err(ConfigFaults(
            found.into_iter().map(|(_, fault)| fault).collect(),
        ))
    }

    fn add(&self, place: usize, at: Origin, problem: impl Into<String>) {
        self.found.borrow_mut().push((
            place,
            ConfigFault {
                at,
                problem: problem.into(),
            },
        ));
    }
}

/// A table, and which keys were asked of it.
pub(super) struct Section<'a> {
    title: String,
    table: &'a DeTable<'a>,
    pub(super) span: Span,
    pub(super) mistakes: &'a Mistakes<'a>,
    known: RefCell<Vec<&'static str>>,
    /// Keys that were refused for a reason of their own.
    refused: RefCell<Vec<&'static str>>,
}

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<'a> Section<'a> {
    pub(super) fn top(table: &'a DeTable<'a>, mistakes: &'a Mistakes<'a>) -> Self {
        Self {
            title: "the file".to_owned(),
            table,
            span: 0..0,
            mistakes,
            known: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    pub(super) fn section(&self, key: &'static str) -> Option<Self> {
        let found = self.value(key)?;
        self.subsection(format!("`[{key}]`"), key, found)
    }

    /// All tables of this name, as `[[key]]` makes them.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Self> {
        let Some(found) = self.value(key) else {
            return Vec::new();
        };
        let Some(tables) = found.get_ref().as_array() else {
            self.mistakes.note(
                found.span(),
                format!("`{key}` is {}: write `[[{key}]]`", kind(found.get_ref())),
            );
            return Vec::new();
        };
        tables
            .iter()
            .filter_map(|table| self.subsection(format!("`[[{key}]]`"), key, table))
            .collect()
    }

    fn subsection(
        &self,
        title: String,
        key: &str,
        found: &'a Spanned<DeValue<'a>>,
    ) -> Option<Self> {
        let (span, mistakes) = (found.span(), self.mistakes);
        if let Some(table) = found.get_ref().as_table() {
            return Some(Self {
                title,
                table,
                span,
                mistakes,
                known: RefCell::default(),
                refused: RefCell::default(),
            });
        }
        mistakes.note(
            span,
            format!("`{key}` is {}: write {title}", kind(found.get_ref())),
        );
        None
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<&'a str>> {
        let found = self.value(key)?;
        match found.get_ref().as_str() {
            Some(value) => Some(At {
                value,
                span: found.span(),
            }),
            None => self.wrong(key, found, "a text in quotation marks"),
        }
    }

    /// A name as tenants have: not empty, not overlong, without control characters.
    pub(super) fn name(&self, key: &'static str) -> Option<&'a str> {
        let At { value, span } = self.text(key)?;
        match checked_name(key, value) {
            Ok(()) => Some(value),
            Err(fault) => {
                self.mistakes
                    .note(span, format!("{fault}, in {}", self.title));
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let found = self.value(key)?;
        found
            .get_ref()
            .as_bool()
            .or_else(|| self.wrong(key, found, "`true` or `false`"))
    }

    pub(super) fn number(&self, key: &'static str, most: u32) -> Option<u32> {
        self.number_from(key, 0, most)
    }

    pub(super) fn number_from(&self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let found = self.value(key)?;
        let number = found.get_ref().as_integer();
        let number =
            number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number
            .filter(|number| (least..=most).contains(number))
            .or_else(|| {
                self.wrong(
                    key,
                    found,
                    &format!("a whole number from {least} to {most}"),
                )
            })
    }

    pub(super) fn duration(&self, key: &'static str, range: &Durations) -> Option<Duration> {
        let found = self.value(key)?;
        found
            .get_ref()
            .as_str()
            .and_then(|text| range.read(text))
            .or_else(|| self.wrong(key, found, &range.cure()))
    }

    /// One text or a list of texts, each with its place.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<At<&'a str>>> {
        let found = self.value(key)?;
        let text = |found: &'a Spanned<DeValue<'a>>| {
            Some(At {
                value: found.get_ref().as_str()?,
                span: found.span(),
            })
        };
        let texts = match found.get_ref() {
            DeValue::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            _ => text(found).map(|text| vec![text]),
        };
        texts.or_else(|| self.wrong(key, found, "a text, or a list of nothing but texts"))
    }

    /// A table as a JSON object.
    pub(super) fn object(&self, key: &'static str) -> Option<Map<String, Value>> {
        let found = self.value(key)?;
        match found.get_ref().as_table() {
            Some(table) => Some(self.object_of(table)),
            None => self.wrong(key, found, "a table, as in `{ name = \"value\" }`"),
        }
    }

    /// Refuses `key` here, and says where it belongs.
    pub(super) fn refuse(&self, key: &'static str, cure: &str) {
        if let Some(found) = self.table.get(key) {
            self.mistakes.note(
                found.span(),
                format!("`{key}` has no place in {}: {cure}", self.title),
            );
            self.refused.borrow_mut().push(key);
        }
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn refuse_unknown(&self) {
        let (known, refused) = (self.known.borrow(), self.refused.borrow());
        let is_unknown = |key: &str| !known.contains(&key) && !refused.contains(&key);
        for key in self.table.keys().filter(|key| is_unknown(key.get_ref())) {
            let listed: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
            let key_shown = shown(key.get_ref());
            let problem = format!(
                "`{key_shown}` is not known in {}: use one of {}",
                self.title,
                listed.join(", ")
            );
            self.mistakes.note(key.span(), problem);
        }
    }

    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        self.table.get(key)
    }

    fn wrong<T>(&self, key: &str, found: &Spanned<DeValue<'_>>, cure: &str) -> Option<T> {
        let is = match found.get_ref() {
            DeValue::String(text) => format!("`\"{}\"`", shown(text)),
            DeValue::Integer(number) => format!("`{}`", shown(&number.to_string())),
            other => kind(other).to_owned(),
        };
        self.mistakes.note(
            found.span(),
            format!("`{key}` in {} is {is}: write {cure}", self.title),
        );
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
                "this number is too large for JSON, or none: write it as a text",
            );
        }
        number.map_or(Value::Null, Value::Number)
    }
}

/// Which durations are allowed, and how they are written.
pub(super) struct Durations {
    pub(super) least: Duration,
    pub(super) most: Duration,
    pub(super) in_whole_seconds: bool,
}

impl Durations {
    pub(super) const fn seconds(least: u64, most: u64) -> Self {
        Self {
            least: Duration::from_secs(least),
            most: Duration::from_secs(most),
            in_whole_seconds: true,
        }
    }

    pub(super) const fn any_up_to(most: u64) -> Self {
        Self {
            least: Duration::ZERO,
            most: Duration::from_secs(most),
            in_whole_seconds: false,
        }
    }

    pub(super) fn read(&self, text: &str) -> Option<Duration> {
        let duration = humantime::parse_duration(text).ok()?;
        let is_fine = !self.in_whole_seconds || duration.subsec_nanos() == 0;
        (is_fine && self.least <= duration && duration <= self.most).then_some(duration)
    }

    pub(super) fn cure(&self) -> String {
        let [least, most] = [self.least, self.most]
            .map(|duration| humantime::format_duration(duration).to_string());
        let grain = if self.in_whole_seconds {
            " in whole seconds"
        } else {
            ""
        };
        format!("a duration from `\"{least}\"` to `\"{most}\"`{grain}")
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
