//! What a ledger keeps under a key.

use super::{handle::HandleOwner, shared::SharedValue};
use crate::model::{
    Call, CallDigest, Field, Fingerprint, Nonce, OperationLifetime, Outcome, PolicyDigest, Stamp,
    StoreKey, Target, Tenant,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// When something in a record happened. The store writes the times, so what the present write brings about has its
/// time from the store when it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordTime {
    /// With the write that made this version of the record.
    ThisWrite,
    /// At an earlier write.
    Earlier(Stamp),
}

impl RecordTime {
    /// The moment, for a version that was written at `written`.
    #[must_use]
    pub fn at(self, written: Stamp) -> Stamp {
        match self {
            Self::ThisWrite => written,
            Self::Earlier(stamp) => stamp,
        }
    }
}

/// The identity of an attempt: no other writer knows the nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The attempt's number, from 1; numbers never restart.
    pub number: u32,
    /// The attempt's nonce.
    pub nonce: Nonce,
}

/// An outcome as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptOutcome {
    /// All of it.
    Whole(Outcome),
    /// It was larger than the limit, so only its digest is.
    Digest {
        /// SHA-256 of its JSON text.
        digest: Fingerprint,
        /// The size of that text.
        bytes: u64,
    },
}

impl KeptOutcome {
    /// The outcome, where it is kept.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Whole(outcome) => Some(outcome),
            Self::Digest { .. } => None,
        }
    }
}

/// The ledger's knowledge of an attempt's effect: a later variant outweighs an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownEffect {
    /// Nothing: it runs, or was never heard of again.
    Open,
    /// It may have taken effect.
    Unknown,
    /// It took none.
    NoEffect,
    /// It took effect.
    Landed,
}

impl KnownEffect {
    /// Returns true if it may still turn out to have taken effect.
    #[must_use]
    pub(crate) fn is_unresolved(self) -> bool {
        matches!(self, Self::Open | Self::Unknown)
    }
}

/// One sending of an operation.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number and nonce.
    pub fence: Fence,
    /// The generation it belongs to.
    pub generation: u32,
    /// The series it belongs to.
    pub series: u32,
    /// When it was granted.
    pub started: RecordTime,
    /// The known effect.
    pub known: KnownEffect,
    /// The outcome, once its host observed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<KeptOutcome>,
    /// Why the policy judged it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Further facts of its host when it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Field>,
    /// True if it continued elsewhere: it was sent, so it may have taken effect whatever a later
    /// round returns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// The operation as its claim stated it. It stays as it is for as long as the claim's content does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperationTerms {
    /// The operation's name.
    pub operation: String,
    /// Its identity, where the operator asks for it to be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<Field>,
    /// The fingerprint that every attempt must agree on.
    pub content: Fingerprint,
    /// The call as it was made.
    pub call_digest: CallDigest,
    /// The call itself, where recovery may have to send or ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<SharedValue<Call>>,
    /// The time for which an equal call means the same operation.
    pub until: OperationLifetime,
    /// The time for which it is remembered once settled, in seconds.
    pub window_seconds: u32,
    /// The time limit of one attempt, in seconds.
    pub attempt_seconds: u32,
    /// The lease without renewal, in seconds.
    pub lease_seconds: u32,
    /// The time for which a refusal is replayed to equal content where the verdict names none, in
    /// seconds.
    pub refusal_seconds: u32,
    /// The target's treatment of repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Which policy said so.
    pub policy: PolicyName,
    /// True if it undoes what handles name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoing: bool,
    /// True if its host only watched: nothing rests on the record, so it does not outlast its
    /// window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Which policy a record rests on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyName {
    /// The policy's own name.
    pub name: String,
    /// The digest of its component and settings.
    pub digest: PolicyDigest,
    /// Its key epoch.
    pub key_epoch: u32,
}

/// One generation of an operation: what an undo closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperationGeneration {
    /// The key of its record.
    pub key: StoreKey,
    /// The generation.
    pub generation: u32,
}

