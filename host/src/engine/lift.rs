//! From the contract's words to the host's: everything a policy answers is checked and bounded here.
//!
//! What is checked is shape: names are names, JSON is JSON, lists and texts are bounded. What an answer *means* is not
//! decided here: whether an identity makes a key, in `crate::key`; whether a key can go to its places, in `crate::place`.

use super::{bindings::semel::policy::types, limits::DecisionLimits};
use crate::{
    json::{self, JsonLimits, JsonValue},
    model::{
        Derivation, Effect, Field, IdentifierError, KeyForm, KeyPlace, Operation,
        OperationLifetime, PolicyDescription, Probe, ProbeVerdict, Recovery, RepeatEffect, Scope,
        Target, Verdict, checked_name,
    },
};

/// The longest warning about settings, in bytes.
const WARNING_BYTES_MAX: usize = 1 << 10;

/// The longest handle, in bytes.
const HANDLE_BYTES_MAX: usize = 512;

/// The mistake in an answer, and its place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct AnswerMistake(pub(super) String);

impl From<String> for AnswerMistake {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<IdentifierError> for AnswerMistake {
    fn from(error: IdentifierError) -> Self {
        Self(error.to_string())
    }
}

/// Reads answers within limits.
#[derive(Clone, Copy)]
pub(super) struct AnswerReader(pub(super) DecisionLimits);

impl AnswerReader {
    pub(super) fn description(
        self,
        from: types::Description,
    ) -> Result<PolicyDescription, AnswerMistake> {
        checked_name("name", &from.name)?;
        checked_name("version", &from.version)?;
        let schema = self.json("settings-schema", &from.settings_schema)?;
        if schema.as_object().is_none() && schema.as_bool().is_none() {
            return Err(AnswerMistake(
                "`settings-schema` is not a JSON Schema: give an object".to_owned(),
            ));
        }
        Ok(PolicyDescription {
            name: from.name,
            version: from.version,
            summary: self.for_people(&from.summary),
            tools: self.names("tools", from.tools)?,
            settings_schema: schema,
            key_epoch: from.key_epoch,
        })
    }

    pub(super) fn derivation(self, from: types::Derivation) -> Result<Derivation, AnswerMistake> {
        Ok(match from {
            types::Derivation::Pass => Derivation::Pass,
            types::Derivation::Once(operation) => {
                Derivation::Once(Box::new(self.operation(operation)?))
            }
            types::Derivation::Refuse(why) => Derivation::Refuse(self.for_people(&why)),
        })
    }

    fn operation(self, from: types::Operation) -> Result<Operation, AnswerMistake> {
        if let Some(name) = &from.name {
            checked_name("`operation.name`", name)?;
        }
        Ok(Operation {
            name: from.name,
            identity: self.fields("identity", from.identity)?,
            content: self.fields("content", from.content)?,
            scope: match from.scope {
                types::Scope::Tenant => Scope::Tenant,
                types::Scope::Run => Scope::Run,
            },
            until: match from.until {
                types::Until::Window => OperationLifetime::Window,
                types::Until::Delivery => OperationLifetime::Delivery,
            },
            window_seconds: positive("window-seconds", from.window_seconds)?,
            attempt_seconds: positive("attempt-seconds", from.attempt_seconds)?,
            target: from.target.map(|target| self.target(target)).transpose()?,
            undoes: self.handles("undoes", from.undoes)?,
        })
    }

    fn target(self, from: types::Target) -> Result<Target, AnswerMistake> {
        self.count("target.places", from.places.len())?;
        Ok(Target {
            places: from.places.into_iter().map(place).collect(),
            form: form(from.form),
            repeats: match from.repeats {
                types::Repeats::Replayed => RepeatEffect::Replayed,
                types::Repeats::Rejected => RepeatEffect::Rejected,
                types::Repeats::Harmless => RepeatEffect::Harmless,
                types::Repeats::Effective => RepeatEffect::Effective,
            },
            remembers_seconds: from.remembers_seconds,
        })
    }

    pub(super) fn verdict(self, from: types::Verdict) -> Result<Verdict, AnswerMistake> {
        Ok(Verdict {
            effect: match from.effect {
                types::Effect::Landed => Effect::Landed,
                types::Effect::Refused => Effect::Refused,
                types::Effect::Absent => Effect::Absent,
                types::Effect::Unknown => Effect::Unknown,
            },
            reason: self.for_people(&from.reason),
            retry_after_ms: from.retry_after_ms,
            handles: self.handles("handles", from.handles)?,
            undid: self.handles("undid", from.undid)?,
            extras: self.fields("extras", from.extras)?,
        })
    }

    pub(super) fn recovery(self, from: types::Recovery) -> Result<Recovery, AnswerMistake> {
        Ok(match from {
            types::Recovery::Retry(delay_ms) => Recovery::Retry { delay_ms },
            types::Recovery::Probe(probe) => Recovery::Probe(self.probe(probe)?),
            types::Recovery::Hold(why) => Recovery::Hold(self.for_people(&why)),
        })
    }

