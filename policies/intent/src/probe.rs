//! The probe: a read that may tell what became of an attempt, and what its answer tells.

use semel_guest::{Call, Finding, Outcome, Probe, Value};

use crate::answer::{Answer, Answered};
use crate::condition::{Condition, Look};
use crate::pointer;
use crate::settings::At;
use crate::span;
use crate::template::{Source, Template};

/// How long to wait before looking again, unless the settings say so.
const AGAIN_MS: u32 = 30_000;

/// What a probe may ask about: the call, and the key under which it was sent.
const SOURCES: &[Source] = &[Source::Arguments, Source::Key];

/// A question that was understood, and how to read its answer.
pub(crate) struct Question {
    tool: String,
    arguments: Vec<(String, Tree)>,
    landed: Condition,
    result: Option<String>,
    conflicting: Option<Condition>,
    absent: Option<Condition>,
    again_ms: u32,
}

/// JSON with templates for its texts.
enum Tree {
    Plain(Value),
    Text(Template),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Question {
    pub(crate) fn read(at: &At<'_>) -> Result<Self, String> {
        let table = at.table(&[
            "tool",
            "arguments",
            "landed",
            "result",
            "conflicting",
            "absent",
            "again",
        ])?;
        let condition = |at: &At<'_>| Condition::read(at, SOURCES);
        Ok(Self {
            tool: tool(&table.need("tool")?)?,
            arguments: table.read("arguments", branches)?.unwrap_or_default(),
            landed: condition(&table.need("landed")?)?,
            result: table.read("result", pointer::read)?,
            conflicting: table.read("conflicting", condition)?,
            absent: table.read("absent", condition)?,
            again_ms: table.read("again", span::milliseconds)?.unwrap_or(AGAIN_MS),
        })
    }

    /// The probe that asks about this call, sent under this key.
    pub(crate) fn ask(&self, call: &Call, key: &str) -> Result<Probe, String> {
        let arguments = object(&self.arguments, &|source, at| look(call, key, source, at))?;
        Ok(Probe::new(&self.tool, arguments))
    }

    /// What the answer tells. Only what an answer says counts: a probe that got none, or one nobody described, tells
    /// nothing yet.
    pub(crate) fn weigh(&self, call: &Call, key: &str, outcome: &Outcome) -> Finding {
        let Some(answer) = Answer::of(outcome) else {
            return Finding::Unsettled(self.again_ms);
        };
        let look: Look<'_> = &|source, at| look(call, key, source, at);
        let holds = |condition: &Option<Condition>| {
            condition
                .as_ref()
                .is_some_and(|when| when.holds(&answer, look))
        };
        if self.landed.holds(&answer, look) {
            self.found(&answer)
        } else if holds(&self.conflicting) {
            Finding::Conflicting(format!(
                "`{}` shows something else where the effect would be",
                self.tool
            ))
        } else if holds(&self.absent) || (self.absent.is_none() && shows(&answer)) {
            Finding::Absent
        } else {
            Finding::Unsettled(self.again_ms)
        }
    }

    fn found(&self, answer: &Answer) -> Finding {
        let Some(at) = &self.result else {
            return Finding::Landed(answer.whole().to_string());
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

/// Whether it is a sound answer, in which what is not there can be seen not to be there.
fn shows(answer: &Answer) -> bool {
    answer.how == Answered::Returned && !answer.is_error_in_disguise()
}

fn look(call: &Call, key: &str, source: Source, at: &str) -> Option<Value> {
    match source {
        Source::Arguments => call.get(at).cloned(),
        Source::Key => Some(Value::from(key)),
        Source::Outcome => None,
    }
}

fn tool(at: &At<'_>) -> Result<String, String> {
    let tool = at.text()?;
    if tool.trim().is_empty() {
        Err(at.wrong("it is empty, and must name a tool that only reads"))
    } else {
        Ok(tool.to_owned())
    }
}

fn branches(at: &At<'_>) -> Result<Vec<(String, Tree)>, String> {
    at.entries()?
        .iter()
        .map(|(name, at)| Ok(((*name).to_owned(), tree(at)?)))
        .collect()
}

fn tree(at: &At<'_>) -> Result<Tree, String> {
    Ok(match at.value {
        Value::String(text) if text.contains(['{', '}']) => {
            Tree::Text(Template::read(at, Source::Arguments, SOURCES)?)
        }
        Value::Array(_) => Tree::List(at.list()?.iter().map(tree).collect::<Result<_, _>>()?),
        Value::Object(_) => Tree::Object(branches(at)?),
        plain => Tree::Plain(plain.clone()),
    })
}

fn grown(tree: &Tree, look: Look<'_>) -> Result<Value, String> {
    match tree {
        Tree::Plain(value) => Ok(value.clone()),
        Tree::Text(template) => template.value(look),
        Tree::List(items) => items.iter().map(|item| grown(item, look)).collect(),
        Tree::Object(members) => object(members, look),
    }
}

fn object(members: &[(String, Tree)], look: Look<'_>) -> Result<Value, String> {
    let members = members
        .iter()
        .map(|(name, tree)| Ok((name.clone(), grown(tree, look)?)));
    members.collect::<Result<_, String>>().map(Value::Object)
}
