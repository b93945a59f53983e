//! Landing: the effect of an attempt settles its operation, or is only kept as evidence.

use super::{RecordDraft, Transition};
use crate::ledger::{
    AttemptRecord, Evidence, KnownEffect, LandingSource, Refusal, Rule, Settlement, State,
};
use crate::model::Target;

impl RecordDraft {
    /// An attempt that the record does not know: the store lost it. What it did is kept, and withholds.
    pub(super) fn settle_unknown_attempt(
        mut self,
        settlement: &Settlement,
    ) -> Result<Transition, Refusal> {
        if !self.rules.holds(Rule::KnownAttempt) {
            return Ok(self.land(settlement));
        }
        if settlement.verdict.effect() != crate::model::Effect::Landed {
            return Err(self.refuse(Rule::KnownAttempt));
        }
        self.keep_evidence(settlement, "the record does not know the attempt");
        // A final state stays as it was settled; the evidence alone bars the next sending.
        if !self.is_final() && settlement.generation >= self.record.generation {
            self.enter_state(two_effects(
                "an attempt that the record does not know took effect",
            ));
        }
        Ok(self.write_current())
    }

    fn is_final(&self) -> bool {
        matches!(
            self.record.state,
            State::Landed { .. }
                | State::Undone { .. }
                | State::Tombstone { .. }
                | State::Alias { .. }
        )
    }

    pub(super) fn land(mut self, settlement: &Settlement) -> Transition {
        match self.bar_to_landing(settlement) {
            Some(LandingObstacle::Kept(why)) => self.keep_evidence(settlement, why),
            Some(LandingObstacle::TwoEffects(why)) => {
                self.keep_evidence(settlement, why);
                self.enter_state(two_effects(why));
            }
            Some(LandingObstacle::Recorded) => {}
            Some(LandingObstacle::Confirms) => self.record.standing = Some(settlement.fence.number),
            None => self.record_landing(settlement),
        }
        self.write_current()
    }

    /// Returns the obstacle to settling the operation by this landing, if there is one.
    fn bar_to_landing(&self, settlement: &Settlement) -> Option<LandingObstacle> {
        let same_generation = settlement.generation == self.record.generation;
        // The order matters: a landing of an earlier generation says nothing about the state of this
        // one, and a final state outweighs a difference of keys.
        if self.rules.forbids(Rule::GenerationAgrees, !same_generation) {
            return Some(LandingObstacle::Kept("it belongs to an earlier generation"));
        }
        if self.rules.forbids(Rule::FinalStands, self.is_final()) {
            return Some(self.beside_what_stands(settlement));
        }
        if self
            .rules
            .forbids(Rule::SeriesAgrees, settlement.series != self.record.series)
        {
            return Some(LandingObstacle::TwoEffects(
                "an attempt under an earlier key took effect",
            ));
        }
        if self
            .rules
            .forbids(Rule::TwoEffectsStayHeld, self.holds_two_effects())
        {
            return Some(LandingObstacle::Kept("two effects may stand"));
        }
        None
    }

    /// Classifies a landing beside a recorded one: the same effect, or another one.
    fn beside_what_stands(&self, settlement: &Settlement) -> LandingObstacle {
        let same_key = settlement.series == self.record.series;
        match self.record.standing {
            Some(standing) if standing == settlement.fence.number => LandingObstacle::Recorded,
            Some(standing)
                if same_key && self.had_one_effect(standing, settlement.fence.number) =>
            {
                LandingObstacle::Recorded
            }
            // A probe or a person reported that the operation landed; this is its outcome.
            None if same_key && !self.landed_evidence() => LandingObstacle::Confirms,
            _ => LandingObstacle::Kept("the operation was settled before"),
        }
    }

    /// Returns true if two attempts under one key had one effect, because the target recognised the
    /// second.
    fn had_one_effect(&self, one: u32, other: u32) -> bool {
        let harmless = self
            .record
            .terms
            .target
            .as_ref()
            .is_some_and(|target| target.repeats.have_no_effect());
        harmless && self.was_remembered(one) && self.was_remembered(other)
    }

    /// Returns true if the target still remembered the present key when this attempt began.
    fn was_remembered(&self, number: u32) -> bool {
        let Some(attempt) = self
            .record
            .attempts
            .iter()
            .find(|attempt| attempt.fence.number == number)
        else {
            return false;
        };
        match self
            .record
            .terms
            .target
            .as_ref()
            .and_then(|target| target.remembers_seconds)
        {
            None => false,
            Some(Target::FOR_EVER) => true,
            // The longest possible time: if in doubt, there are two effects for a person to weigh.
            Some(seconds) => {
                let first = self.record_time(self.record.first_started);
                self.record_time(attempt.started).longest_since(&first) < u64::from(seconds) * 1_000
            }
        }
    }

    fn record_landing(&mut self, settlement: &Settlement) {
        self.record.standing = Some(settlement.fence.number);
        self.record.found = None;
        self.record.handles.clone_from(&settlement.handles);
        self.record.undid.clone_from(&settlement.undid);
        self.enter_state(State::Landed {
            via: LandingSource::Answer,
            delivered: false,
            undone_by: None,
        });
    }

    pub(super) fn holds_two_effects(&self) -> bool {
        matches!(
            self.record.state,
            State::Held {
                two_effects: true,
                ..
            }
        )
    }

    /// Returns true if there is evidence that an attempt of the present generation landed otherwise
    /// than as recorded.
    pub(super) fn landed_evidence(&self) -> bool {
        self.record.landed_evidence().next().is_some()
    }

    /// Returns true if an attempt of the present generation other than `number` may still turn out
    /// to have landed. A lost record may have had further attempts.
    pub(super) fn another_unresolved(&self, number: u32) -> bool {
        self.record.rewritten
            || self
                .of_this_generation()
                .any(|attempt| attempt.fence.number != number && attempt.known.is_unresolved())
    }

    /// Returns true if every attempt's own host has reported that it had no effect.
    pub(super) fn all_without_effect(&self) -> bool {
        let landed = self
            .of_this_generation()
            .any(|attempt| attempt.known == KnownEffect::Landed);
        !landed && !self.another_unresolved(0) && !self.landed_evidence()
    }

    fn of_this_generation(&self) -> impl Iterator<Item = &AttemptRecord> {
        self.record
            .attempts
            .iter()
            .filter(|attempt| attempt.generation == self.record.generation)
    }

    /// Keeps what an attempt did that settles nothing, once.
    fn keep_evidence(&mut self, settlement: &Settlement, reason: &str) {
        let evidence = Evidence {
            attempt: settlement.fence.number,
            generation: settlement.generation,
            series: settlement.series,
            content: settlement.claim.terms.content,
            known: KnownEffect::Landed,
            outcome: Some(settlement.outcome.clone()),
            reason: reason.to_owned(),
            weighed: false,
        };
        if !self.record.evidence.contains(&evidence) {
            self.record.evidence.push(evidence);
        }
    }
}

/// The obstacle to settling an operation by a landing.
enum LandingObstacle {
    /// It is kept as evidence.
    Kept(&'static str),
    /// It is kept as evidence, and two effects may stand.
    TwoEffects(&'static str),
    /// It is recorded already.
    Recorded,
    /// It confirms the recorded effect.
    Confirms,
}

fn two_effects(reason: &str) -> State {
    State::Held {
        reason: reason.to_owned(),
        two_effects: true,
    }
}
