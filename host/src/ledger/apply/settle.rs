//! Keeping a claim, and settling it: renewal, suspension, and what the attempt came to.

use super::{Draft, Step, claim, keep};
use crate::ledger::{
    By, Evidence, Fence, Grant, Kept, Known, Refusal, Reply, Rule, Settlement, State, Told, Via, When,
};
use crate::words::{Effect, Nonce};

/// The longest delay that a verdict may ask for before a refusal is no longer replayed: a day, in milliseconds.
const REFUSAL_REPLAY_MAX_MS: u64 = 86_400_000;

/// A settlement that finds no record writes it anew, marked so: what landed must not be lost with a lost record.
pub(super) fn anew(settlement: &Settlement) -> Step {
    let mut record = claim::started(&settlement.claim);
    record.rewritten = true;
    record.generation = settlement.generation;
    record.series = settlement.series;
    if let Some(attempt) = record.attempts.last_mut() {
        attempt.fence = settlement.fence;
        attempt.generation = settlement.generation;
        attempt.series = settlement.series;
        attempt.known = known(settlement.verdict.effect());
        attempt.outcome = Some(settlement.outcome.clone());
        attempt.reason = Some(settlement.verdict.reason().to_owned());
    }
    record.state = match settlement.verdict.effect() {
        Effect::Landed => {
            record.standing = Some(settlement.fence.number);
            record.handles.clone_from(&settlement.handles);
            record.undid.clone_from(&settlement.undid);
            State::Landed { via: Via::Answer, delivered: false, undone_by: None }
        }
        // Whatever was known of earlier attempts is gone with the record, so nothing is proven to be without effect.
        Effect::Refused | Effect::Absent | Effect::Unknown => {
            State::InDoubt { reason: "the record was lost while the attempt was under way".to_owned() }
        }
    };
    let landed = matches!(record.state, State::Landed { .. });
    let keep = if landed { keep::keep_anew(&record) } else { keep::UNSETTLED };
    let told = if landed { Told::Landed } else { Told::InDoubt };
    Step { write: Some((Box::new(record), keep)), reply: Reply::Told(told) }
}

fn known(effect: Effect) -> Known {
    match effect {
        Effect::Landed => Known::Landed,
        Effect::Refused | Effect::Absent => Known::NoEffect,
        Effect::Unknown => Known::Unknown,
    }
}

impl Draft {
    /// How much of the present lease is left, in milliseconds.
    pub(super) fn lease_left_ms(&self) -> u64 {
        let Some(seconds) = self.record.lease_seconds() else { return 0 };
        let by_lease = self.left_ms(self.record.leased, seconds);
        match (&self.record.state, self.last()) {
            (State::Started | State::Retrying, Some(attempt)) => {
                by_lease.min(self.left_ms(attempt.started, self.record.terms.attempt_seconds))
            }
            _ => by_lease,
        }
    }

    /// What is left of `seconds` since `when`: nothing where another boot lies between.
    fn left_ms(&self, when: When, seconds: u32) -> u64 {
        let since = self.moment(when);
        let gone = self.stamp.steady_since(&since);
        gone.map_or(0, |gone| (u64::from(seconds) * 1_000).saturating_sub(gone))
    }

    /// A lease that is over makes the operation in doubt, whoever finds it so.
    pub(super) fn expire_if_over(&mut self) {
        if self.record.lease_seconds().is_none() || self.lease_left_ms() > 0 {
            return;
        }
        let over = match &self.record.state {
            State::Probing { from: crate::ledger::LookFrom::Held, reason, .. } => {
                State::Held { reason: reason.clone(), two_effects: false }
            }
            State::Probing { reason, .. } => State::InDoubt { reason: reason.clone() },
            State::Waiting { .. } => State::InDoubt { reason: "what it continued as did not end in time".to_owned() },
            _ if self.rules.allow(Rule::LeaseEndIsDoubt, false) => State::Released { by: By::Owner },
            _ => State::InDoubt { reason: "the host that made the attempt is gone, or took too long".to_owned() },
        };
        self.expired = true;
        self.enter(over);
    }

    pub(super) fn expire(self) -> Result<Step, Refusal> {
        if !self.expired {
            return self.no_row();
        }
        Ok(self.write_told())
    }

    fn require_owner(&self, fence: Fence) -> Result<(), Refusal> {
        self.require(Rule::OwnerOnly, self.owns(fence))
    }

