//! Settling: the outcome of an attempt, as its owner reports it, however late.

use super::{RecordDraft, Transition, claim, retention};
use crate::ledger::{
    AttemptRecord, ClaimReply, Fence, KeptOutcome, KnownEffect, LandingSource, Refusal,
    ReleaseSource, Reply, Rule, Rules, Settlement, State,
};
use crate::model::Effect;
use std::cmp::Ordering;

/// The longest delay that a verdict may ask for before a call is sent again: a day, in milliseconds.
const REFUSAL_REPLAY_MAX_MS: u64 = 86_400_000;

/// A settlement that finds no record writes it again, marked as rewritten: a landing must not be
/// lost with a lost record.
pub(super) fn rewrite_lost(settlement: &Settlement, rules: Rules) -> Transition {
    let mut record = claim::new_record(&settlement.claim, rules);
    record.rewritten = true;
    record.generation = settlement.generation;
    record.series = settlement.series;
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.fence = settlement.fence;
        attempt.generation = settlement.generation;
        attempt.series = settlement.series;
        learn_outcome(attempt, settlement);
    }
    let told = if settlement.verdict.effect() == Effect::Landed {
        record.standing = Some(settlement.fence.number);
        record.handles.clone_from(&settlement.handles);
        record.undid.clone_from(&settlement.undid);
        record.state = State::Landed {
            via: LandingSource::Answer,
            delivered: false,
            undone_by: None,
        };
        ClaimReply::Landed
    } else {
        // Whatever was known of earlier attempts is gone with the record, so nothing is proven to be without effect.
        record.state = State::InDoubt {
            reason: "the record was lost while the attempt was in progress".to_owned(),
        };
        ClaimReply::InDoubt
    };
    let keep = retention::settled_retention(&record, 0, rules);
    Transition {
        write: Some((Box::new(record), keep)),
        reply: Reply::Told(told),
    }
}

fn known(effect: Effect) -> KnownEffect {
    match effect {
        Effect::Landed => KnownEffect::Landed,
        Effect::Refused | Effect::Absent => KnownEffect::NoEffect,
        Effect::Unknown => KnownEffect::Unknown,
    }
}

/// Merges a settlement into its attempt and returns how it compares with the recorded knowledge.
/// Recorded knowledge outweighs a later report that says less: its outcome stays, too.
fn learn_outcome(attempt: &mut AttemptRecord, settlement: &Settlement) -> Ordering {
    let learned = known(settlement.verdict.effect());
    let news = learned.cmp(&attempt.known);
    if news.is_gt() {
        attempt.known = learned;
        attempt.outcome = Some(settlement.outcome.clone());
        attempt.reason = Some(settlement.verdict.reason().to_owned());
    }
    news
}

impl RecordDraft {
    pub(super) fn settle(mut self, settlement: &Settlement) -> Result<Transition, Refusal> {
        let rules = self.rules;
        let Some(attempt) = self.attempt_mut(settlement.fence) else {
            return self.settle_unknown_attempt(settlement);
        };
        // An earlier round of a suspended attempt was sent, so its last round proves nothing about it.
        let proves_absence = settlement.verdict.effect() == Effect::Absent;
        if proves_absence && rules.forbids(Rule::RoundsProveNothing, attempt.suspended) {
            return self.settle(&Settlement {
                verdict: settlement.verdict.doubted(),
                ..settlement.clone()
            });
        }
        let news = learn_outcome(attempt, settlement);
        // INVARIANT: generation and series come from the record, never from the report.
        let settled = Settlement {
            generation: attempt.generation,
            series: attempt.series,
            ..settlement.clone()
        };
        match (news, settlement.verdict.effect()) {
            (Ordering::Less, _) | (Ordering::Equal, Effect::Landed) => {
                let told = self.recorded_reply();
                Ok(self.reply_recorded(told))
            }
            (_, Effect::Landed) => Ok(self.land(&settled)),
            (_, Effect::Refused | Effect::Absent) => Ok(self.settle_without_effect(&settled)),
            (_, Effect::Unknown) => {
                Ok(self.settle_in_doubt(settlement.fence, settlement.verdict.reason()))
            }
        }
    }

