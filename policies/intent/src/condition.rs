//! What must hold of an answer: everything that a `when` gives.

use semel_guest::Value;

use crate::answer::{Answer, Answered};
use crate::pointer;
use crate::settings::{At, Table};
use crate::template::{Source, Template};

const KEYS: &[&str] = &["outcome", "at", "is", "text", "code", "status", "exit"];

const ANSWERED: &[(&str, Answered)] = &[
    ("returned", Answered::Returned),
    ("failed", Answered::Failed),
];

/// A condition that was understood.
pub(crate) struct Condition {
    how: Option<Answered>,
    at: Option<String>,
    is: Option<Wanted>,
    text: Option<Template>,
    codes: Option<Vec<String>>,
    statuses: Option<Vec<Status>>,
}

/// A value that must stand there.
enum Wanted {
    Value(Value),
    Text(Template),
}

/// An HTTP status, or a class of them such as `4xx`.
enum Status {
    One(u16),
    Class(u16),
}

/// What a condition may compare with, beyond what the settings say.
pub(crate) type Look<'a> = &'a dyn Fn(Source, &str) -> Option<Value>;

impl Condition {
    /// Reads a condition, in which `sources` may be put in.
    pub(crate) fn read(when: &At<'_>, sources: &[Source]) -> Result<Self, String> {
        let table = when.table(KEYS)?;
        if table.len() == 0 {
            return Err(table.wrong("it holds of every answer: say of which"));
        }
        if table.get("is").is_some() && table.get("at").is_none() {
            return Err(table.wrong_at("is", "it needs `at`, the place of that value"));
        }
        Ok(Self {
            how: table.read("outcome", |at| at.choice(ANSWERED))?,
            at: table.read("at", pointer::read)?,
            is: table.read("is", |at| wanted(at, sources))?,
            text: table.read("text", |at| template(at, sources))?,
            codes: codes(&table)?,
            statuses: table.read("status", |at| {
                at.alternatives()?.iter().map(status).collect()
            })?,
        })
    }

    /// Whether it holds. What cannot be looked up does not hold.
    pub(crate) fn holds(&self, answer: &Answer, look: Look<'_>) -> bool {
        self.how.is_none_or(|how| how == answer.how)
            && self.codes.as_ref().is_none_or(|codes| {
                answer
                    .code
                    .as_ref()
                    .is_some_and(|code| codes.contains(code))
            })
            && self
                .statuses
                .as_ref()
                .is_none_or(|statuses| answer.status.is_some_and(|status| any(statuses, status)))
            && self.place_holds(answer, look)
            && self.text_holds(answer, look)
    }

    fn place_holds(&self, answer: &Answer, look: Look<'_>) -> bool {
        let Some(at) = &self.at else { return true };
        match (answer.at(at), &self.is) {
            (found, Some(Wanted::Value(value))) => found.unwrap_or(&Value::Null) == value,
            (Some(found), Some(Wanted::Text(template))) => {
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

fn template(at: &At<'_>, sources: &[Source]) -> Result<Template, String> {
    Template::read(at, Source::Arguments, sources)
}

fn wanted(at: &At<'_>, sources: &[Source]) -> Result<Wanted, String> {
    match at.value {
        Value::String(text) if text.contains(['{', '}']) => template(at, sources).map(Wanted::Text),
        plain => Ok(Wanted::Value(plain.clone())),
    }
}

/// Codes of the tool's own; a command that exits with 3 fails with the code `exit-3`.
fn codes(table: &Table<'_>) -> Result<Option<Vec<String>>, String> {
    if table.get("code").is_some() && table.get("exit").is_some() {
        return Err(table.wrong("`code` and `exit` are the same thing: give one of them"));
    }
    let named = table.read("code", |at| {
        at.alternatives()?
            .iter()
            .map(|code| code.text().map(str::to_owned))
            .collect()
    })?;
    let exits = table.read("exit", |at| at.alternatives()?.iter().map(exit).collect())?;
    Ok(named.or(exits))
}

fn exit(at: &At<'_>) -> Result<String, String> {
    let exit = at.value.as_u64().filter(|exit| (1..=255).contains(exit));
    let exit = exit
        .ok_or_else(|| at.wrong("it must be a number from 1 to 255: an exit of 0 is no failure"))?;
    Ok(format!("exit-{exit}"))
}

fn status(at: &At<'_>) -> Result<Status, String> {
    let read = match at.value {
        Value::String(class) => class
            .strip_suffix("xx")
            .and_then(|class| class.parse().ok())
            .map(Status::Class),
        value => value
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .map(Status::One),
    };
    let sound = read.filter(|status| match status {
        Status::One(status) => (100..=599).contains(status),
        Status::Class(class) => (1..=5).contains(class),
    });
    sound.ok_or_else(|| {
        at.wrong(format!(
            "{} is no HTTP status: write 404 or `4xx`",
            at.value
        ))
    })
}

fn any(statuses: &[Status], status: u16) -> bool {
    statuses.iter().any(|wanted| match wanted {
        Status::One(one) => *one == status,
        Status::Class(class) => *class == status / 100,
    })
}
