//! What a guard asks its driver to do, and what the driver reports.

use crate::{
    ledger::{BoundedVerdict, Fence, Grant, ProbeReport, Refusal, Reply},
    model::{Effect, Outcome, Probe, ProbeVerdict, Recovery, StoreKey, Verdict},
};

/// The next step of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardAction {
    /// A step that the driver performs.
    Driver(DriverAction),
    /// A step for which control returns to the caller.
    Caller(CallerAction),
}

impl From<DriverAction> for GuardAction {
    fn from(action: DriverAction) -> Self {
        Self::Driver(action)
    }
}

impl From<CallerAction> for GuardAction {
    fn from(action: CallerAction) -> Self {
        Self::Caller(action)
    }
}

/// A step of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallerAction {
    /// Run the tool, if the right still holds immediately before the bytes leave, and keep the lease until it has
    /// answered: [`GuardEvent::Ran`] or [`GuardEvent::Suspended`].
    RunTool(Grant),
    /// Run the tool although the ledger is unreachable, as the operator allows: [`GuardEvent::Ran`] or
    /// [`GuardEvent::Suspended`].
    RunWithoutLedger,
    /// Take the answer. The call is over.
    Finish(Box<CallEnd>),
}

/// A step of the driver, which reports the event that each action names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DriverAction {
    /// Claim the operation: [`GuardEvent::Claimed`].
    Claim {
        /// The first generation that this call read before it was delivered.
        read_undelivered: Option<u32>,
    },
    /// Claim the attempt that waits under this continuation: [`GuardEvent::Claimed`].
    Resume {
        /// The continuation.
        continuation: String,
    },
    /// Mark what the operation undoes: [`GuardEvent::Marked`].
    Mark(Grant),
    /// Ask the policy about the effect of this call's attempt or, after a probe, about the outcome that the probe found:
    /// [`GuardEvent::Judged`].
    Judge {
        /// The outcome.
        outcome: Outcome,
    },
    /// Write that the attempt continues elsewhere: [`GuardEvent::Written`].
    Suspend {
        /// The attempt.
        fence: Fence,
        /// The name under which it continues.
        continuation: String,
        /// The time limit.
        limit_seconds: u32,
    },
    /// Write the outcome of the attempt: [`GuardEvent::Written`].
    Settle {
        /// The attempt.
        grant: Grant,
        /// The observed outcome.
        outcome: Outcome,
        /// The verdict on its effect.
        verdict: BoundedVerdict,
        /// The names under which later calls may refer to it.
        handles: Vec<String>,
        /// The names of what it undid.
        undid: Vec<String>,
    },
    /// Write that a person must decide: [`GuardEvent::Written`].
    Hold {
        /// The attempt.
        fence: Fence,
        /// The outcome that this call observed.
        outcome: Option<Outcome>,
        /// The reason.
        reason: String,
    },
    /// Wait until the record changes: [`GuardEvent::Woken`].
    Wait {
        /// The record's key.
        key: StoreKey,
        /// The version that was read.
        version: crate::model::Nonce,
        /// The longest wait, in milliseconds.
        at_most_ms: u64,
    },
    /// Let time pass: [`GuardEvent::Woken`].
    Sleep {
        /// The delay, in milliseconds.
        ms: u64,
    },
    /// Ask the policy how to recover the operation in doubt: [`GuardEvent::Recovered`].
    Recover,
    /// Request the right to send the same call again: [`GuardEvent::Claimed`].
    RequestRetry {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Request the right to probe: [`GuardEvent::Claimed`].
    RequestProbe {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Run the probe: [`GuardEvent::Ran`].
    Probe(Probe),
    /// Ask the policy to weigh the probe's answer: [`GuardEvent::Weighed`].
    Weigh {
        /// The probe.
        probe: Probe,
        /// Its answer.
        answer: Outcome,
    },
    /// Write the result of the probe: [`GuardEvent::Written`].
    ReportProbe(ProbeOutcome),
}

/// The result of a probe, before its handles are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// The operation took effect.
    Found {
        /// The outcome that the tool would have returned.
        outcome: Outcome,
        /// The names under which later calls may refer to it.
        handles: Vec<String>,
        /// The names of what it undid.
        undid: Vec<String>,
    },
    /// Anything else.
    Otherwise(ProbeReport),
}