    pub(super) fn renew(mut self, fence: Fence) -> Result<Step, Refusal> {
        if !matches!(self.record.state, State::Started | State::Retrying) {
            return self.no_row();
        }
        self.require_owner(fence)?;
        self.record.leased = When::ThisWrite;
        Ok(self.write_told())
    }

    pub(super) fn suspend(mut self, fence: Fence, continuation: &str, limit_seconds: u32) -> Result<Step, Refusal> {
        if !matches!(self.record.state, State::Started) {
            return self.no_row();
        }
        self.require_owner(fence)?;
        self.record.leased = When::ThisWrite;
        self.enter(State::Waiting { continuation: continuation.to_owned(), limit_seconds });
        Ok(self.write_told())
    }

    pub(super) fn continue_as(mut self, presented: &str, nonce: Nonce) -> Result<Step, Refusal> {
        match &self.record.state {
            State::Waiting { continuation, .. } if continuation == presented => {}
            _ => return self.no_row(),
        }
        self.require_clock()?;
        let (generation, series) = (self.record.generation, self.record.series);
        let valid_ms = u64::from(self.record.terms.lease_seconds) * 1_000;
        let Some(attempt) = self.record.attempts.last_mut() else { return self.no_row() };
        attempt.fence.nonce = nonce;
        // Its own limit bounded the wait; the attempt's time counts from the continuation on.
        attempt.started = When::ThisWrite;
        let fence = attempt.fence;
        self.record.leased = When::ThisWrite;
        self.enter(State::Started);
        Ok(self.write(Reply::Granted(Grant { fence, generation, series, valid_ms, marks: Vec::new(), repeats: false })))
    }

    pub(super) fn settle(mut self, settlement: &Settlement) -> Result<Step, Refusal> {
        let effect = settlement.verdict.effect();
        let Some(attempt) = self.attempt_mut(settlement.fence) else {
            return self.settle_unknown_attempt(settlement);
        };
        attempt.known = match (attempt.known, known(effect)) {
            // What an attempt was once known to have done is not unlearned.
            (Known::Landed, _) => Known::Landed,
            (Known::NoEffect, Known::Unknown) => Known::NoEffect,
            (_, learned) => learned,
        };
        attempt.outcome = Some(settlement.outcome.clone());
        attempt.reason = Some(settlement.verdict.reason().to_owned());
        match effect {
            Effect::Landed => Ok(self.land(settlement)),
            Effect::Refused | Effect::Absent => Ok(self.settle_without_effect(settlement)),
            Effect::Unknown => Ok(self.settle_in_doubt(settlement, settlement.verdict.reason())),
        }
    }

    /// An attempt that the record does not know: the store lost it. What it did is kept, and withholds.
    fn settle_unknown_attempt(mut self, settlement: &Settlement) -> Result<Step, Refusal> {
        if self.rules.allow(Rule::KnownAttempt, false) {
            return Ok(self.land(settlement));
        }
        if settlement.verdict.effect() != Effect::Landed {
            return Err(self.refuse(Rule::KnownAttempt));
        }
        self.keep_evidence(settlement, "the record does not know the attempt");
        if !self.is_final() {
            self.enter(two_effects("an attempt that the record does not know took effect"));
        }
        Ok(self.write_told())
    }

