//! What happened to an operation, and what may be done next: the table of the ledger as one pure function.
//!
//! One file per group of rows: claiming, keeping a claim, settling, finding out, deciding, undoing, ageing. Each
//! transition is one conditional write on one record; what needs several records is written in an order in which every
//! prefix is safe, by the runtime.

mod age;
mod claim;
mod decide;
mod land;
mod lease;
mod recover;
mod retention;
mod settle;
mod undo;

pub use claim::first_claim;

use super::{
    command::{ClaimReply, Command, Refusal, Reply, Retention},
    record::{AttemptRecord, Fence, Record, RecordTime, State},
    rule::{Rule, Rules},
};
use crate::model::Stamp;

/// A record as it lies in a store.
#[derive(Debug, Clone, Copy)]
pub struct PresentRecord<'a> {
    /// The record.
    pub record: &'a Record,
    /// When this version of it was written.
    pub written: Stamp,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The record to write if nothing has changed since it was read, or `None` to write nothing.
    pub write: Option<(Box<Record>, Retention)>,
    /// The reply, which holds once the write is acknowledged.
    pub reply: Reply,
}

/// Returns the result of `command` on the record `present`, or on none, at `stamp`.
///
/// # Errors
///
/// If the table has no such row, or one of its rules forbids it.
///
/// # Examples
/// The first claim of an operation gains the right to send. A second caller finds the record and gains none.
/// ```
/// use std::sync::Arc;
///
/// use semel_core::ledger::{
///     Claim, ClaimReply, Command, OperationTerms, PolicyName, PresentRecord, Reply, apply,
/// };
/// use semel_core::model::{
///     Boot, CallDigest, Fingerprint, Incarnation, Nonce, OperationLifetime, PolicyDigest, Stamp,
///     Tenant,
/// };
///
/// let claim = |nonce| {
///     Command::Claim(Arc::new(Claim {
///         nonce: Nonce::from_bytes([nonce; 16]),
///         tenant: Tenant::default(),
///         name_space: "shop".to_owned(),
///         terms: OperationTerms {
///             operation: "refund".to_owned(),
///             identity: Vec::new(),
///             content: Fingerprint::from_bytes([7; 32]),
///             call_digest: CallDigest::from_bytes([7; 32]),
///             call: None,
///             until: OperationLifetime::Window,
///             window_seconds: 86_400,
///             attempt_seconds: 60,
///             lease_seconds: 15,
///             refusal_seconds: 600,
///             target: None,
///             policy: PolicyName {
///                 name: "intent".to_owned(),
///                 digest: PolicyDigest::from_bytes([1; 32]),
///                 key_epoch: 1,
///             },
///             undoing: false,
///             shadow: false,
///         }
///         .into(),
///         facts: Vec::new(),
///         read_undelivered: None,
///         void_mark: None,
///         named: Vec::new(),
///     }))
/// };
/// let now = Stamp {
///     wall_ms: 1_000,
///     steady_ms: 1_000,
///     boot: Boot(1),
///     incarnation: Incarnation(1),
/// };
///
/// let first = apply(None, &claim(1), now)?;
/// assert!(matches!(first.reply, Reply::Granted(_)));
///
/// // The store has written the record: a second caller finds it.
/// let (record, _) = first.write.expect("a first claim writes");
/// let present = PresentRecord {
///     record: &record,
///     written: now,
/// };
/// let second = apply(Some(present), &claim(2), now)?;
/// assert!(matches!(
///     second.reply,
///     Reply::Told(ClaimReply::Running { .. })
/// ));
/// assert!(second.write.is_none());
/// # Ok::<(), semel_core::ledger::Refusal>(())
/// ```
pub fn apply(
    present: Option<PresentRecord<'_>>,
    command: &Command,
    stamp: Stamp,
) -> Result<Transition, Refusal> {
    apply_under(Rules::ALL, present, command, stamp)
}

