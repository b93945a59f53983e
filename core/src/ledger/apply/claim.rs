//! Claiming: the right to send, and the reply to every other caller.

use super::{RecordDraft, Transition, lease::right_ms, retention};
use crate::ledger::{
    AttemptRecord, Claim, ClaimReply, Fence, Grant, KnownEffect, Record, RecordTime, Refusal,
    ReleaseSource, Reply, Rule, Rules, State, handle::targets_of,
};
use crate::model::{OperationLifetime, Stamp};

/// Returns the result of a claim where there is no record: it needs no time, so a client may create the record before it
/// has read the store's.
#[must_use]
pub fn first_claim(claim: &Claim) -> Transition {
    first_claim_under(claim, Rules::ALL)
}

pub(super) fn first_claim_under(claim: &Claim, rules: Rules) -> Transition {
    let fence = first_fence(claim);
    let record = new_record(claim, rules);
    let grant = grant(&record, fence);
    let keep = retention::unsettled_retention(&record);
    Transition {
        write: Some((Box::new(record), keep)),
        reply: Reply::Granted(grant),
    }
}

/// A record with its first attempt.
pub(super) fn new_record(claim: &Claim, rules: Rules) -> Record {
    Record {
        tenant: claim.tenant.clone(),
        name_space: claim.name_space.clone(),
        terms: claim.terms.clone(),
        generation: 1,
        series: 1,
        state: State::Started,
        since: RecordTime::ThisWrite,
        leased: RecordTime::ThisWrite,
        first_started: RecordTime::ThisWrite,
        attempts: vec![attempt(claim, first_fence(claim), 1, 1)],
        evidence: Vec::new(),
        looks: 0,
        standing: None,
        found: None,
        handles: Vec::new(),
        undoes: targets_of(&claim.named, rules),
        left_marks: false,
        undid: Vec::new(),
        rewritten: false,
    }
}

fn first_fence(claim: &Claim) -> Fence {
    Fence {
        number: 1,
        nonce: claim.nonce,
    }
}

fn attempt(claim: &Claim, fence: Fence, generation: u32, series: u32) -> AttemptRecord {
    AttemptRecord {
        fence,
        generation,
        series,
        started: RecordTime::ThisWrite,
        known: KnownEffect::Open,
        outcome: None,
        reason: None,
        facts: claim.facts.clone(),
        suspended: false,
    }
}

/// The right to send for the attempt of `fence`, the last one of `record`.
fn grant(record: &Record, fence: Fence) -> Grant {
    Grant {
        fence,
        generation: record.generation,
        series: record.series,
        valid_ms: right_ms(&record.terms),
        marks: record.undoes.clone(),
        repeats: false,
    }
}

/// The way on for a claim, given the record's state.
enum ClaimPath {
    SameKey,
    NewSeries,
    NewGeneration,
    Told(ClaimReply),
}

impl RecordDraft {
    pub(super) fn claim(self, claim: &Claim) -> Result<Transition, Refusal> {
        match self.claim_path(claim) {
            ClaimPath::Told(told) => Ok(self.reply_recorded(told)),
            onward => match self.bar_to_sending(claim) {
                Some(told) => Ok(self.reply_recorded(told)),
                None => Ok(self.start(claim, &onward)),
            },
        }
    }

    /// Returns the reply that takes the place of a sending for this claim, although the operation is
    /// free, or `None` if nothing bars the sending.
    fn bar_to_sending(&self, claim: &Claim) -> Option<ClaimReply> {
        if self
            .rules
            .forbids(Rule::EvidenceBarsSending, self.unweighed_evidence())
        {
            return Some(ClaimReply::Held);
        }
        let read = claim
            .read_undelivered
            .filter(|read| *read < self.record.generation)?;
        // The caller waited for the generation that it read. Another caller took that outcome and
        // opened the next one, which the waiting caller did not ask for.
        self.rules
            .holds(Rule::ReadBeforeDelivery)
            .then(|| ClaimReply::Expired {
                landed: self.last_start_of(read),
            })
    }

    fn unweighed_evidence(&self) -> bool {
        self.record
            .landed_evidence()
            .any(|evidence| !evidence.weighed)
    }

    /// Returns when the last attempt of a generation was granted: all that is left to report once
    /// its outcome is gone.
    fn last_start_of(&self, generation: u32) -> Stamp {
        let last = self
            .record
            .attempts
            .iter()
            .rev()
            .find(|attempt| attempt.generation == generation);
        last.map_or(self.written, |attempt| self.record_time(attempt.started))
    }

