//! The outcome of an attempt, and the verdict on its effect.

use super::call::Field;
use crate::json::JsonValue;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of an attempt, as far as its host could observe it. Debug output holds its kind
/// only.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The tool answered.
    Returned(JsonValue),
    /// The tool answered that it failed.
    Failed(Failure),
    /// No answer came.
    Unanswered(MissingAnswer),
}

/// A failure that the tool reported. Debug output holds its status only.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The tool's message.
    pub message: String,
    /// A code of the tool's own, such as `card_declined`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// An HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The delay after which the tool wants to be called again (`Retry-After`), in milliseconds, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// The whole error, where it was JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<JsonValue>,
}

/// The absence of an answer. Debug output holds whether anything was sent.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MissingAnswer {
    /// Such as `timed out after 30 s`.
    pub reason: String,
    /// True if any of the request left the host. False only where the transport proves it.
    pub sent: bool,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(_) => f.write_str("Returned(…)"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Unanswered(silence) => silence.fmt(f),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MissingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict")
            .field("effect", &self.effect)
            .finish_non_exhaustive()
    }
}

impl Outcome {
    /// The tool returned this value.
    #[must_use]
    pub fn returned(value: impl Into<JsonValue>) -> Self {
        Self::Returned(value.into())
    }

    /// The tool failed with this message.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure {
            message: message.into(),
            ..Failure::default()
        })
    }

    /// No answer came, and something may have been sent.
    #[must_use]
    pub fn no_answer(reason: impl Into<String>) -> Self {
        Self::Unanswered(MissingAnswer {
            reason: reason.into(),
            sent: true,
        })
    }

    /// It is proven that nothing was sent.
    #[must_use]
    pub fn not_sent(reason: impl Into<String>) -> Self {
        Self::Unanswered(MissingAnswer {
            reason: reason.into(),
            sent: false,
        })
    }
}

/// The policy's word on the effect of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It took effect.
    Landed,
    /// It took no effect, and the same request would be turned away again.
    Refused,
    /// It certainly took no effect. It may be tried again.
    Absent,
    /// It may have taken effect.
    Unknown,
}

/// The policy's verdict on an attempt. Debug output holds the effect only: reasons and handles may
/// quote the tool.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// The effect.
    pub effect: Effect,
    /// Why, for people and agents to read.
    pub reason: String,
    /// When trying again may help, in milliseconds from now.
    pub retry_after_ms: Option<u32>,
    /// Names under which later calls may speak of what landed.
    pub handles: Vec<String>,
    /// The handles that this undid, where only the outcome names them.
    pub undid: Vec<String>,
    /// Open extensions: ignored where unknown.
    pub extras: Vec<Field>,
}

impl Verdict {
    /// A verdict of this effect for this reason, with nothing else to say.
    #[must_use]
    pub fn new(effect: Effect, reason: impl Into<String>) -> Self {
        Self {
            effect,
            reason: reason.into(),
            retry_after_ms: None,
            handles: Vec::new(),
            undid: Vec::new(),
            extras: Vec::new(),
        }
    }
}