/// The same as [`apply`] under `rules`: the model checker's entry, which runs a twin without each rule.
///
/// # Errors
/// As [`apply`].
pub fn apply_under(
    rules: Rules,
    present: Option<PresentRecord<'_>>,
    command: &Command,
    stamp: Stamp,
) -> Result<Transition, Refusal> {
    let Some(present) = present else {
        return match command {
            Command::Claim(claim) => Ok(claim::first_claim_under(claim, rules)),
            Command::Settle(settlement) => Ok(settle::rewrite_lost(settlement, rules)),
            _ => Err(Refusal::NoRecord {
                command: command.word(),
            }),
        };
    };
    let mut draft = RecordDraft::of(present, command.word(), stamp, rules);
    // Before the command, so that no command finds a lease in force that is over.
    draft.expire_if_over();
    apply_to_draft(draft, command)
}

fn apply_to_draft(draft: RecordDraft, command: &Command) -> Result<Transition, Refusal> {
    match command {
        Command::Claim(claim) => draft.claim(claim),
        Command::Renew { fence } => draft.renew(*fence),
        Command::Suspend {
            fence,
            continuation,
            limit_seconds,
        } => draft.suspend(*fence, continuation, *limit_seconds),
        Command::Continue {
            continuation,
            nonce,
        } => draft.continue_as(continuation, *nonce),
        Command::Settle(settlement) => draft.settle(settlement),
        Command::Hold {
            fence,
            outcome,
            reason,
        } => draft.hold(*fence, outcome.as_ref(), reason),
        Command::Expire => draft.expire(),
        Command::Resolve {
            nonce,
            shown,
            call_digest,
            retries_max,
            facts,
        } => {
            let retry = recover::RetryRequest {
                nonce: *nonce,
                shown: *shown,
                call_digest,
                retries_max: *retries_max,
                facts,
            };
            draft.resolve(&retry)
        }
        Command::Look {
            nonce,
            shown,
            asker,
            looks_max,
        } => draft.begin_probe(*nonce, *shown, *asker, *looks_max),
        Command::Saw { nonce, sight } => draft.end_probe(*nonce, sight),
        Command::Decide {
            shown,
            person,
            decision,
        } => draft.decide(*shown, person, decision),
        Command::Deliver {
            generation,
            attempt,
        } => draft.deliver(*generation, *attempt),
        Command::MarkUndoing { by, of, void_mark } => draft.mark_undoing(*by, of, *void_mark),
        Command::Undo {
            by,
            generation,
            told_by_outcome,
        } => draft.undo(*by, *generation, *told_by_outcome),
        Command::UndoWritten { of } => draft.undo_written(*of),
        Command::Age => draft.age(),
        Command::Erase => draft.erase(),
        Command::Rewrite => draft.rewrite(),
    }
}

/// A record on its way to its next version.
#[derive(Debug)]
struct RecordDraft {
    record: Record,
    command: &'static str,
    stamp: Stamp,
    /// When the version was written that this one replaces.
    written: Stamp,
    rules: Rules,
    /// True if the lease was found expired, so that there is something to write even for a command
    /// that gains nothing.
    expired: bool,
}

impl RecordDraft {
    fn of(present: PresentRecord<'_>, command: &'static str, stamp: Stamp, rules: Rules) -> Self {
        let mut record = present.record.clone();
        // INVARIANT: in a draft, `ThisWrite` means the write in preparation. A time that the present
        // version left open becomes the time at which the store wrote that version.
        let settled = |when: RecordTime| RecordTime::Earlier(when.at(present.written));
        record.since = settled(record.since);
        record.leased = settled(record.leased);
        record.first_started = settled(record.first_started);
        for attempt in &mut record.attempts {
            attempt.started = settled(attempt.started);
        }
        Self {
            record,
            command,
            stamp,
            written: present.written,
            rules,
            expired: false,
        }
    }

    /// Goes on if `condition` holds, or else refuses by `rule`.
    fn require(&self, rule: Rule, condition: bool) -> Result<(), Refusal> {
        if self.rules.permits(rule, condition) {
            Ok(())
        } else {
            Err(self.refuse(rule))
        }
    }

