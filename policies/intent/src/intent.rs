//! The policy itself: settings applied to calls and outcomes.

use semel_guest::{
    Attempt, Call, Derivation, Description, Effect, Finding, Operation, Outcome, Policy, Probe,
    Recovery, Scope, Target, Until, Value, Verdict, careful,
};

use crate::answer::{Answer, AnswerForm};
use crate::condition::Condition;
use crate::field::{self, Field};
use crate::probe::ProbeQuestion;
use crate::rule::Rule;
use crate::settings::{SettingTable, SettingValue};
use crate::span;
use crate::target;
use crate::template::{Template, ValueSource};

/// The default window: few mistaken repeats come later than a month.
const WINDOW_SECONDS: u32 = 30 * 86_400;

/// The default time limit of an attempt.
const ATTEMPT_SECONDS: u32 = 120;

const KEYS: &[&str] = &[
    "read_only",
    "operation",
    "identity",
    "content",
    "scope",
    "until",
    "window",
    "attempt",
    "target",
    "handles",
    "undoes",
    "landed",
    "verdict",
    "probe",
];

const SCOPES: &[(&str, Scope)] = &[("tenant", Scope::Tenant), ("run", Scope::Run)];

const UNTILS: &[(&str, Until)] = &[("window", Until::Window), ("delivery", Until::Delivery)];

/// The sources of a handle.
const NAMED_BY: &[ValueSource] = &[ValueSource::Arguments, ValueSource::Outcome];

/// After so many attempts under one key without an answer, a probe reveals more than another
/// attempt.
const ATTEMPTS_BEFORE_LOOKING: usize = 3;

/// The policy.
pub struct Intent {
    read_only: bool,
    operation: Option<String>,
    identity: Vec<Field>,
    content: Vec<Field>,
    scope: Scope,
    until: Until,
    window_seconds: u32,
    attempt_seconds: u32,
    target: Option<Target>,
    handles: Vec<Template>,
    /// The operations that it undoes, by the arguments.
    undoes: Vec<Template>,
    /// The operations that it undid, where only the outcome names them.
    undid: Vec<Template>,
    /// What a returned answer must show, where it does not land by itself.
    landed: Option<Condition>,
    rules: Vec<Rule>,
    probe: Option<ProbeQuestion>,
}

impl Policy for Intent {
    type Settings = Value;

    fn describe() -> Description {
        Description::new("intent", env!("CARGO_PKG_VERSION"))
            .summary("declarative: settings name an operation's arguments and its answers' meaning")
            .tool("*")
            .settings_schema(include_str!("../settings.schema.json"))
    }

    fn configure(settings: Value) -> Result<Self, String> {
        let table = SettingValue::settings_root(&settings).table(KEYS)?;
        let read_only = table
            .read("read_only", SettingValue::flag)?
            .unwrap_or_default();
        if read_only && table.len() > 1 {
            let mistake = "a tool that only reads is not guarded: leave the other keys out";
            return Err(table.mistake_at("read_only", mistake));
        }
        let undoes = table.each("undoes", |at| {
            Template::read(at, ValueSource::Arguments, NAMED_BY)
        })?;
        let (undid, undoes) = undoes
            .into_iter()
            .partition(|template| template.needs_source(ValueSource::Outcome));
        let this = Self {
            read_only,
            operation: table.read("operation", |at| at.text().map(str::to_owned))?,
            identity: table.each("identity", Field::read_identity)?,
            content: table.each("content", Field::read_content)?,
            scope: table
                .read("scope", |at| at.choice(SCOPES))?
                .unwrap_or(Scope::Tenant),
            until: table
                .read("until", |at| at.choice(UNTILS))?
                .unwrap_or(Until::Window),
            window_seconds: table
                .read("window", span::seconds)?
                .unwrap_or(WINDOW_SECONDS),
            attempt_seconds: table
                .read("attempt", span::seconds)?
                .unwrap_or(ATTEMPT_SECONDS),
            target: table.read("target", target::read)?,
            handles: table.each("handles", |at| {
                Template::read(at, ValueSource::Outcome, NAMED_BY)
            })?,
            undoes,
            undid,
            landed: table.read("landed", |at| {
                Condition::read(at, &[ValueSource::Arguments])
            })?,
            rules: table.read("verdict", Rule::read_list)?.unwrap_or_default(),
            probe: table.read("probe", ProbeQuestion::read)?,
        };
        this.check_consistency(&table)?;
        Ok(this)
    }

    fn warnings(&self) -> Vec<String> {
        let shows_landing = self.landed.is_some() || !self.rules.is_empty();
        if self.read_only || shows_landing {
            return Vec::new();
        }
        vec![
            "any answer without an error counts as landed. If the tool answers softly (`confirmation_required`, or \
             `Error:` in a success), set `landed` or `verdict` to what a landing shows"
                .to_owned(),
        ]
    }

