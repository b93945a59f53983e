//! What a guard asks its driver to do, and what the driver reports.

use crate::{
    ledger::{BoundedVerdict, Fence, Grant, ProbeReport, Refusal, Reply},
    model::{Effect, Outcome, Probe, ProbeVerdict, Recovery, StoreKey, Verdict},
};

/// What a driver is to do next. It reports back with the event that each names.
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
    /// Ask the policy what became of the effect of this call's attempt, or (with a look under way) of what a
    /// probe found: [`GuardEvent::Judged`].
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
        /// How long that may take.
        limit_seconds: u32,
    },
    /// Write what the attempt came to: [`GuardEvent::Written`].
    Settle {
        /// The attempt.
        grant: Grant,
        /// What was seen.
        outcome: Outcome,
        /// What that says of the effect.
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
        /// What was seen of it by this call.
        outcome: Option<Outcome>,
        /// Why.
        reason: String,
    },
    /// Wait until the record changes: [`GuardEvent::Woken`].
    Wait {
        /// Where it lies.
        key: StoreKey,
        /// The version that was read.
        version: crate::model::Nonce,
        /// For how long at the most, in milliseconds.
        at_most_ms: u64,
    },
    /// Let time pass: [`GuardEvent::Woken`].
    Sleep {
        /// How much, in milliseconds.
        ms: u64,
    },
    /// Ask the policy what to do about what is in doubt: [`GuardEvent::Recovered`].
    Recover(RecordReading),
    /// Ask the ledger for the right to send the same again: [`GuardEvent::Claimed`].
    Resolve {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Ask the ledger for the right to look: [`GuardEvent::Claimed`].
    Look {
        /// The last attempt that the policy was shown.
        shown: u32,
    },
    /// Run the probe: [`GuardEvent::Ran`].
    Probe(Probe),
    /// Ask the policy what the probe's answer tells: [`GuardEvent::Weighed`].
    Weigh {
        /// What was in doubt.
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

/// What a look came to, before its names are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// The operation took effect.
    Found {
        /// What the tool would have returned.
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
    /// What the ledger replied.
    pub reply: Reply,
    /// Where the record lies.
    pub key: StoreKey,
    /// Its version.
    pub version: crate::model::Nonce,
    /// Its generation.
    pub generation: u32,
    /// Whether somebody took its outcome.
    pub delivered: bool,
    /// Its last attempt.
    pub last: Fence,
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
    /// What stands in the way.
    pub reason: String,
    /// Whether that passes by itself.
    pub passes: bool,
}

/// What a driver reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuardEvent {
    /// What the ledger said to a claim, or to a wish to send again or to look.
    Claimed(Result<RecordReading, GuardLedgerError>),
    /// Whether everything that the operation undoes is marked.
    Marked(Result<(), MarkingError>),
    /// What the tool, or the probe, came to.
    Ran(Outcome),
    /// The tool accepted, and goes on elsewhere.
    Suspended {
        /// The name under which it does.
        continuation: String,
        /// How long that may take.
        limit_seconds: u32,
    },
    /// The policy's verdict.
    Judged(Result<Verdict, GuardPolicyError>),
    /// What the ledger said to a settlement.
    Written(Result<RecordReading, GuardLedgerError>),
    /// Time passed, or the record changed.
    Woken,
    /// What the policy says to do.
    Recovered(Result<Recovery, GuardPolicyError>),
    /// What the policy makes of a probe's answer.
    Weighed(Result<ProbeVerdict, GuardPolicyError>),
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallEnd {
    /// Its own attempt is settled, and this is what stands.
    Executed {
        /// The attempt.
        grant: Grant,
        /// What it came to.
        outcome: Outcome,
        /// What became of its effect.
        effect: Effect,
        /// Why.
        reason: String,
        /// When trying again may help.
        retry_after_ms: Option<u32>,
        /// What stands in the ledger, or why nothing does.
        recorded: Result<RecordReading, GuardLedgerError>,
    },
    /// The tool ran although the ledger was away.
    ExecutedOpen {
        /// What it came to.
        outcome: Outcome,
        /// What became of its effect.
        effect: Effect,
        /// Why.
        reason: String,
    },
    /// What stands, of which this call gained no right.
    Told(RecordReading),
    /// What stands is unknown, or for a person, and this call's own attempt came to this.
    Unsettled {
        /// What stands in the ledger, or why nothing does.
        recorded: Result<RecordReading, GuardLedgerError>,
        /// What the attempt came to, where this call made one.
        outcome: Option<Outcome>,
        /// Why.
        reason: Option<String>,
    },
    /// What the operation undoes could not be marked, so nothing was sent.
    Unmarked(MarkingError),
    /// The ledger was away before anything was sent by this claim.
    LedgerAway {
        /// Why.
        fault: GuardLedgerError,
        /// What an earlier attempt of this call came to.
        own: Option<Outcome>,
    },
    /// The driver broke the protocol. Nothing more is done.
    Broken(String),
}
