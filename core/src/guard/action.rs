//! What a guard asks its driver to do, and what the driver reports.

use crate::{
    ledger::{BoundedVerdict, Fence, Grant, ProbeReport, Refusal, Reply},
    model::{Effect, Outcome, Probe, ProbeVerdict, Recovery, StoreKey, Verdict},
};

/// The driver's next action. The driver reports back with the event that each action names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardAction {
    /// Claim the operation: [`GuardEvent::Claimed`].
    Claim {
        /// The first generation that this call read before it was delivered.
        read_undelivered: Option<u32>,
    },
    /// Mark what the operation undoes: [`GuardEvent::Marked`].
    Mark(Grant),
    /// Run the tool, if the right still holds right before the bytes leave: [`GuardEvent::Ran`]. Keep the lease meanwhile.
    Run(Grant),
    /// Run the tool although the ledger is away, because the operator says so: [`GuardEvent::Ran`].
    RunOpen,
    /// Ask the policy about the effect of this call's attempt or, during a probe, about the probe's
    /// result: [`GuardEvent::Judged`].
    Judge {
        /// The outcome.
        outcome: Outcome,
    },
    /// Claim what waits under this continuation: [`GuardEvent::Claimed`].
    Continue {
        /// The continuation.
        continuation: String,
    },
    /// Write that the attempt goes on elsewhere: [`GuardEvent::Written`].
    Suspend {
        /// The attempt.
        fence: Fence,
        /// The name under which it does.
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
        /// The names under which later calls may speak of it.
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
        /// Why.
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
    /// Ask the policy what to do about what is in doubt: [`GuardEvent::Recovered`].
    Recover(RecordReading),
    /// Ask the ledger for the right to send the same again: [`GuardEvent::Claimed`].
    Resolve {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Ask the ledger for the right to probe: [`GuardEvent::Claimed`].
    Look {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Run the probe: [`GuardEvent::Ran`].
    Probe(Probe),
    /// Ask the policy to weigh the probe's answer: [`GuardEvent::Weighed`].
    Weigh {
        /// The record in doubt.
        reading: RecordReading,
        /// The probe.
        probe: Probe,
        /// Its answer.
        answer: Outcome,
    },
    /// Write what was seen: [`GuardEvent::Written`].
    Saw {
        /// What.
        seen: ProbeOutcome,
    },
    /// The call is over.
    Finish(Box<CallEnd>),
}

/// The result of a probe, before its handles are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// The operation took effect.
    Found {
        /// The outcome that the tool would have returned.
        outcome: Outcome,
        /// The names under which later calls may speak of it.
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

/// Why a ledger did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardLedgerError {
    /// It cannot be reached, or does not work.
    Away(String),
    /// It holds something there that cannot be used: sealed under a missing key, damaged, or of a newer release. So
    /// something was claimed, and no switch of the operator lets the tool run.
    Unreadable(String),
    /// It refused, by its table.
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

/// Why a policy gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuardPolicyError(pub String);

/// Why nothing was sent: what the operation undoes could not be marked.
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
    /// The tool accepted, and goes on elsewhere.
    Suspended {
        /// The name under which it does.
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
        /// Why.
        reason: String,
        /// When trying again may help.
        retry_after_ms: Option<u32>,
        /// The record in the ledger, or the reason why there is none.
        recorded: Result<RecordReading, GuardLedgerError>,
    },
    /// The tool ran although the ledger was away.
    ExecutedOpen {
        /// The outcome.
        outcome: Outcome,
        /// The verdict on its effect.
        effect: Effect,
        /// Why.
        reason: String,
    },
    /// The recorded state, which gives this call no right.
    Told(RecordReading),
    /// The recorded state is unknown or needs a person, and this is the outcome of the call's own
    /// attempt.
    Unsettled {
        /// The record in the ledger, or the reason why there is none.
        recorded: Result<RecordReading, GuardLedgerError>,
        /// The outcome of this call's attempt, if it made one.
        outcome: Option<Outcome>,
        /// Why.
        reason: Option<String>,
    },
    /// The operation that this one undoes could not be marked, so nothing was sent.
    Unmarked(MarkingError),
    /// The ledger was away before anything was sent by this claim.
    LedgerAway {
        /// Why.
        fault: GuardLedgerError,
        /// The outcome of an earlier attempt of this call.
        own: Option<Outcome>,
    },
    /// The driver broke the protocol. Nothing more is done.
    Broken(String),
}
