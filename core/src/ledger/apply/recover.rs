//! Recovery of an operation in doubt: a retry of the same call, or a probe.

use super::{RecordDraft, Transition, lease::right_ms};
use crate::ledger::{
    AttemptRecord, Fence, Grant, KnownEffect, LandingSource, ProbeOrigin, ProbeReport,
    ProbeRequester, RecordTime, Refusal, ReleaseSource, Reply, Rule, State,
};
use crate::model::{CallDigest, Field, Nonce, Target};

/// The smallest part of a target's memory that is left unused, in milliseconds: for clocks that
/// differ and bytes that travel.
const MEMORY_MARGIN_MIN_MS: u64 = 2_000;

/// The part of a target's memory that is left unused: one so-many-th.
const MEMORY_MARGIN_PART: u64 = 100;

/// A request to send the same again.
pub(super) struct RetryRequest<'a> {
    pub(super) nonce: Nonce,
    pub(super) shown: u32,
    pub(super) call_digest: &'a CallDigest,
    pub(super) retries_max: u32,
    pub(super) facts: &'a [Field],
}

impl RecordDraft {
    pub(super) fn resolve(self, retry: &RetryRequest<'_>) -> Result<Transition, Refusal> {
        if !matches!(self.record.state, State::InDoubt { .. }) {
            return self.no_row();
        }
        self.require(Rule::LastAttemptShown, self.last_number() == retry.shown)?;
        self.require(
            Rule::SameCallAgain,
            self.record.terms.call_digest == *retry.call_digest,
        )?;
        self.require(Rule::EvidenceBarsSending, !self.landed_evidence())?;
        self.require(
            Rule::RetriesBounded,
            self.attempts_of_this_key() <= retry.retries_max,
        )?;
        let harmless = self
            .record
            .terms
            .target
            .as_ref()
            .is_some_and(|target| target.repeats.have_no_effect());
        self.require(Rule::RepeatsAreHarmless, harmless)?;
        // INVARIANT: a target's memory is measured only on a clock that did not go back.
        self.require_clock()?;
        let left_ms = self.memory_left_ms();
        let attempt_ms = u64::from(self.record.terms.attempt_seconds) * 1_000;
        self.require(Rule::TargetRemembers, attempt_ms < left_ms)?;
        // Sent later than this, the attempt might outlast the target's memory.
        let valid_ms = if self.rules.holds(Rule::TargetRemembers) {
            left_ms.saturating_sub(attempt_ms)
        } else {
            u64::MAX
        };
        Ok(self.retry(retry, valid_ms))
    }

    fn attempts_of_this_key(&self) -> u32 {
        let of_this_key = |attempt: &&AttemptRecord| {
            attempt.generation == self.record.generation && attempt.series == self.record.series
        };
        u32::try_from(self.record.attempts.iter().filter(of_this_key).count()).unwrap_or(u32::MAX)
    }

    /// Returns the time for which the target certainly recognises the present key, in milliseconds;
    /// `u64::MAX` for ever.
    fn memory_left_ms(&self) -> u64 {
        match self
            .record
            .terms
            .target
            .as_ref()
            .and_then(|target| target.remembers_seconds)
        {
            None => 0,
            Some(Target::FOR_EVER) => u64::MAX,
            // When the key was first sent is gone with the record.
            Some(_) if self.record.rewritten => 0,
            Some(seconds) => {
                let memory = u64::from(seconds) * 1_000;
                let margin = MEMORY_MARGIN_MIN_MS.max(memory / MEMORY_MARGIN_PART);
                // The longest possible time: sent too late, a repeat has a second effect.
                let gone = self
                    .stamp
                    .longest_since(&self.record_time(self.record.first_started));
                memory.saturating_sub(margin).saturating_sub(gone)
            }
        }
    }

    fn retry(mut self, retry: &RetryRequest<'_>, valid_ms: u64) -> Transition {
        let fence = Fence {
            number: self.last_number().saturating_add(1),
            nonce: retry.nonce,
        };
        let generation = self.record.generation;
        let series = self.record.series;
        self.record.attempts.push(AttemptRecord {
            fence,
            generation,
            series,
            started: RecordTime::ThisWrite,
            known: KnownEffect::Open,
            outcome: None,
            reason: None,
            facts: retry.facts.to_vec(),
            suspended: false,
        });
        self.record.leased = RecordTime::ThisWrite;
        self.enter_state(State::Retrying);
        let lease_ms = right_ms(&self.record.terms);
        let marks = self.record.undoes.clone();
        self.write(Reply::Granted(Grant {
            fence,
            generation,
            series,
            valid_ms: valid_ms.min(lease_ms),
            marks,
            repeats: true,
        }))
    }

