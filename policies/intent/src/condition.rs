//! A condition on an answer: every member of a `when` must match.

use semel_guest::Value;

use crate::answer::{Answer, AnswerForm};
use crate::escapes::without_escapes;
use crate::pointer;
use crate::settings::{SettingTable, SettingValue};
use crate::template::{Template, ValueSource};

const KEYS: &[&str] = &[
    "outcome", "at", "is", "text", "contains", "code", "status", "exit",
];

const ANSWERED: &[(&str, AnswerForm)] = &[
    ("returned", AnswerForm::Returned),
    ("failed", AnswerForm::Failed),
];

/// A condition that was understood.
pub(crate) struct Condition {
    how: Option<AnswerForm>,
    at: Option<String>,
    is: Option<WantedValue>,
    /// The beginning of a line.
    text: Option<Template>,
    /// A part of the text.
    contains: Option<Template>,
    codes: Option<Vec<String>>,
    statuses: Option<Vec<StatusRange>>,
}

/// A value that must be at a place.
enum WantedValue {
    Value(Value),
    Text(Template),
}

/// An HTTP status, or a class of them such as `4xx`.
enum StatusRange {
    One(u16),
    Class(u16),
}

/// The look-up of further values that a condition may compare with.
pub(crate) type Look<'a> = &'a dyn Fn(ValueSource, &str) -> Option<Value>;

impl Condition {
    /// Reads a condition, in which `sources` may be put in.
    pub(crate) fn read(when: &SettingValue<'_>, sources: &[ValueSource]) -> Result<Self, String> {
        let table = when.table(KEYS)?;
        if table.len() == 0 {
            return Err(table.wrong("it matches every answer: add a condition"));
        }
        if table.get("is").is_some() && table.get("at").is_none() {
            return Err(table.mistake_at("is", "it needs `at`, the place of that value"));
        }
        Ok(Self {
            how: table.read("outcome", |at| at.choice(ANSWERED))?,
            at: table.read("at", pointer::read)?,
            is: table.read("is", |at| wanted_values(at, sources))?,
            text: table.read("text", |at| read_template(at, sources))?,
            contains: table.read("contains", |at| read_template(at, sources))?,
            codes: error_codes(&table)?,
            statuses: table.read("status", |at| {
                at.list_alternatives()?
                    .iter()
                    .map(read_status_range)
                    .collect()
            })?,
        })
    }

    /// Returns true if it holds. A condition on a missing value does not hold.
    pub(crate) fn holds(&self, answer: &Answer, look: Look<'_>) -> bool {
        self.how.is_none_or(|how| how == answer.how)
            && self.codes.as_ref().is_none_or(|codes| {
                answer
                    .code
                    .as_ref()
                    .is_some_and(|code| codes.contains(code))
            })
            && self.statuses.as_ref().is_none_or(|statuses| {
                answer
                    .status
                    .is_some_and(|status| contains_status(statuses, status))
            })
            && self.place_holds(answer, look)
            && self.text_holds(self.text.as_ref(), has_line, answer, look)
            && self.text_holds(self.contains.as_ref(), has_part, answer, look)
    }

    fn place_holds(&self, answer: &Answer, look: Look<'_>) -> bool {
        let Some(at) = &self.at else { return true };
        match (answer.at(at), &self.is) {
            (found, Some(WantedValue::Value(value))) => found.unwrap_or(&Value::Null) == value,
            (Some(found), Some(WantedValue::Text(template))) => {
                template.value(look).is_ok_and(|value| value == *found)
            }
            (Some(found), None) => !found.is_null(),
            (None, _) => false,
        }
    }

    /// A text is searched at the place, where there is one, else in the texts of the answer.
    fn text_holds(
        &self,
        template: Option<&Template>,
        is_in: fn(&str, &str) -> bool,
        answer: &Answer,
        look: Look<'_>,
    ) -> bool {
        let Some(template) = template else {
            return true;
        };
        let Ok(text) = template.text(look) else {
            return false;
        };
        match &self.at {
            Some(at) => answer
                .at(at)
                .and_then(Value::as_str)
                .is_some_and(|found| is_in(&without_escapes(found), &text)),
            None => answer.texts().any(|found| is_in(found, &text)),
        }
    }
}

/// Returns true if a line of the text begins with `prefix`. Programs print warnings before an error, and traces after it.
fn has_line(text: &str, prefix: &str) -> bool {
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    [0].into_iter()
        .chain(starts)
        .filter_map(|start| text.get(start..))
        .any(|line| line.trim_start().starts_with(prefix))
}

fn has_part(text: &str, part: &str) -> bool {
    text.contains(part)
}

fn read_template(at: &SettingValue<'_>, sources: &[ValueSource]) -> Result<Template, String> {
    Template::read(at, ValueSource::Arguments, sources)
}

fn wanted_values(at: &SettingValue<'_>, sources: &[ValueSource]) -> Result<WantedValue, String> {
    match at.value {
        Value::String(text) if text.contains(['{', '}']) => {
            read_template(at, sources).map(WantedValue::Text)
        }
        plain => Ok(WantedValue::Value(plain.clone())),
    }
}

/// Codes of the tool's own; a command that exits with 3 fails with the code `exit-3`.
fn error_codes(table: &SettingTable<'_>) -> Result<Option<Vec<String>>, String> {
    if table.get("code").is_some() && table.get("exit").is_some() {
        return Err(table.wrong("`code` and `exit` mean the same: give one of them"));
    }
    let named = table.read("code", |at| {
        at.list_alternatives()?
            .iter()
            .map(|code| code.text().map(str::to_owned))
            .collect()
    })?;
    let exits = table.read("exit", |at| {
        at.list_alternatives()?.iter().map(read_exit_code).collect()
    })?;
    Ok(named.or(exits))
}

fn read_exit_code(at: &SettingValue<'_>) -> Result<String, String> {
    let exit = at.value.as_u64().filter(|exit| (1..=255).contains(exit));
    let exit = exit.ok_or_else(|| {
        at.wrong("it must be a number from 1 to 255: an exit code of 0 is not a failure")
    })?;
    Ok(format!("exit-{exit}"))
}

fn read_status_range(at: &SettingValue<'_>) -> Result<StatusRange, String> {
    let read = match at.value {
        Value::String(class) => class
            .strip_suffix("xx")
            .and_then(|class| class.parse().ok())
            .map(StatusRange::Class),
        value => value
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .map(StatusRange::One),
    };
    let sound = read.filter(|status| match status {
        StatusRange::One(status) => (100..=599).contains(status),
        StatusRange::Class(class) => (1..=5).contains(class),
    });
    sound.ok_or_else(|| {
        at.wrong(format!(
            "{} is not an HTTP status: write 404 or `4xx`",
            at.value
        ))
    })
}

fn contains_status(statuses: &[StatusRange], status: u16) -> bool {
    statuses.iter().any(|wanted| match wanted {
        StatusRange::One(one) => *one == status,
        StatusRange::Class(class) => *class == status / 100,
    })
}
