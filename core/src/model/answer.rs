//! What the caller of a guarded tool gets.

use super::outcome::{Effect, Outcome};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The failures that an acknowledged write of a ledger survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Not known: the service hides its settings.
    Unverified,
    /// D0, nothing: the ledger lives in memory.
    Nothing,
    /// D1, a crash of the process.
    ProcessCrash,
    /// D2, power loss of one machine.
    PowerLoss,
    /// D3, loss of one machine.
    MachineLoss,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unverified => "not verified",
            Self::Nothing => "D0: survives nothing",
            Self::ProcessCrash => "D1: survives a crash of the process",
            Self::PowerLoss => "D2: survives power loss",
            Self::MachineLoss => "D3: survives loss of the machine",
        })
    }
}

/// The presence of the answer's content in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordStatus {
    /// It does, as durably as this.
    Yes(Durability),
    /// It does not, and why. The outcome is real all the same.
    No(String),
}

/// A switch of the operator that voids the guarantee for the tool, and was in use for this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorSwitch {
    /// The tool runs while the ledger is unreachable.
    OpenWithoutLedger,
    /// It may be sent again on a timer after a probe found nothing.
    TimedRerun,
    /// A quickly written answer counts as received.
    TakenOnceWritten,
}

/// Why a call ran without a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnguardedReason {
    /// The policy saw no side effect worth guarding.
    Policy,
    /// The operator has the tool watched only.
    Shadow,
    /// The operator has the tool left alone.
    Off,
}

/// The caller's permitted next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum NextStep {
    /// Nothing: it is settled, and calling again gives the same answer.
    Nothing,
    /// Call again, unchanged or changed, once so much time has passed.
    CallAgain {
        /// In milliseconds from now; none: when the caller sees fit.
        after_ms: Option<u64>,
    },
    /// Ask again with the very same call: the reply reports the operation's state, and nothing is
    /// sent.
    AskAgain {
        /// In milliseconds from now.
        after_ms: Option<u64>,
    },
    /// Do not call again: a person must decide (`semel ledger decide`).
    AskAPerson,
    /// Correct the call: it did not run as it stands.
    CorrectTheCall,
}

/// The operation of an answer. Debug output omits the key.
#[derive(Clone, PartialEq, Serialize)]
pub struct AnswerSubject {
    /// The operation's name.
    pub operation: String,
    /// Its downstream key, by which a person finds the record.
    pub key: String,
    /// The number of times it was undone or delivered before, plus one.
    pub generation: u32,
    /// The number of the attempt that the answer rests on.
    pub attempt: u32,
    /// The presence of the outcome in the ledger.
    pub recorded: RecordStatus,
    /// The operator's switches that were in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<OperatorSwitch>,
}

/// The state of a recorded operation that conflicts with a call. An operation that was undone conflicts with none: the next
/// call opens a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictState {
    /// An attempt is in progress.
    Running,
    /// The operation continues elsewhere, as a task or until its caller answers a question.
    Waiting,
    /// The effect is unknown.
    InDoubt,
    /// A probe looks for the effect.
    Probing,
    /// The effect is unknown, and a person must decide.
    Held,
    /// A person or a timed rerun freed the recorded content to be sent again, and no other content.
    Released,
    /// A person decided that the operation must not be sent.
    Refused,
    /// The operation took effect.
    Landed,
    /// The operation took effect, and its outcome is no longer kept.
    Tombstone,
}

impl ConflictState {
    /// The state's name, as in a record's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::InDoubt => "in-doubt",
            Self::Probing => "probing",
            Self::Held => "held",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Landed => "landed",
            Self::Tombstone => "tombstone",
        }
    }
}

/// The recorded operation, where a call asks for something else. Debug output holds the state only.
#[derive(Clone, PartialEq, Serialize)]
pub struct RecordedOperation {
    /// The record's state.
    pub state: ConflictState,
    /// Its outcome, where it is known and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The handles of what landed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<String>,
    /// The recorded reason, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a replayed answer says of undoing. Printed, it is a sentence for a model or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoNote {
    /// The operation was undone since. Once this answer is taken, an equal call does it again.
    Undone {
        /// The name of the operation that undid it; none: its record is gone.
        by: Option<String>,
        /// When, in milliseconds since 1970 in UTC.
        at_ms: u64,
    },
    /// One of its handles names a landing that it did not undo, and that may have come before it.
    StillStanding {
        /// The handle.
        handle: String,
        /// The name of the operation that landed.
        operation: String,
        /// The downstream key of that operation.
        key: String,
    },
}

impl fmt::Display for UndoNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undone { by, at_ms } => {
                let at = super::rfc3339(*at_ms);
                match by {
                    Some(by) => write!(f, "It was undone since, by `{by}` at {at}.")?,
                    None => write!(f, "It was undone since, at {at}.")?,
                }
                f.write_str(" Call again to do it again.")
            }
            Self::StillStanding {
                handle,
                operation,
                key,
            } => write!(
                f,
                "`{handle}` also names `{operation}` (key {key}), which this call did not undo. If that must be \
                 undone as well, a person reopens this operation with `semel ledger decide KEY undone`, where KEY is \
                 the key of this answer."
            ),
        }
    }
}