    fn claim_path(&self, claim: &Claim) -> ClaimPath {
        let same = claim.terms.content == self.record.terms.content;
        let agrees = self.rules.permits(Rule::ContentAgrees, same);
        match &self.record.state {
            State::Alias { to } => ClaimPath::Told(ClaimReply::Alias { to: *to }),
            State::Undone { by, delivered } => self.after_undo(by.is_some(), *delivered, claim),
            State::Released { by, new_key, .. } => self.after_release(by, *new_key, same),
            State::Refused { by, .. } => self.after_refusal(by, same, claim),
            State::Landed {
                undone_by: Some(by),
                ..
            } if claim.void_mark != Some(*by) => {
                // INVARIANT: no generation opens while an undo of this one may still be sent.
                ClaimPath::Told(ClaimReply::BeingUndone { by: *by })
            }
            // This arm ignores the content: after delivery, other content is a new operation and no
            // conflict.
            State::Landed { delivered, .. } | State::Tombstone { delivered, .. }
                if self.open_again(*delivered, claim) =>
            {
                ClaimPath::NewGeneration
            }
            State::Landed { delivered, .. } if self.has_more_to_undo(*delivered, claim) => {
                ClaimPath::NewGeneration
            }
            State::Landed { .. } if agrees => ClaimPath::Told(ClaimReply::Landed),
            _ if agrees => ClaimPath::Told(self.recorded_reply()),
            _ => ClaimPath::Told(ClaimReply::Conflict),
        }
    }

    /// Returns true if an outcome that lasts until delivery was delivered, to a caller that this
    /// one did not wait with.
    fn open_again(&self, delivered: bool, claim: &Claim) -> bool {
        self.record.terms.until == OperationLifetime::Delivery
            && self.rules.permits(Rule::DeliveredFirst, delivered)
            && self.has_ended(claim)
    }

    /// Returns true if this generation undid what it had to, its outcome was taken, and a handle
    /// names something that was done since.
    fn has_more_to_undo(&self, delivered: bool, claim: &Claim) -> bool {
        self.names_later_landing(claim)
            && self.rules.permits(Rule::UndoingIsReplayed, delivered)
            && self.has_ended(claim)
    }

    /// Returns true if nothing of this generation is left to write, to weigh, or to give to the
    /// caller, which did not wait for it.
    fn has_ended(&self, claim: &Claim) -> bool {
        let read_before = claim.read_undelivered == Some(self.record.generation);
        // A new generation would forget what this one still has to write.
        !self.record.has_open_undoes()
            && !self.rules.forbids(Rule::ReadBeforeDelivery, read_before)
            && !self
                .rules
                .forbids(Rule::EvidenceBarsSending, self.unweighed_evidence())
    }

    /// Returns true if a handle names a landing that was granted after the present state began. What
    /// was granted before may be what this generation undid already.
    fn names_later_landing(&self, claim: &Claim) -> bool {
        let ended = self.record_time(self.record.since);
        claim
            .named
            .iter()
            .flat_map(|owners| &owners.0)
            .any(|owner| {
                self.rules.permits(
                    Rule::HandlesOpenInOrder,
                    owner.granted.is_certainly_after(&ended),
                )
            })
    }

    /// What another operation undid may be done again, by a caller that has learned of the undo. A
    /// person who says that it was undone wants it to be done again.
    fn after_undo(&self, by_operation: bool, delivered: bool, claim: &Claim) -> ClaimPath {
        let read_before = claim.read_undelivered == Some(self.record.generation);
        let pending = !delivered || self.rules.forbids(Rule::ReadBeforeDelivery, read_before);
        // Evidence of another effect is for a person, whatever the answer says of this one.
        let pending = pending && !self.unweighed_evidence();
        let repeats = claim.terms.content == self.record.terms.content;
        if self.record.has_open_undoes()
            || (by_operation && repeats && self.rules.forbids(Rule::UndoneIsReplayed, pending))
        {
            return ClaimPath::Told(ClaimReply::Undone);
        }
        ClaimPath::NewGeneration
    }