    fn refuse(&self, rule: Rule) -> Refusal {
        Refusal::Rule {
            command: self.command,
            state: self.record.state.label(),
            rule,
        }
    }

    fn no_row<T>(&self) -> Result<T, Refusal> {
        Err(Refusal::NoRow {
            command: self.command,
            state: self.record.state.label(),
        })
    }

    /// Requires that no clock went back: neither since the record was written, nor since the present key was first sent.
    fn require_clock(&self) -> Result<(), Refusal> {
        let first = self.record_time(self.record.first_started);
        // A clock set back makes every elapsed time too short, and a target's memory seem longer.
        let behind = self.stamp.runs_behind(&self.written) || self.stamp.runs_behind(&first);
        self.require(Rule::ClockNeverGrants, !behind)
    }

    fn enter_state(&mut self, state: State) {
        self.record.state = state;
        self.record.since = RecordTime::ThisWrite;
    }

    /// The time since which something holds, as an earlier write left it.
    fn record_time(&self, when: RecordTime) -> Stamp {
        when.at(self.written)
    }

    fn last_attempt(&self) -> Option<&AttemptRecord> {
        self.record.last_attempt()
    }

    fn last_number(&self) -> u32 {
        self.last_attempt()
            .map_or(0, |attempt| attempt.fence.number)
    }

    /// The attempt of this fence, where the record knows it.
    fn attempt_mut(&mut self, fence: Fence) -> Option<&mut AttemptRecord> {
        self.record
            .attempts
            .iter_mut()
            .find(|attempt| attempt.fence == fence)
    }

    /// Returns true if `fence` is the present attempt's.
    fn is_owner(&self, fence: Fence) -> bool {
        self.last_attempt()
            .is_some_and(|attempt| attempt.fence == fence)
    }

    /// Writes the next version with this reply.
    fn write(mut self, reply: Reply) -> Transition {
        retention::trim_history(&mut self.record);
        let elapsed = retention::elapsed_seconds(&self.record, self.stamp);
        let keep = retention::settled_retention(&self.record, elapsed, self.rules);
        Transition {
            write: Some((Box::new(self.record), keep)),
            reply,
        }
    }

    /// Writes the next version and replies with its state.
    fn write_current(self) -> Transition {
        let told = self.recorded_reply();
        self.write(Reply::Told(told))
    }

    /// Replies with the recorded state and writes nothing, unless the lease was found expired.
    fn reply_recorded(self, told: ClaimReply) -> Transition {
        if self.expired {
            self.write(Reply::Told(told))
        } else {
            Transition {
                write: None,
                reply: Reply::Told(told),
            }
        }
    }

    /// Returns the recorded state as callers with the same content see it.
    fn recorded_reply(&self) -> ClaimReply {
        match &self.record.state {
            State::Started | State::Retrying | State::Probing { .. } => ClaimReply::Running {
                continuation: None,
                lease_ms: self.lease_left_ms(),
            },
            State::Waiting { continuation, .. } => ClaimReply::Running {
                continuation: Some(continuation.clone()),
                lease_ms: self.lease_left_ms(),
            },
            State::InDoubt { .. } => ClaimReply::InDoubt,
            State::Held { .. } => ClaimReply::Held,
            State::Released { .. } => ClaimReply::Released {
                wait_ms: self.release_wait_left_ms(),
            },
            State::Refused { .. } => ClaimReply::Refused {
                replay_ms: self.refusal_left_ms(),
            },
            State::Landed {
                undone_by: Some(by),
                ..
            } => ClaimReply::BeingUndone { by: *by },
            State::Landed { .. } => ClaimReply::Landed,
            State::Undone { .. } => ClaimReply::Undone,
            State::Tombstone { landed, .. } => ClaimReply::Expired { landed: *landed },
            State::Alias { to } => ClaimReply::Alias { to: *to },
        }
    }
}