/// That this operation undoes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UndoTarget {
    /// The landing that it undoes.
    pub of: HandleOwner,
    /// True if that operation's record already says so. Until then this one does not age.
    pub settled: bool,
}

/// The source of a state that frees a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseSource {
    /// The owner of the attempt: it knows that there was no effect.
    Owner,
    /// A person.
    Person(Person),
    /// The operator's switch: a probe found nothing, and its delay is past.
    TimedRerun,
}

/// A person who decided.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The person's name.
    pub who: String,
    /// Why.
    pub why: String,
}

/// The source of the knowledge that an operation landed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandingSource {
    /// By the answer to the attempt.
    Answer,
    /// By a probe.
    Probe,
    /// By a person's word.
    Person(Person),
}

/// The state in which a probe began, to which it leads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeOrigin {
    /// The operation was in doubt.
    InDoubt,
    /// It was held.
    Held,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The state of an operation. A record that does not exist has none.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// An attempt is in progress.
    Started,
    /// It was accepted and continues elsewhere, under a limit of its own.
    Waiting {
        /// The name under which it continues.
        continuation: String,
        /// The time limit, in seconds.
        limit_seconds: u32,
    },
    /// The effect is unknown.
    InDoubt {
        /// Why.
        reason: String,
    },
    /// A repeat of the same sending is in progress.
    Retrying,
    /// A probe is in progress.
    Probing {
        /// The probe's nonce.
        look: Nonce,
        /// The state in which it began.
        from: ProbeOrigin,
        /// Why the operation was in doubt or held, to go back to.
        reason: String,
    },
    /// A person must decide.
    Held {
        /// Why.
        reason: String,
        /// True if there may be two effects, so that only a person settles it.
        two_effects: bool,
    },
    /// There was no effect: it may be claimed again.
    Released {
        /// The source.
        by: ReleaseSource,
        /// True if a person wants another downstream key for the next attempt.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        new_key: bool,
        /// For how long an equal call is answered by the earlier outcome, because a repeat would come too early, in
        /// milliseconds.
        #[serde(default, skip_serializing_if = "is_zero")]
        wait_ms: u64,
    },
    /// It was turned away.
    Refused {
        /// The source.
        by: ReleaseSource,
        /// For how long that is replayed to equal content, in milliseconds.
        replay_ms: u64,
    },
    /// It took effect.
    Landed {
        /// The source of that knowledge.
        via: LandingSource,
        /// True if the outcome was certainly delivered to a caller.
        delivered: bool,
        /// The operation that is about to undo it.
        undone_by: Option<OperationGeneration>,
    },
    /// Its effect was undone.
    Undone {
        /// By which operation; none: by a person's word.
        by: Option<OperationGeneration>,
        /// True if a caller certainly took its outcome, or the answer that it was undone.
        delivered: bool,
    },
    /// It landed, and its outcome is no longer kept.
    Tombstone {
        /// When it landed.
        landed: Stamp,
        /// True if the outcome was certainly delivered to a caller.
        delivered: bool,
    },
    /// The record lies under another key.
    Alias {
        /// That key.
        to: StoreKey,
    },
}

/// Knowledge of an attempt that may no longer write.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// The attempt.
    pub attempt: u32,
    /// Its generation.
    pub generation: u32,
    /// Its series.
    pub series: u32,
    /// The fingerprint of the content that it sent.
    pub content: Fingerprint,
    /// The known effect.
    pub known: KnownEffect,
    /// Its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<KeptOutcome>,
    /// Why it settles nothing.
    pub reason: String,
    /// True if a person has decided since, aware of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weighed: bool,
}