/// The answer to the caller of a guarded tool: closed, so that a caller decides about each case.
/// Debug output holds the kind of answer and the operation, and nothing of what was done; JSON
/// holds all of it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The tool ran without a guard, and nothing was recorded that a later call would be answered by.
    Passed {
        /// Why.
        why: UnguardedReason,
        /// The outcome.
        outcome: Outcome,
    },
    /// The tool ran for this call, and its effect is known.
    Executed {
        /// Which operation.
        about: AnswerSubject,
        /// The outcome.
        outcome: Outcome,
        /// The verdict on its effect.
        effect: Effect,
        /// Why the policy says so.
        reason: String,
        /// The permitted next step.
        next: NextStep,
    },
    /// The operation is settled already: this is its recorded outcome, and nothing was sent.
    Replayed {
        /// Which operation.
        about: AnswerSubject,
        /// Its outcome; none: not kept, but it landed (or was refused) all the same.
        outcome: Option<Outcome>,
        /// The verdict on its effect.
        effect: Effect,
        /// What an undo left of it, or it of what it was to undo.
        #[serde(skip_serializing_if = "Option::is_none")]
        undo: Option<UndoNote>,
        /// The permitted next step.
        next: NextStep,
    },
    /// Another caller's attempt is in progress.
    Running {
        /// Which operation.
        about: AnswerSubject,
        /// The continuation under which it continues elsewhere, if it does.
        continuation: Option<String>,
        /// The permitted next step.
        next: NextStep,
    },
    /// It may have taken effect, and is not sent again on its own.
    InDoubt {
        /// Which operation.
        about: AnswerSubject,
        /// Why that is not known.
        reason: String,
        /// The outcome of the last attempt, if known.
        outcome: Option<Outcome>,
        /// The permitted next step.
        next: NextStep,
    },
    /// It may have taken effect, and a person must decide.
    Held {
        /// Which operation.
        about: AnswerSubject,
        /// Why.
        reason: String,
        /// The outcome of the attempt, if known.
        outcome: Option<Outcome>,
        /// The permitted next step.
        next: NextStep,
    },
    /// The same operation with other content is recorded and may have taken effect: nothing was sent.
    Conflict {
        /// Which operation.
        about: AnswerSubject,
        /// The recorded operation.
        standing: RecordedOperation,
        /// The permitted next step.
        next: NextStep,
    },
    /// It landed, and its outcome is no longer kept: nothing was sent.
    Expired {
        /// Which operation.
        about: AnswerSubject,
        /// When it was settled, in milliseconds since 1970 in UTC.
        landed_at_ms: u64,
        /// The permitted next step.
        next: NextStep,
    },
    /// The call must not run as it stands: nothing was sent.
    Refused {
        /// Why, for a model to act on.
        reason: String,
        /// The permitted next step.
        next: NextStep,
    },
}

impl fmt::Debug for AnswerSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About")
            .field("operation", &self.operation)
            .field("generation", &self.generation)
            .field("attempt", &self.attempt)
            .field("recorded", &self.recorded)
            .field("switches", &self.switches)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordedOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Answer");
        told.field("word", &self.word())
            .field("about", &self.about())
            .field("outcome", &self.outcome());
        told.field("next", &self.next()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The answer's word in messages and tables.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Executed { .. } => "executed",
            Self::Replayed { .. } => "replayed",
            Self::Running { .. } => "running",
            Self::InDoubt { .. } => "in doubt",
            Self::Held { .. } => "held",
            Self::Conflict { .. } => "conflict",
            Self::Expired { .. } => "expired",
            Self::Refused { .. } => "refused",
        }
    }

    /// Returns the outcome that the caller may use: of this call, or recorded. A conflict's outcome
    /// is another call's, and is found in its `standing` only.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Passed { outcome, .. } | Self::Executed { outcome, .. } => Some(outcome),
            Self::Replayed { outcome, .. }
            | Self::InDoubt { outcome, .. }
            | Self::Held { outcome, .. } => outcome.as_ref(),
            Self::Running { .. }
            | Self::Conflict { .. }
            | Self::Expired { .. }
            | Self::Refused { .. } => None,
        }
    }

    /// Which operation it is about; none where nothing is recorded of any.
    #[must_use]
    pub fn about(&self) -> Option<&AnswerSubject> {
        match self {
            Self::Passed { .. } | Self::Refused { .. } => None,
            Self::Executed { about, .. }
            | Self::Replayed { about, .. }
            | Self::Running { about, .. }
            | Self::InDoubt { about, .. }
            | Self::Held { about, .. }
            | Self::Conflict { about, .. }
            | Self::Expired { about, .. } => Some(about),
        }
    }

    /// Returns the permitted next step.
    #[must_use]
    pub fn next(&self) -> NextStep {
        match self {
            Self::Passed { .. } => NextStep::CallAgain { after_ms: None },
            Self::Executed { next, .. }
            | Self::Replayed { next, .. }
            | Self::Running { next, .. }
            | Self::InDoubt { next, .. }
            | Self::Held { next, .. }
            | Self::Conflict { next, .. }
            | Self::Expired { next, .. }
            | Self::Refused { next, .. } => next.clone(),
        }
    }
}
