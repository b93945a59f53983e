//! A condition on an answer: every member of a `when` must match.

use semel_guest::Value;

use crate::answer::{Answer, AnswerForm};
use crate::pointer;
use crate::settings::{SettingTable, SettingValue};
use crate::template::{Template, ValueSource};

const KEYS: &[&str] = &["outcome", "at", "is", "text", "code", "status", "exit"];

const ANSWERED: &[(&str, AnswerForm)] = &[
    ("returned", AnswerForm::Returned),
    ("failed", AnswerForm::Failed),
];

/// A condition that was understood.
pub(crate) struct Condition {
    how: Option<AnswerForm>,
    at: Option<String>,
    is: Option<WantedValue>,
    text: Option<Template>,
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
            && self.text_holds(answer, look)
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

    /// A text is looked for at the place, where there is one, else at the beginning of the answer.
    fn text_holds(&self, answer: &Answer, look: Look<'_>) -> bool {
        let Some(template) = &self.text else {
            return true;
        };
        let Ok(text) = template.text(look) else {
            return false;
        };
        match &self.at {
            Some(at) => answer
                .at(at)
                .and_then(Value::as_str)
                .is_some_and(|found| found.trim_start().starts_with(&text)),
            None => answer.begins_with(&text),
        }
    }
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
