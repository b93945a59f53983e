//! What may be asked of a record, and what it answers.
//!
//! Debug output of commands holds reasons, handles and continuations, which may quote a tool: the
//! model checker and the tests of the table print it. Nothing logs a command.

use super::{
    StateLabel,
    handle::{HandleOwner, LivingOwners},
    record::{Fence, KeptOutcome, OperationGeneration, OperationTerms, Person, UndoTarget},
    rule::Rule,
    shared::SharedValue,
    verdict::BoundedVerdict,
};
use crate::model::{CallDigest, Field, Nonce, Stamp, StoreKey, Tenant};
use std::sync::Arc;

/// The retention of an entry, counted from this write by the store's clock. Past it every store
/// answers as if the entry were absent. Each write states it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retention {
    /// Until it is removed.
    UntilRemoved,
    /// For so many seconds.
    Seconds(u64),
}

impl Retention {
    /// When it ends by the wall clock, for what is written at `written`.
    #[must_use]
    pub fn end_ms(self, written: Stamp) -> Option<u64> {
        match self {
            Self::UntilRemoved => None,
            Self::Seconds(seconds) => {
                Some(written.wall_ms.saturating_add(seconds.saturating_mul(1000)))
            }
        }
    }
}

/// A request to run an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The nonce of the attempt that it asks for.
    pub nonce: Nonce,
    /// The tenant of the call.
    pub tenant: Tenant,
    /// The operator's name space.
    pub name_space: String,
    /// The operation.
    pub terms: SharedValue<OperationTerms>,
    /// The host's facts about the call.
    pub facts: Vec<Field>,
    /// The first generation that this call read before it was delivered, if any: its outcome is what the caller gets,
    /// and no later one is its own.
    pub read_undelivered: Option<u32>,
    /// An undoing operation with a void mark, as the claimant found it there.
    pub void_mark: Option<OperationGeneration>,
    /// The living owners of each handle that the operation undoes, as the claimant found them.
    pub named: Vec<LivingOwners>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// The attempt.
    pub fence: Fence,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
    /// The outcome that its host observed.
    pub outcome: KeptOutcome,
    /// The verdict on its effect.
    pub verdict: BoundedVerdict,
    /// The names under which later calls may speak of it. They are written before the record.
    pub handles: Vec<String>,
    /// The operations that it undid, where only the outcome names them.
    pub undid: Vec<OperationGeneration>,
    /// The claim that the attempt rests on, from which a lost record is written again.
    pub claim: Arc<Claim>,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeReport {
    /// The operation took effect.
    Found {
        /// The outcome that the tool would have returned.
        outcome: KeptOutcome,
        /// The names under which later calls may speak of it.
        handles: Vec<String>,
        /// The operations that it undid.
        undid: Vec<OperationGeneration>,
    },
    /// Nothing is to be seen of it.
    NotFound {
        /// After how long, counted from the last attempt, the operator's switch lets it be sent again; none: never.
        rerun_after_ms: Option<u64>,
    },
    /// The probe came too early, or failed.
    Again {
        /// Why.
        reason: String,
    },
    /// Something else stands there.
    Conflicting {
        /// What.
        reason: String,
    },
}

/// The requester of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeRequester {
    /// A caller of the operation.
    Caller,
    /// A person, or the sweep.
    Operator,
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It took effect.
    Landed {
        /// The outcome that the tool would have returned, if known.
        outcome: Option<KeptOutcome>,
        /// The names under which later calls may speak of it.
        handles: Vec<String>,
    },
    /// It took none, and is not to be sent.
    Refused,
    /// It took none, and may be sent again.
    Released {
        /// True to send under another downstream key. A target that keeps its answer to the present key, such as an
        /// error, would only repeat it.
        new_key: bool,
    },
    /// It took effect and was undone since.
    Undone,
}