    pub(super) fn begin_probe(
        mut self,
        nonce: Nonce,
        shown: u32,
        asker: ProbeRequester,
        looks_max: u32,
    ) -> Result<Transition, Refusal> {
        let (from, reason) = match &self.record.state {
            State::InDoubt { reason } => (ProbeOrigin::InDoubt, reason.clone()),
            State::Held {
                reason,
                two_effects,
            } => {
                self.require(
                    Rule::HeldLooksAreAskedFor,
                    asker == ProbeRequester::Operator,
                )?;
                // A probe could find one of the two effects and hide the other.
                self.require(Rule::TwoEffectsStayHeld, !two_effects)?;
                (ProbeOrigin::Held, reason.clone())
            }
            _ => return self.no_row(),
        };
        self.require(Rule::LastAttemptShown, self.last_number() == shown)?;
        self.require(
            Rule::LooksBounded,
            asker == ProbeRequester::Operator || self.record.looks < looks_max,
        )?;
        self.record.looks = self.record.looks.saturating_add(1);
        self.record.leased = RecordTime::ThisWrite;
        let valid_ms = u64::from(self.record.terms.lease_seconds) * 1_000;
        self.enter_state(State::Probing {
            look: nonce,
            from,
            reason,
        });
        Ok(self.write(Reply::MayLook { valid_ms }))
    }

    pub(super) fn end_probe(
        mut self,
        nonce: Nonce,
        sight: &ProbeReport,
    ) -> Result<Transition, Refusal> {
        let State::Probing { look, from, reason } = &self.record.state else {
            return self.no_row();
        };
        self.require(Rule::LookIsOwn, *look == nonce)?;
        let from = *from;
        let doubt = reason.clone();
        let next = match sight {
            ProbeReport::Found {
                outcome,
                handles,
                undid,
            } => {
                // The outcome comes from the probe, so no attempt's own answer stands for it.
                self.record.found = Some(outcome.clone());
                self.record.standing = None;
                self.record.handles.clone_from(handles);
                self.record.undid.clone_from(undid);
                State::Landed {
                    via: LandingSource::Probe,
                    delivered: false,
                    undone_by: None,
                }
            }
            ProbeReport::Conflicting { reason } if from == ProbeOrigin::InDoubt => {
                return_to_held(reason.clone())
            }
            ProbeReport::Conflicting { .. } => return_to_held(doubt),
            // Reports of late owners during the probe count when it ends.
            _ if self.all_without_effect() => State::Released {
                by: ReleaseSource::Owner,
                new_key: false,
                wait_ms: 0,
            },
            _ if self
                .rules
                .forbids(Rule::HeldStaysHeld, from == ProbeOrigin::Held) =>
            {
                return_to_held(doubt)
            }
            ProbeReport::NotFound { rerun_after_ms } => self.after_nothing(*rerun_after_ms),
            ProbeReport::Again { reason } => State::InDoubt {
                reason: reason.clone(),
            },
        };
        self.enter_state(next);
        Ok(self.write_current())
    }

    /// A probe that found nothing proves nothing: the effect may be on its way. Only the operator's switch lets that be.
    fn after_nothing(&self, rerun_after_ms: Option<u64>) -> State {
        let started = self
            .last_attempt()
            .map_or(self.written, |attempt| self.record_time(attempt.started));
        let allowed = self
            .rules
            .permits(Rule::RerunNeedsTheSwitch, rerun_after_ms.is_some());
        // The shortest possible time: a release that comes too early permits a second effect.
        let gone = self.stamp.shortest_since(&started);
        let over = self.rules.permits(
            Rule::RerunNeedsItsDelay,
            rerun_after_ms.is_none_or(|delay| gone >= delay),
        );
        let barred = self
            .rules
            .forbids(Rule::EvidenceBarsRelease, self.landed_evidence());
        if allowed && over && !barred && self.require_clock().is_ok() {
            State::Released {
                by: ReleaseSource::TimedRerun,
                new_key: false,
                wait_ms: 0,
            }
        } else {
            return_to_held(
                "a probe found nothing, which does not prove that the call will have no effect"
                    .to_owned(),
            )
        }
    }
}

fn return_to_held(reason: String) -> State {
    State::Held {
        reason,
        two_effects: false,
    }
}
