//! The recovery of an operation with an unknown effect.

use super::{call::Field, outcome::Outcome};
use crate::json::JsonValue;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One attempt at an operation, as a policy reads it. Debug output omits the key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it began, by the ledger's clock: milliseconds since 1970 in UTC.
    pub started_at_ms: u64,
    /// The age of the attempt, in seconds.
    pub age_seconds: u32,
    /// The key as it was sent.
    pub key: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Further facts of the host when it was made, in order of name.
    pub facts: Vec<Field>,
}

/// A read that may reveal the effect of an attempt. Debug output holds the tool only.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Probe {
    /// The tool to read with.
    pub tool: String,
    /// Its arguments: an object.
    pub arguments: JsonValue,
}

/// A policy's instruction for an operation in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// Send the recorded call again under the same key, after so many milliseconds.
    Retry {
        /// The delay.
        delay_ms: u32,
    },
    /// Look first.
    Probe(Probe),
    /// A person must decide, and why.
    Hold(String),
}

/// A policy's verdict on a probe's answer. Debug output holds its kind only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ProbeVerdict {
    /// It took effect, and this is what the tool would have returned.
    Landed(JsonValue),
    /// Nothing is to be seen of it.
    Absent,
    /// Too early to decide: probe again after so many milliseconds.
    Unsettled {
        /// The delay.
        delay_ms: u32,
    },
    /// Something else stands where the effect would, and why a person must decide.
    Conflicting(String),
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Attempt");
        told.field("number", &self.number)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProbeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Landed(_) => "Landed(…)",
            Self::Absent => "Absent",
            Self::Unsettled { .. } => "Unsettled",
            Self::Conflicting(_) => "Conflicting(…)",
        })
    }
}

/// A policy's self-description.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PolicyDescription {
    /// The policy's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The purpose.
    pub summary: String,
    /// The tools it is meant for: globs.
    pub tools: Vec<String>,
    /// A JSON Schema of its settings.
    pub settings_schema: JsonValue,
    /// Rises whenever the same call may get another key than before.
    pub key_epoch: u32,
}