/// A command to a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Run the operation, or get the recorded state.
    Claim(Arc<Claim>),
    /// To keep the lease.
    Renew {
        /// The attempt.
        fence: Fence,
    },
    /// That the attempt continues elsewhere.
    Suspend {
        /// The attempt.
        fence: Fence,
        /// The name under which it does.
        continuation: String,
        /// The time limit.
        limit_seconds: u32,
    },
    /// To go on with what continued elsewhere.
    Continue {
        /// The name under which it did.
        continuation: String,
        /// The attempt's new nonce.
        nonce: Nonce,
    },
    /// Settle an attempt with its outcome.
    Settle(Box<Settlement>),
    /// That a person must decide about the attempt, because its policy cannot.
    Hold {
        /// The attempt, where one's outcome was being judged.
        fence: Fence,
        /// The outcome that its host observed, if any.
        outcome: Option<KeptOutcome>,
        /// Why.
        reason: String,
    },
    /// That the lease is over.
    Expire,
    /// To send the same again.
    Resolve {
        /// The nonce of the attempt that it asks for.
        nonce: Nonce,
        /// The last attempt that the policy was shown.
        shown: u32,
        /// The call that is to be sent.
        call_digest: CallDigest,
        /// The most attempts of one series in doubt, after the first.
        retries_max: u32,
        /// The host's facts about the call.
        facts: Vec<Field>,
    },
    /// A probe whether the operation took effect.
    Look {
        /// The probe's nonce.
        nonce: Nonce,
        /// The last attempt that the policy was shown.
        shown: u32,
        /// The requester.
        asker: ProbeRequester,
        /// The most probes of a series.
        looks_max: u32,
    },
    /// Settle a probe with its result.
    Saw {
        /// The probe's nonce.
        nonce: Nonce,
        /// The result.
        sight: ProbeReport,
    },
    /// Apply a person's decision.
    Decide {
        /// The last attempt that the person was shown.
        shown: u32,
        /// The person and the reason.
        person: Person,
        /// What.
        decision: Decision,
    },
    /// That a caller took the outcome.
    Deliver {
        /// The generation.
        generation: u32,
        /// The attempt that landed.
        attempt: u32,
    },
    /// That an operation is about to undo this one.
    MarkUndoing {
        /// Which generation of which operation.
        by: OperationGeneration,
        /// The landing to undo.
        of: HandleOwner,
        /// An earlier mark that counts for nothing, as the marker found there.
        void_mark: Option<OperationGeneration>,
    },
    /// That an operation that landed undid this one.
    Undo {
        /// Which generation of which operation.
        by: OperationGeneration,
        /// The generation.
        generation: u32,
        /// True if only its outcome named the operation, so that there is no mark.
        told_by_outcome: bool,
    },
    /// That the undone operation's record says so.
    UndoWritten {
        /// Which generation of which operation.
        of: OperationGeneration,
    },
    /// To forget the outcome, but not that it landed.
    Age,
    /// To forget all that was said of what is settled, but not where it stands.
    Erase,
    /// Write the record again as it is, for example under another sealing key.
    Rewrite,
}

impl Command {
    /// The command's word in messages.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::Renew { .. } => "renew",
            Self::Suspend { .. } => "suspend",
            Self::Continue { .. } => "continue",
            Self::Settle(_) => "settle",
            Self::Hold { .. } => "hold",
            Self::Expire => "expire",
            Self::Resolve { .. } => "resolve",
            Self::Look { .. } => "look",
            Self::Saw { .. } => "saw",
            Self::Decide { .. } => "decide",
            Self::Deliver { .. } => "deliver",
            Self::MarkUndoing { .. } => "mark as being undone",
            Self::Undo { .. } => "undo",
            Self::UndoWritten { .. } => "undo written",
            Self::Age => "age",
            Self::Erase => "erase",
            Self::Rewrite => "rewrite",
        }
    }
}

/// A right to send, as the ledger grants it. The runtime turns it into a value that is used up by use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The attempt.
    pub fence: Fence,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
    /// For how many milliseconds it holds, counted from before the ledger was read.
    pub valid_ms: u64,
    /// The operations to mark as being undone before anything is sent.
    pub marks: Vec<UndoTarget>,
    /// True if it repeats a sending with an unknown effect.
    pub repeats: bool,
}

/// The reply to a claim that gained no right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClaimReply {
    /// An attempt or a probe is in progress.
    Running {
        /// The continuation under which it continues elsewhere, if it does.
        continuation: Option<String>,
        /// The end of its lease if that is not renewed, in milliseconds from now.
        lease_ms: u64,
    },
    /// The effect is unknown, and the caller may try to find out.
    InDoubt,
    /// A person must decide.
    Held,
    /// There was no effect.
    Released {
        /// For how many more milliseconds a repeat would come too early.
        wait_ms: u64,
    },
    /// It landed.
    Landed,
    /// It was turned away, and that is replayed for so many more milliseconds.
    Refused {
        /// None: until a person says otherwise.
        replay_ms: Option<u64>,
    },
    /// It was undone.
    Undone,
    /// The same operation stands there with other content.
    Conflict,
    /// It landed then, and its outcome is no longer kept.
    Expired {
        /// When.
        landed: Stamp,
    },
    /// It landed, and that operation is about to undo it: its record comes first.
    BeingUndone {
        /// Its record and generation.
        by: OperationGeneration,
    },
    /// The record lies under another key.
    Alias {
        /// That key.
        to: StoreKey,
    },
}

/// The reply of a record to a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The right to send.
    Granted(Grant),
    /// The right to probe, for so many milliseconds.
    MayLook {
        /// For how many milliseconds, counted from before the ledger was read.
        valid_ms: u64,
    },
    /// The recorded state (after the command, where it was carried out).
    Told(ClaimReply),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A rule forbids it.
    #[error("`{command}` is not allowed on an operation that is {}: {rule}", state.word())]
    Rule {
        /// The command.
        command: &'static str,
        /// The record's state.
        state: StateLabel,
        /// The rule.
        rule: Rule,
    },
    /// The table has no such row.
    #[error("`{command}` has no meaning on an operation that is {}", state.word())]
    NoRow {
        /// The command.
        command: &'static str,
        /// The record's state.
        state: StateLabel,
    },
    /// There is no record.
    #[error("`{command}` needs a record, and there is none")]
    NoRecord {
        /// The command.
        command: &'static str,
    },
}