    fn derive(&self, call: &Call) -> Result<Derivation, String> {
        if self.read_only {
            return Ok(Derivation::Pass);
        }
        let operation = match &self.operation {
            Some(name) => Operation::new(name),
            None => Operation::of_tool(),
        };
        let mut operation = operation
            .scope(self.scope)
            .until(self.until)
            .window_seconds(self.window_seconds)
            .attempt_seconds(self.attempt_seconds);
        for field in &self.identity {
            operation = operation.identity(&field.name, field.required(call)?);
        }
        for field in &self.content {
            if let Some(value) = field.optional(call)? {
                operation = operation.content(&field.name, value);
            }
        }
        for template in &self.undoes {
            operation = operation.undoes(template.text(|_, at| call.get(at).cloned())?);
        }
        operation.target.clone_from(&self.target);
        Ok(operation.once())
    }

    fn judge(&self, call: &Call, attempts: &[Attempt]) -> Result<Verdict, String> {
        let last = last_attempt(attempts)?;
        let Some(answer) = Answer::of(&last.outcome) else {
            return careful::judge(attempts);
        };
        let ruled = Rule::first_verdict(&self.rules, &answer, &|_, at| call.get(at).cloned());
        let verdict = match ruled {
            Some(verdict) => verdict,
            None if answer.is_error_in_disguise() => {
                Verdict::unknown(verdict_without_rule(&answer))
            }
            None if self.shows_no_landing(call, &answer) => Verdict::unknown(
                "the tool returned, and its answer does not show what the setting `landed` requires",
            ),
            None => careful::judge(attempts)?,
        };
        let verdict = verdict.or_delay_of(&last.outcome);
        Ok(if verdict.effect == Effect::Landed {
            self.with_handle(verdict, call, &answer)
        } else {
            verdict
        })
    }

    fn recover(&self, call: &Call, attempts: &[Attempt]) -> Result<Recovery, String> {
        let last = last_attempt(attempts)?;
        let careful = careful::recover(&self.derive(call)?, attempts)?;
        let Some(question) = &self.probe else {
            return Ok(careful);
        };
        let under_this_key = attempts
            .iter()
            .filter(|attempt| attempt.key == last.key)
            .count();
        if matches!(careful, Recovery::Retry(_)) && under_this_key < ATTEMPTS_BEFORE_LOOKING {
            return Ok(careful);
        }
        let probe = question.ask(call, &last.key).map(Recovery::Probe);
        Ok(probe.unwrap_or_else(|mistake| {
            Recovery::Hold(format!("the probe cannot be built: {mistake}"))
        }))
    }

    fn weigh(
        &self,
        call: &Call,
        attempts: &[Attempt],
        _: &Probe,
        answer: &Outcome,
    ) -> Result<Finding, String> {
        let last = last_attempt(attempts)?;
        let question = self
            .probe
            .as_ref()
            .ok_or("these settings have no probe to weigh")?;
        Ok(question.weigh(call, &last.key, answer))
    }
}

fn last_attempt(attempts: &[Attempt]) -> Result<&Attempt, String> {
    let none = || "there is no attempt".to_owned();
    attempts.last().ok_or_else(none)
}

impl Intent {
    /// Checks that no key contradicts another.
    fn check_consistency(&self, table: &SettingTable<'_>) -> Result<(), String> {
        if self
            .operation
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(table.mistake_at(
                "operation",
                "it is empty: leave it out to use the tool's name",
            ));
        }
        if self.identity.is_empty() && !self.read_only {
            let mistake = "it is empty: name the arguments that make two calls the same operation";
            return Err(table.mistake_at("identity", mistake));
        }
        if self.window_seconds < self.attempt_seconds {
            let mistake = format!(
                "it is shorter than an attempt may take ({} s)",
                self.attempt_seconds
            );
            return Err(table.mistake_at("window", mistake));
        }
        field::require_distinct_fields(&self.identity, &self.content)
    }

    /// Returns true if the tool returned something else than what shows that the operation landed.
    fn shows_no_landing(&self, call: &Call, answer: &Answer) -> bool {
        let look = |_, at: &str| call.get(at).cloned();
        let shows = |landed: &Condition| landed.holds(answer, &look);
        answer.how == AnswerForm::Returned && !self.landed.as_ref().is_none_or(shows)
    }

    /// Adds the handles of what landed, and of what it undid, to the verdict. It landed even if
    /// they cannot be named.
    fn with_handle(&self, mut verdict: Verdict, call: &Call, answer: &Answer) -> Verdict {
        let look = |source: ValueSource, at: &str| match source {
            ValueSource::Arguments => call.get(at).cloned(),
            _ => answer.at(at).cloned(),
        };
        for (templates, names) in [
            (&self.handles, &mut verdict.handles),
            (&self.undid, &mut verdict.undid),
        ] {
            for template in templates {
                match template.text(look) {
                    Ok(name) => names.push(name),
                    Err(mistake) => verdict
                        .reason
                        .push_str(&format!("; a handle is left out: {mistake}")),
                }
            }
        }
        verdict
    }
}

fn verdict_without_rule(answer: &Answer) -> String {
    let text = answer.text().unwrap_or_default();
    format!(
        "the tool failed, and no verdict rule matches: {}",
        shorten_text(text)
    )
}

/// The longest part of an answer that a reason quotes, in characters.
const SHOWN_CHARACTERS: usize = 120;

fn shorten_text(text: &str) -> String {
    text.chars().take(SHOWN_CHARACTERS).collect()
}