    fn after_release(&self, by: &ReleaseSource, new_key: bool, same: bool) -> ClaimPath {
        if same && self.release_wait_left_ms() > 0 {
            return ClaimPath::Told(self.recorded_reply());
        }
        match by {
            // A person knows that the earlier request had no effect, and that its target would repeat its answer.
            _ if same && new_key => ClaimPath::NewSeries,
            // With the same key, a target that did get the earlier request still recognises this one.
            _ if same => ClaimPath::SameKey,
            // The owner proved that there was no effect, so other content is safe, under a key that
            // no target has seen with the earlier content.
            ReleaseSource::Owner => self.new_series(),
            ReleaseSource::Person(_) | ReleaseSource::TimedRerun
                if !self.rules.holds(Rule::PersonReleasesTheSame) =>
            {
                self.new_series()
            }
            // Neither proves anything: if the earlier request arrives after all, only the same content
            // under the same key lets the target recognise it.
            ReleaseSource::Person(_) | ReleaseSource::TimedRerun => {
                ClaimPath::Told(ClaimReply::Conflict)
            }
        }
    }

    /// Returns the time for which a repeat would still come too early, in milliseconds.
    pub(super) fn release_wait_left_ms(&self) -> u64 {
        match &self.record.state {
            State::Released { wait_ms, .. } => wait_ms.saturating_sub(self.time_in_state_ms()),
            _ => 0,
        }
    }

    /// Returns the time since the present state began, by the clock that allows less.
    fn time_in_state_ms(&self) -> u64 {
        let since = self.record_time(self.record.since);
        self.stamp.shortest_since(&since)
    }

    fn after_refusal(&self, by: &ReleaseSource, same: bool, claim: &Claim) -> ClaimPath {
        if matches!(by, ReleaseSource::Person(_)) && self.rules.holds(Rule::PersonRefusalStands) {
            return ClaimPath::Told(if same {
                self.recorded_reply()
            } else {
                ClaimReply::Conflict
            });
        }
        // There may be something to undo now that was not there to be undone.
        let over = self.refusal_left_ms() == Some(0) || self.names_later_landing(claim);
        if same && self.rules.forbids(Rule::RefusalIsReplayed, !over) {
            return ClaimPath::Told(self.recorded_reply());
        }
        self.new_series()
    }

    fn new_series(&self) -> ClaimPath {
        if self.rules.holds(Rule::NewSeriesAfterRefusal) {
            ClaimPath::NewSeries
        } else {
            ClaimPath::SameKey
        }
    }

    /// Returns the time for which a refusal is still replayed to equal content, in milliseconds, or
    /// `None` until a person decides.
    pub(super) fn refusal_left_ms(&self) -> Option<u64> {
        match &self.record.state {
            State::Refused {
                by: ReleaseSource::Person(_),
                ..
            } => None,
            State::Refused { replay_ms, .. } => {
                Some(replay_ms.saturating_sub(self.time_in_state_ms()))
            }
            _ => Some(0),
        }
    }

    fn start(mut self, claim: &Claim, onward: &ClaimPath) -> Transition {
        match onward {
            ClaimPath::NewGeneration => {
                self.record.generation = self.record.generation.saturating_add(1);
                self.record.series = 1;
                self.record.rewritten = false;
            }
            ClaimPath::NewSeries => self.record.series = self.record.series.saturating_add(1),
            ClaimPath::SameKey | ClaimPath::Told(_) => {}
        }
        if !matches!(onward, ClaimPath::SameKey) {
            // A new key: no target has begun to remember it, and no probe has searched for it.
            self.record.first_started = RecordTime::ThisWrite;
            self.record.looks = 0;
        }
        // Numbers never restart, not even in a new generation: a late report of an old attempt
        // must not match the fence of a new one.
        let fence = Fence {
            number: self.last_number().saturating_add(1),
            nonce: claim.nonce,
        };
        self.record.attempts.push(attempt(
            claim,
            fence,
            self.record.generation,
            self.record.series,
        ));
        self.record.terms = claim.terms.clone();
        self.record.leased = RecordTime::ThisWrite;
        self.record.standing = None;
        self.record.found = None;
        self.record.handles.clear();
        let undoes = targets_of(&claim.named, self.rules);
        // An attempt without effect leaves its marks behind. They are void, but lead here.
        self.record.left_marks |=
            self.record.undoes.iter().any(|earlier| {
                !earlier.settled && !undoes.iter().any(|taken| taken.of == earlier.of)
            });
        self.record.undoes = undoes;
        self.record.undid.clear();
        self.enter_state(State::Started);
        let grant = grant(&self.record, fence);
        self.write(Reply::Granted(grant))
    }
}
