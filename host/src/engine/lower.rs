//! From the host's words to the contract's, counted on the way.

use super::{bindings::semel::policy::types, error::PolicyErrorKind};
use crate::{
    json::{JsonValue, canonical},
    model::{Attempt, Call, Failure, Field, Outcome, Probe, rfc3339},
};

/// The size of a policy's input so far, and its limit.
pub(super) struct MeteredInput {
    bytes: u64,
    limit: u32,
}

impl MeteredInput {
    pub(super) fn within(limit: u32) -> Self {
        Self { bytes: 0, limit }
    }

    /// # Errors
    /// If it is more than a policy is ever given.
    pub(super) fn check(&self) -> Result<(), PolicyErrorKind> {
        if self.bytes > u64::from(self.limit) {
            return Err(PolicyErrorKind::InputTooLarge {
                bytes: self.bytes,
                limit: self.limit,
            });
        }
        Ok(())
    }

    pub(super) fn call(&mut self, call: &Call) -> types::Call {
        types::Call {
            tool: self.text(call.tool()),
            arguments: self.text(call.canonical_arguments()),
            facts: call
                .facts()
                .into_iter()
                .map(|(name, value)| types::Field {
                    name: self.text(name),
                    value: self.json(&value),
                })
                .collect(),
        }
    }

    pub(super) fn attempts(&mut self, attempts: &[Attempt]) -> Vec<types::Attempt> {
        attempts
            .iter()
            .map(|attempt| self.attempt(attempt))
            .collect()
    }

    pub(super) fn probe(&mut self, probe: &Probe) -> types::Probe {
        types::Probe {
            tool: self.text(&probe.tool),
            arguments: self.json(&probe.arguments),
            extras: Vec::new(),
        }
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) -> types::Outcome {
        match outcome {
            Outcome::Returned(value) => types::Outcome::Returned(self.json(value)),
            Outcome::Failed(failure) => types::Outcome::Failed(self.failure(failure)),
            Outcome::Unanswered(silence) => types::Outcome::Unanswered(types::Silence {
                reason: self.text(&silence.reason),
                sent: silence.sent,
            }),
        }
    }

    fn attempt(&mut self, attempt: &Attempt) -> types::Attempt {
        types::Attempt {
            number: attempt.number,
            started_at: self.counted(rfc3339(attempt.started_at_ms)),
            age_seconds: attempt.age_seconds,
            key: self.text(&attempt.key),
            outcome: self.outcome(&attempt.outcome),
            facts: attempt
                .facts
                .iter()
                .map(|field| self.field(field))
                .collect(),
        }
    }

    fn failure(&mut self, failure: &Failure) -> types::Failure {
        types::Failure {
            message: self.text(&failure.message),
            code: failure.code.as_deref().map(|code| self.text(code)),
            status: failure.status,
            retry_after_ms: failure.retry_after_ms,
            details: failure.details.as_ref().map(|details| self.json(details)),
        }
    }

    fn field(&mut self, field: &Field) -> types::Field {
        types::Field {
            name: self.text(&field.name),
            value: self.json(&field.value),
        }
    }

    fn text(&mut self, text: &str) -> String {
        self.counted(text.to_owned())
    }

    fn json(&mut self, value: &JsonValue) -> String {
        self.counted(canonical(value))
    }

    fn counted(&mut self, text: String) -> String {
        self.bytes += text.len() as u64;
        text
    }
}