    /// The attempt certainly had no effect. That settles the operation only if no other attempt may have had one.
    fn settle_without_effect(mut self, settlement: &Settlement) -> Transition {
        if !self.may_settle_without_effect(settlement) {
            return self.write_current();
        }
        let others = self.another_unresolved(settlement.fence.number);
        if self.rules.forbids(Rule::NoOtherUnresolved, others) {
            return self
                .settle_in_doubt(settlement.fence, "an earlier attempt may have taken effect");
        }
        if self
            .rules
            .forbids(Rule::EvidenceBarsRelease, self.landed_evidence())
        {
            return self.settle_in_doubt(
                settlement.fence,
                "there is evidence that another attempt took effect",
            );
        }
        // Bounded, because a target or a policy could ask for a delay that never ends.
        let asked_ms = settlement
            .verdict
            .retry_after_ms()
            .map(|ms| u64::from(ms).min(REFUSAL_REPLAY_MAX_MS));
        if settlement.verdict.effect() == Effect::Absent {
            let wait_ms = asked_ms.unwrap_or(0);
            self.record.standing = (wait_ms > 0).then_some(settlement.fence.number);
            self.enter_state(State::Released {
                by: ReleaseSource::Owner,
                new_key: false,
                wait_ms,
            });
        } else {
            let default_ms = u64::from(self.record.terms.refusal_seconds) * 1_000;
            let replay_ms = asked_ms.unwrap_or(default_ms.min(REFUSAL_REPLAY_MAX_MS));
            self.record.standing = Some(settlement.fence.number);
            self.enter_state(State::Refused {
                by: ReleaseSource::Owner,
                replay_ms,
            });
        }
        self.write_current()
    }

    fn may_settle_without_effect(&self, settlement: &Settlement) -> bool {
        let of_this_key = settlement.generation == self.record.generation
            && settlement.series == self.record.series;
        let from_here = match &self.record.state {
            State::Started | State::Retrying => self
                .rules
                .permits(Rule::OwnerOnly, self.is_owner(settlement.fence)),
            State::InDoubt { .. } => true,
            State::Held { .. } => !self
                .rules
                .forbids(Rule::TwoEffectsStayHeld, self.holds_two_effects()),
            _ => false,
        };
        of_this_key && from_here
    }

    /// The owner does not know the effect: in doubt. A former owner has only added to what is
    /// known.
    fn settle_in_doubt(mut self, fence: Fence, reason: &str) -> Transition {
        let running = matches!(self.record.state, State::Started | State::Retrying);
        if running && self.is_owner(fence) {
            self.enter_state(State::InDoubt {
                reason: reason.to_owned(),
            });
        }
        self.write_current()
    }

    /// The policy cannot decide. A former owner has only added to what is known.
    pub(super) fn hold(
        mut self,
        fence: Fence,
        outcome: Option<&KeptOutcome>,
        reason: &str,
    ) -> Result<Transition, Refusal> {
        let owns = self.is_owner(fence);
        let holds = match &self.record.state {
            State::Started | State::Retrying => self.rules.permits(Rule::OwnerOnly, owns),
            State::InDoubt { .. } => self.rules.permits(Rule::LastAttemptShown, owns),
            _ => false,
        };
        match (outcome, self.attempt_mut(fence)) {
            // A tool answered and the policy could not read it: the answer is kept for a person.
            (Some(outcome), Some(attempt)) if attempt.known == KnownEffect::Open => {
                attempt.outcome = Some(outcome.clone());
                attempt.known = KnownEffect::Unknown;
            }
            _ if !holds => return self.no_row(),
            _ => {}
        }
        if holds {
            self.enter_state(State::Held {
                reason: reason.to_owned(),
                two_effects: false,
            });
        }
        Ok(self.write_current())
    }
}
