//! The probe: a read that may reveal the effect of an attempt, and the meaning of its answer.

use semel_guest::{Call, Finding, Outcome, Probe, Value};

use crate::answer::{Answer, AnswerForm};
use crate::condition::{Condition, Look};
use crate::pointer;
use crate::settings::SettingValue;
use crate::span;
use crate::template::{Template, ValueSource};

/// The default pause before the next probe.
const AGAIN_MS: u32 = 30_000;

/// The sources of a probe: the call, and the key under which it was sent.
const SOURCES: &[ValueSource] = &[ValueSource::Arguments, ValueSource::Key];

/// A question that was understood, and how to read its answer.
pub(crate) struct ProbeQuestion {
    tool: String,
    arguments: Vec<(String, ProbeTree)>,
    landed: Condition,
    result: Option<String>,
    conflicting: Option<Condition>,
    absent: Option<Condition>,
    again_ms: u32,
}

/// JSON with templates for its texts.
enum ProbeTree {
    Plain(Value),
    Text(Template),
    List(Vec<ProbeTree>),
    Object(Vec<(String, ProbeTree)>),
}

impl ProbeQuestion {
    pub(crate) fn read(at: &SettingValue<'_>) -> Result<Self, String> {
        let table = at.table(&[
            "tool",
            "arguments",
            "landed",
            "result",
            "conflicting",
            "absent",
            "again",
        ])?;
        let condition = |at: &SettingValue<'_>| Condition::read(at, SOURCES);
        Ok(Self {
            tool: read_tool(&table.need("tool")?)?,
            arguments: table.read("arguments", read_branches)?.unwrap_or_default(),
            landed: condition(&table.need("landed")?)?,
            result: table.read("result", pointer::read)?,
            conflicting: table.read("conflicting", condition)?,
            absent: table.read("absent", condition)?,
            again_ms: table.read("again", span::milliseconds)?.unwrap_or(AGAIN_MS),
        })
    }

    /// The probe that asks about this call, sent under this key.
    pub(crate) fn ask(&self, call: &Call, key: &str) -> Result<Probe, String> {
        let arguments = fill_object(&self.arguments, &|source, at| {
            look_up(call, key, source, at)
        })?;
        Ok(Probe::new(&self.tool, arguments))
    }

    /// Weighs the answer. Only an answer counts: a probe without one, or with one that no branch
    /// describes, is unsettled.
    pub(crate) fn weigh(&self, call: &Call, key: &str, outcome: &Outcome) -> Finding {
        let Some(answer) = Answer::of(outcome) else {
            return Finding::Unsettled(self.again_ms);
        };
        let look: Look<'_> = &|source, at| look_up(call, key, source, at);
        let holds = |condition: &Option<Condition>| {
            condition
                .as_ref()
                .is_some_and(|when| when.holds(&answer, look))
        };
        if self.landed.holds(&answer, look) {
            self.finding_from(&answer)
        } else if holds(&self.conflicting) {
            Finding::Conflicting(format!(
                "`{}` shows something else where the effect would be",
                self.tool
            ))
        } else if holds(&self.absent) || (self.absent.is_none() && shows_absence(&answer)) {
            Finding::Absent
        } else {
            Finding::Unsettled(self.again_ms)
        }
    }

    fn finding_from(&self, answer: &Answer) -> Finding {
        let Some(at) = &self.result else {
            return Finding::Landed(answer.whole_value().to_string());
        };
        match answer.at(at) {
            Some(result) => Finding::Landed(result.to_string()),
            None => Finding::Conflicting(format!(
                "`{}` shows the effect, but no `{at}` to answer with",
                self.tool
            )),
        }
    }
}

/// Returns true if an answer is complete, so that an absent value is known to be absent.
fn shows_absence(answer: &Answer) -> bool {
    answer.how == AnswerForm::Returned && !answer.is_error_in_disguise()
}

fn look_up(call: &Call, key: &str, source: ValueSource, at: &str) -> Option<Value> {
    match source {
        ValueSource::Arguments => call.get(at).cloned(),
        ValueSource::Key => Some(Value::from(key)),
        ValueSource::Outcome => None,
    }
}

fn read_tool(at: &SettingValue<'_>) -> Result<String, String> {
    let tool = at.text()?;
    if tool.trim().is_empty() {
        Err(at.wrong("it is empty: name a tool that only reads"))
    } else {
        Ok(tool.to_owned())
    }
}

fn read_branches(at: &SettingValue<'_>) -> Result<Vec<(String, ProbeTree)>, String> {
    at.list_entries()?
        .iter()
        .map(|(name, at)| Ok(((*name).to_owned(), read_tree(at)?)))
        .collect()
}

fn read_tree(at: &SettingValue<'_>) -> Result<ProbeTree, String> {
    Ok(match at.value {
        Value::String(text) if text.contains(['{', '}']) => {
            ProbeTree::Text(Template::read(at, ValueSource::Arguments, SOURCES)?)
        }
        Value::Array(_) => {
            ProbeTree::List(at.list()?.iter().map(read_tree).collect::<Result<_, _>>()?)
        }
        Value::Object(_) => ProbeTree::Object(read_branches(at)?),
        plain => ProbeTree::Plain(plain.clone()),
    })
}

fn insert_leaf(tree: &ProbeTree, look: Look<'_>) -> Result<Value, String> {
    match tree {
        ProbeTree::Plain(value) => Ok(value.clone()),
        ProbeTree::Text(template) => template.value(look),
        ProbeTree::List(items) => items.iter().map(|item| insert_leaf(item, look)).collect(),
        ProbeTree::Object(members) => fill_object(members, look),
    }
}

fn fill_object(members: &[(String, ProbeTree)], look: Look<'_>) -> Result<Value, String> {
    let members = members
        .iter()
        .map(|(name, tree)| Ok((name.clone(), insert_leaf(tree, look)?)));
    members.collect::<Result<_, String>>().map(Value::Object)
}