    fn is_final(&self) -> bool {
        matches!(
            self.record.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. } | State::Alias { .. }
        )
    }

    fn land(mut self, settlement: &Settlement) -> Step {
        match self.bar_to_landing(settlement) {
            Some(Bar::Kept(why)) => self.keep_evidence(settlement, why),
            Some(Bar::TwoEffects(why)) => {
                self.keep_evidence(settlement, why);
                self.enter(two_effects(why));
            }
            Some(Bar::Standing) => {}
            None => self.stand(settlement),
        }
        self.write_told()
    }

    /// Why a landing does not settle the operation, if it does not.
    fn bar_to_landing(&self, settlement: &Settlement) -> Option<Bar> {
        let same_generation = settlement.generation == self.record.generation;
        if !self.rules.allow(Rule::GenerationAgrees, same_generation) {
            return Some(Bar::Kept("it belongs to an earlier generation"));
        }
        if !self.rules.allow(Rule::FinalStands, !self.is_final()) {
            let stands = self.record.standing == Some(settlement.fence.number);
            return Some(if stands { Bar::Standing } else { Bar::Kept("the operation was settled before") });
        }
        if !self.rules.allow(Rule::SeriesAgrees, settlement.series == self.record.series) {
            return Some(Bar::TwoEffects("an attempt under an earlier key took effect after all"));
        }
        if !self.rules.allow(Rule::TwoEffectsStayHeld, !self.holds_two_effects()) {
            return Some(Bar::Kept("two effects may stand"));
        }
        None
    }

    fn stand(&mut self, settlement: &Settlement) {
        self.record.standing = Some(settlement.fence.number);
        self.record.found = None;
        self.record.handles.clone_from(&settlement.handles);
        self.record.undid.clone_from(&settlement.undid);
        self.enter(State::Landed { via: Via::Answer, delivered: false, undone_by: None });
    }

    fn holds_two_effects(&self) -> bool {
        matches!(self.record.state, State::Held { two_effects: true, .. })
    }

    fn keep_evidence(&mut self, settlement: &Settlement, reason: &str) {
        self.record.evidence.push(Evidence {
            attempt: settlement.fence.number,
            generation: settlement.generation,
            series: settlement.series,
            known: known(settlement.verdict.effect()),
            outcome: Some(settlement.outcome.clone()),
            reason: reason.to_owned(),
        });
    }

    /// The attempt certainly had no effect. That settles the operation only if no other attempt may have had one.
    fn settle_without_effect(mut self, settlement: &Settlement) -> Step {
        if !self.may_settle_without_effect(settlement) {
            return self.write_told();
        }
        let others = self.another_unresolved(settlement.fence.number);
        if !self.rules.allow(Rule::NoOtherUnresolved, !others) {
            return self.settle_in_doubt(settlement, "an earlier attempt may have taken effect");
        }
        if settlement.verdict.effect() == Effect::Absent {
            self.enter(State::Released { by: By::Owner });
        } else {
            let asked = settlement.verdict.retry_after_ms().map(u64::from);
            let default_ms = u64::from(self.record.terms.refusal_seconds) * 1_000;
            let replay_ms = asked.unwrap_or(default_ms).min(REFUSAL_REPLAY_MAX_MS);
            self.record.standing = Some(settlement.fence.number);
            self.enter(State::Refused { by: By::Owner, replay_ms });
        }
        self.write_told()
    }

    fn may_settle_without_effect(&self, settlement: &Settlement) -> bool {
        let of_this_key = settlement.generation == self.record.generation && settlement.series == self.record.series;
        let from_here = match &self.record.state {
            State::Started | State::Retrying => self.rules.allow(Rule::OwnerOnly, self.owns(settlement.fence)),
            State::InDoubt { .. } => true,
            State::Held { .. } => self.rules.allow(Rule::TwoEffectsStayHeld, !self.holds_two_effects()),
            _ => false,
        };
        of_this_key && from_here && self.rules.allow(Rule::EvidenceBarsRelease, !self.landed_evidence())
    }

    /// The owner cannot tell: in doubt. Whoever is not the owner any more has only added to what is known.
    fn settle_in_doubt(mut self, settlement: &Settlement, reason: &str) -> Step {
        let running = matches!(self.record.state, State::Started | State::Retrying);
        if running && self.owns(settlement.fence) {
            self.enter(State::InDoubt { reason: reason.to_owned() });
        }
        self.write_told()
    }

    /// Its policy cannot tell. A late holder has only added to what is known.
    pub(super) fn hold(mut self, fence: Fence, outcome: Option<&Kept>, reason: &str) -> Result<Step, Refusal> {
        let owns = self.owns(fence);
        let holds = match &self.record.state {
            State::Started | State::Retrying => self.rules.allow(Rule::OwnerOnly, owns),
            State::InDoubt { .. } => self.rules.allow(Rule::LastAttemptShown, owns),
            _ => false,
        };
        match (outcome, self.attempt_mut(fence)) {
            (Some(outcome), Some(attempt)) if attempt.known == Known::Open => {
                attempt.outcome = Some(outcome.clone());
                attempt.known = Known::Unknown;
            }
            _ if !holds => return self.no_row(),
            _ => {}
        }
        if holds {
            self.enter(State::Held { reason: reason.to_owned(), two_effects: false });
        }
        Ok(self.write_told())
    }
}

/// Why a landing does not settle an operation.
enum Bar {
    /// It is kept as evidence.
    Kept(&'static str),
    /// It is kept as evidence, and two effects may stand.
    TwoEffects(&'static str),
    /// It is what stands already.
    Standing,
}

fn two_effects(reason: &str) -> State {
    State::Held { reason: reason.to_owned(), two_effects: true }
}