    fn probe(self, from: types::Probe) -> Result<Probe, AnswerMistake> {
        checked_name("`probe.tool`", &from.tool)?;
        let arguments = self.json("probe.arguments", &from.arguments)?;
        if arguments.as_object().is_none() {
            return Err(AnswerMistake(
                "`probe.arguments` is not a JSON object".to_owned(),
            ));
        }
        Ok(Probe {
            tool: from.tool,
            arguments,
        })
    }

    pub(super) fn finding(self, from: types::Finding) -> Result<ProbeVerdict, AnswerMistake> {
        Ok(match from {
            types::Finding::Landed(value) => ProbeVerdict::Landed(self.json("landed", &value)?),
            types::Finding::Absent => ProbeVerdict::Absent,
            types::Finding::Unsettled(delay_ms) => ProbeVerdict::Unsettled { delay_ms },
            types::Finding::Conflicting(why) => ProbeVerdict::Conflicting(self.for_people(&why)),
        })
    }

    /// A text that people read: cut where it is too long, and with nothing in it that moves a terminal.
    pub(super) fn for_people(self, text: &str) -> String {
        let limit = self.0.text_bytes as usize;
        let end = text.floor_char_boundary(limit);
        let (shown, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let plain = |character: char| {
            if character.is_control() && character != '\n' {
                ' '
            } else {
                character
            }
        };
        let mut shown: String = shown.chars().map(plain).collect();
        if !rest.is_empty() {
            shown.push('…');
        }
        shown
    }

    fn fields(self, at: &str, from: Vec<types::Field>) -> Result<Vec<Field>, AnswerMistake> {
        self.count(at, from.len())?;
        from.into_iter()
            .map(|field| self.field(at, field))
            .collect()
    }

    fn field(self, at: &str, from: types::Field) -> Result<Field, AnswerMistake> {
        let value = self
            .json(&from.name, &from.value)
            .map_err(|why| format!("`{at}`: {why}"))?;
        Ok(Field {
            name: from.name,
            value,
        })
    }

    /// Returns a policy's warnings about its settings.
    pub(super) fn warnings(self, warnings: Vec<String>) -> Result<Vec<String>, AnswerMistake> {
        self.count("warnings", warnings.len())?;
        if warnings
            .iter()
            .any(|warning| warning.len() > WARNING_BYTES_MAX)
        {
            return Err(AnswerMistake(format!(
                "`warnings`: one is longer than {WARNING_BYTES_MAX} bytes"
            )));
        }
        Ok(warnings)
    }

    fn names(self, at: &str, names: Vec<String>) -> Result<Vec<String>, AnswerMistake> {
        self.count(at, names.len())?;
        for name in &names {
            checked_name("an entry", name).map_err(|error| format!("`{at}`: {error}"))?;
        }
        Ok(names)
    }

    fn handles(self, at: &str, handles: Vec<String>) -> Result<Vec<String>, AnswerMistake> {
        self.count(at, handles.len())?;
        if handles
            .iter()
            .any(|handle| handle.is_empty() || handle.len() > HANDLE_BYTES_MAX)
        {
            return Err(AnswerMistake(format!(
                "`{at}`: a handle is empty or longer than {HANDLE_BYTES_MAX} bytes"
            )));
        }
        Ok(handles)
    }

    fn count(self, at: &str, count: usize) -> Result<(), AnswerMistake> {
        let limit = self.0.list_items as usize;
        if count > limit {
            return Err(AnswerMistake(format!(
                "`{at}` has {count} entries, more than {limit} (`list-items`)"
            )));
        }
        Ok(())
    }

    fn json(self, at: &str, text: &str) -> Result<JsonValue, AnswerMistake> {
        let limits = JsonLimits {
            bytes: self.0.answer_bytes as usize,
            depth: self.0.json_depth as usize,
        };
        json::parse(text, &limits)
            .map_err(|error| AnswerMistake(format!("`{}`: {error}", self.for_people(at))))
    }
}

fn positive(at: &str, seconds: u32) -> Result<u32, AnswerMistake> {
    if seconds == 0 {
        Err(AnswerMistake(format!("`{at}` is 0: give at least 1")))
    } else {
        Ok(seconds)
    }
}

fn place(from: types::Place) -> KeyPlace {
    match from {
        types::Place::Argument(pointer) => KeyPlace::Argument(pointer),
        types::Place::Appended(pointer) => KeyPlace::Appended(pointer),
        types::Place::Header(name) => KeyPlace::Header(name),
        types::Place::Metadata(name) => KeyPlace::Metadata(name),
    }
}

fn form(from: types::Form) -> KeyForm {
    match from {
        types::Form::Uuid(version) => KeyForm::Uuid(version),
        types::Form::Hex(digits) => KeyForm::Hex(digits),
    }
}