/// The record of an operation.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The tenant.
    pub tenant: Tenant,
    /// The operator's name space.
    pub name_space: String,
    /// The operation as claimed.
    pub terms: SharedValue<OperationTerms>,
    /// Counts up when the operation was undone, or its outcome taken where it lasts until delivery.
    pub generation: u32,
    /// Counts up when an attempt was proven without effect and other content is sent.
    pub series: u32,
    /// The state.
    pub state: State,
    /// Since when.
    pub since: RecordTime,
    /// The time from which the lease or limit of the present state counts.
    pub leased: RecordTime,
    /// When the first attempt under the present downstream key was granted.
    pub first_started: RecordTime,
    /// Its attempts, oldest first: those that still matter.
    pub attempts: Vec<AttemptRecord>,
    /// The knowledge of late writers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The probes in this series.
    #[serde(default)]
    pub looks: u32,
    /// The attempt with the recorded outcome, where one landed or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<u32>,
    /// The recorded outcome where no attempt observed it (found by a probe, reported by a person).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<KeptOutcome>,
    /// The names under which later calls may speak of what landed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<String>,
    /// The landings that the present attempt undoes, as its claim took them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<UndoTarget>,
    /// True if an earlier attempt of this generation may have left a mark at a landing that no later attempt took. The
    /// record stays for as long as a reader may follow such a mark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_marks: bool,
    /// The operations that this one undid by its outcome, not yet written to their records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undid: Vec<OperationGeneration>,
    /// True if the record was written again because a settlement found none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewritten: bool,
}

// Debug output of a record holds its state. The words of calls, tools and people are not for logs.

impl fmt::Debug for AttemptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("AttemptRecord");
        told.field("fence", &self.fence)
            .field("generation", &self.generation)
            .field("series", &self.series);
        told.field("started", &self.started)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released { by, .. } | Self::Refused { by, .. } => {
                write!(f, "{}({by:?})", self.label().word())
            }
            Self::Landed {
                via,
                delivered,
                undone_by,
            } => {
                let mut told = f.debug_struct("landed");
                told.field("via", via)
                    .field("delivered", delivered)
                    .field("undone_by", undone_by)
                    .finish()
            }
            other => f.write_str(other.label().word()),
        }
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Evidence");
        told.field("attempt", &self.attempt)
            .field("generation", &self.generation)
            .field("series", &self.series);
        told.field("known", &self.known)
            .field("weighed", &self.weighed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Record");
        told.field("tenant", &self.tenant)
            .field("operation", &self.terms.operation)
            .field("state", &self.state);
        told.field("generation", &self.generation)
            .field("series", &self.series)
            .field("since", &self.since);
        told.field("attempts", &self.attempts)
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// The present attempt: the last one.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&AttemptRecord> {
        self.attempts.last()
    }

    /// The evidence that an attempt of the present generation landed otherwise than as recorded.
    pub fn landed_evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.iter().filter(|evidence| {
            evidence.generation == self.generation && evidence.known == KnownEffect::Landed
        })
    }

    /// Returns the number of the attempt that a landing rests on: the one with the recorded
    /// outcome, or the last where a probe or a person reported it.
    #[must_use]
    pub fn landed_attempt(&self) -> u32 {
        self.standing
            .or_else(|| self.last_attempt().map(|attempt| attempt.fence.number))
            .unwrap_or(0)
    }

    /// The outcome that stands, where one does.
    #[must_use]
    pub fn standing_outcome(&self) -> Option<&KeptOutcome> {
        self.found.as_ref().or_else(|| {
            let standing = self.standing?;
            self.attempts
                .iter()
                .find(|attempt| attempt.fence.number == standing)?
                .outcome
                .as_ref()
        })
    }
}

impl Record {
    /// Returns true if it landed and undid an operation with a record that does not yet say so.
    #[must_use]
    pub fn has_open_undoes(&self) -> bool {
        let landed = matches!(
            self.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
        );
        landed && (!self.undid.is_empty() || self.undoes.iter().any(|undoing| !undoing.settled))
    }

    /// Returns the time that the present state may last without a renewal, in seconds, or `None`
    /// without an end.
    #[must_use]
    pub fn lease_seconds(&self) -> Option<u32> {
        match &self.state {
            State::Started | State::Retrying | State::Probing { .. } => {
                Some(self.terms.lease_seconds)
            }
            State::Waiting { limit_seconds, .. } => Some(*limit_seconds),
            _ => None,
        }
    }
}