/// A record as this call read it, as far as the guard decides by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordReading {
    /// The ledger's reply.
    pub reply: Reply,
    /// The record's key.
    pub key: StoreKey,
    /// Its version.
    pub version: crate::model::Nonce,
    /// Its generation.
    pub generation: u32,
    /// True if the outcome was delivered.
    pub delivered: bool,
    /// Its last attempt, or `None` if the ledger holds no operation there.
    pub last: Option<Fence>,
}

impl RecordReading {
    /// Returns the number of the last attempt: how many attempts there were.
    pub(crate) fn last_number(&self) -> u32 {
        self.last.map_or(0, |last| last.number)
    }
}

/// A ledger's failure, as far as the guard decides by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardLedgerError {
    /// It cannot be reached, or does not work.
    Away(String),
    /// Its entry cannot be read: sealed under a missing key, damaged, or of a newer release. So the operation was
    /// claimed, and no switch of the operator lets the tool run.
    Unreadable(String),
    /// It refuses, by its table of transitions.
    Refused(Refusal),
}

impl std::fmt::Display for GuardLedgerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) | Self::Unreadable(why) => f.write_str(why),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

/// The reason why a policy made no decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuardPolicyError(pub String);

/// The reason why nothing was sent: what the operation undoes could not be marked, or no attempt waits to be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MarkingError {
    /// The obstacle.
    pub reason: String,
    /// True if the obstacle is temporary.
    pub passes: bool,
}

/// The driver's report.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardEvent {
    /// The ledger's reply to a claim, to a request to send again or to a request to probe.
    Claimed(Result<RecordReading, GuardLedgerError>),
    /// Confirms that all that the operation undoes is marked, or names the obstacle.
    Marked(Result<(), MarkingError>),
    /// The outcome of the tool or the probe.
    Ran(Outcome),
    /// The tool accepted, and continues elsewhere.
    Suspended {
        /// The name under which it continues.
        continuation: String,
        /// The time limit.
        limit_seconds: u32,
    },
    /// The policy's verdict.
    Judged(Result<Verdict, GuardPolicyError>),
    /// The ledger's reply to a settlement.
    Written(Result<RecordReading, GuardLedgerError>),
    /// Time passed, or the record changed.
    Woken,
    /// The policy's instruction for the operation in doubt.
    Recovered(Result<Recovery, GuardPolicyError>),
    /// The policy's verdict on a probe's answer.
    Weighed(Result<ProbeVerdict, GuardPolicyError>),
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallEnd {
    /// Its own attempt is settled, and this is the recorded state.
    Executed {
        /// The attempt.
        grant: Grant,
        /// The outcome.
        outcome: Outcome,
        /// The verdict on its effect.
        effect: Effect,
        /// The reason.
        reason: String,
        /// The delay after which another call may help.
        retry_after_ms: Option<u32>,
        /// The record in the ledger, or the reason why there is none.
        recorded: Result<RecordReading, GuardLedgerError>,
    },
    /// The tool ran although the ledger was away.
    ExecutedWithoutLedger {
        /// The outcome.
        outcome: Outcome,
        /// The verdict on its effect.
        effect: Effect,
        /// The reason.
        reason: String,
    },
    /// The recorded state, which gives this call no right.
    Recorded(RecordReading),
    /// The recorded state is unknown or needs a person, and this is the outcome of the call's own
    /// attempt.
    Unsettled {
        /// The record in the ledger, or the reason why there is none.
        recorded: Result<RecordReading, GuardLedgerError>,
        /// The outcome of this call's attempt, if it made one.
        outcome: Option<Outcome>,
        /// The reason.
        reason: Option<String>,
    },
    /// The operation that this one undoes could not be marked, so nothing was sent.
    Unmarked(MarkingError),
    /// The ledger was away before anything was sent by this claim.
    LedgerAway {
        /// The reason.
        error: GuardLedgerError,
        /// The outcome of an earlier attempt of this call.
        own: Option<Outcome>,
    },
    /// The driver broke the protocol. Nothing more is done.
    Broken(String),
}
