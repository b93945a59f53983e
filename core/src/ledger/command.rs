//! What may be asked of a record, and what it answers.
//!
//! Debug output of commands tells reasons, handles and continuations, which may quote a tool: the model checker and the
//! tests of the table tell their stories by it. Nothing logs one.

use super::{
    StateLabel,
    record::{Fence, KeptOutcome, OperationGeneration, OperationTerms, Person, UndoTarget},
    rule::Rule,
    shared::SharedValue,
    verdict::BoundedVerdict,
};
use crate::model::{CallDigest, Field, Nonce, Stamp, StoreKey, Tenant};
use std::sync::Arc;

/// How long an entry is kept: counted from this write, by the store's clock. Past it every store answers as if the
/// entry were absent. Each write states it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retention {
    /// Until somebody removes it.
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
    /// On whose behalf.
    pub tenant: Tenant,
    /// The operator's name space.
    pub name_space: String,
    /// The operation.
    pub terms: SharedValue<OperationTerms>,
    /// What the host knows of the call.
    pub facts: Vec<Field>,
    /// The first generation that this call read before it was delivered, if any: its outcome is what the caller gets,
    /// and no later one is its own.
    pub read_undelivered: Option<u32>,
    /// An undoing operation whose mark counts for nothing, as the claimant found there.
    pub void_mark: Option<StoreKey>,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// The attempt.
    pub fence: Fence,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
    /// What its host saw.
    pub outcome: KeptOutcome,
    /// What that says of the effect.
    pub verdict: BoundedVerdict,
    /// The names under which later calls may speak of it. They are written before the record.
    pub handles: Vec<String>,
    /// What it undid, where only the outcome tells.
    pub undid: Vec<OperationGeneration>,
    /// The claim that the attempt rests on, to write the record anew should it be gone.
    pub claim: Arc<Claim>,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProbeReport {
    /// The operation took effect.
    Found {
        /// What the tool would have returned.
        outcome: KeptOutcome,
        /// The names under which later calls may speak of it.
        handles: Vec<String>,
        /// What it undid.
        undid: Vec<OperationGeneration>,
    },
    /// Nothing is to be seen of it.
    NotFound {
        /// After how long, counted from the last attempt, the operator's switch lets it be sent again; none: never.
        rerun_after_ms: Option<u64>,
    },
    /// It is too early to tell, or the look itself failed.
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

/// Who asks for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeRequester {
    /// A caller of the operation.
    Caller,
    /// A person, or the sweep.
    Operator,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It took effect.
    Landed {
        /// What the tool would have returned, where that is known.
        outcome: Option<KeptOutcome>,
        /// The names under which later calls may speak of it.
        handles: Vec<String>,
    },
    /// It took none, and is not to be sent.
    Refused,
    /// It took none, and may be sent again.
    Released,
    /// It took effect and was undone since.
    Undone,
}

/// What may be asked of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// To run the operation, or be told what stands.
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
        /// How long that may take.
        limit_seconds: u32,
    },
    /// To go on with what continued elsewhere.
    Continue {
        /// The name under which it did.
        continuation: String,
        /// The attempt's new nonce.
        nonce: Nonce,
    },
    /// What the attempt came to.
    Settle(Box<Settlement>),
    /// That a person must decide about the attempt, because its policy cannot.
    Hold {
        /// The attempt, where one's outcome was being judged.
        fence: Fence,
        /// What its host saw, where it did.
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
        /// In how many milliseconds.
        delay_ms: u64,
        /// How many attempts of one series may be made in doubt, after the first.
        retries_max: u32,
        /// What the host knows of the call.
        facts: Vec<Field>,
    },
    /// To look whether the operation took effect.
    Look {
        /// The look's nonce.
        nonce: Nonce,
        /// The last attempt that the policy was shown.
        shown: u32,
        /// Who asks.
        asker: ProbeRequester,
        /// How many looks a series may have.
        looks_max: u32,
    },
    /// What a look came to.
    Saw {
        /// The look's nonce.
        nonce: Nonce,
        /// What was seen.
        sight: ProbeReport,
    },
    /// What a person decides.
    Decide {
        /// The last attempt that the person was shown.
        shown: u32,
        /// Who decides, and why.
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
        /// Which operation.
        by: StoreKey,
        /// The generation.
        generation: u32,
        /// An earlier mark that counts for nothing, as the marker found there.
        void_mark: Option<StoreKey>,
    },
    /// That an operation that landed undid this one.
    Undo {
        /// Which operation.
        by: StoreKey,
        /// The generation.
        generation: u32,
        /// Whether only its outcome told, so that there is no mark.
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
    /// To be written anew as it stands: under another sealing key, say.
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
    /// What must be marked as being undone before anything is sent.
    pub marks: Vec<UndoTarget>,
    /// Whether it repeats a sending whose effect is unknown.
    pub repeats: bool,
}

/// What a caller is told who gained no right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClaimReply {
    /// An attempt, or a look, is under way.
    Running {
        /// What it continues as elsewhere, where it does.
        continuation: Option<String>,
        /// When its lease ends, in milliseconds from now, if nobody renews it.
        lease_ms: u64,
    },
    /// The effect is unknown, and the caller may try to find out.
    InDoubt,
    /// A person must decide.
    Held,
    /// There was no effect.
    Released,
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
    /// It landed, and that operation is about to undo it: look there first.
    BeingUndone {
        /// Where its record lies.
        by: StoreKey,
    },
    /// Another key is the one to look under.
    Alias {
        /// That key.
        to: StoreKey,
    },
}

/// What a record answers to a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The right to send.
    Granted(Grant),
    /// The right to look, for so many milliseconds.
    MayLook {
        /// For how many milliseconds, counted from before the ledger was read.
        valid_ms: u64,
    },
    /// What stands (after the command, where it was carried out).
    Told(ClaimReply),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A rule forbids it.
    #[error("`{command}` is not allowed on what is {}: {rule}", state.word())]
    Rule {
        /// The command.
        command: &'static str,
        /// Where the record stands.
        state: StateLabel,
        /// The rule.
        rule: Rule,
    },
    /// The table has no such row.
    #[error("`{command}` has no meaning on what is {}", state.word())]
    NoRow {
        /// The command.
        command: &'static str,
        /// Where the record stands.
        state: StateLabel,
    },
    /// There is no record.
    #[error("`{command}` needs a record, and there is none")]
    NoRecord {
        /// The command.
        command: &'static str,
    },
}
