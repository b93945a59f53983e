//! The decisions of a person, and the delivery of an outcome.

use super::{RecordDraft, Transition};
use crate::ledger::{
    Decision, KeptOutcome, LandingSource, Person, Refusal, ReleaseSource, Rule, State,
};
use crate::model::{OperationLifetime, Outcome};

impl RecordDraft {
    pub(super) fn decide(
        mut self,
        shown: u32,
        person: &Person,
        decision: &Decision,
    ) -> Result<Transition, Refusal> {
        self.require(Rule::LastAttemptShown, self.last_number() == shown)?;
        let open = match &self.record.state {
            State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. } => true,
            State::Probing { .. } => {
                self.require(Rule::ProbesEndFirst, false)?;
                true
            }
            _ => false,
        };
        let undoable = match self.record.state {
            State::Landed { .. } => true,
            // A second effect beside the undone one: the person has undone that as well.
            State::Undone { .. } => self.landed_evidence(),
            _ => false,
        };
        let turned_away = matches!(
            self.record.state,
            State::Refused { .. } | State::Released { wait_ms: 1.., .. }
        );
        match decision {
            Decision::Landed { outcome, handles } if open => {
                // A person's own outcome replaces every answer; without one, an answer may stand for it.
                self.record.found.clone_from(outcome);
                self.record.standing = if outcome.is_none() {
                    self.answered_attempt()
                } else {
                    None
                };
                self.record.handles.clone_from(handles);
                self.weigh_evidence();
                self.enter_state(State::Landed {
                    via: LandingSource::Person(person.clone()),
                    delivered: false,
                    undone_by: None,
                });
            }
            Decision::Refused if open => {
                self.require_no_landing()?;
                self.enter_state(State::Refused {
                    by: ReleaseSource::Person(person.clone()),
                    replay_ms: 0,
                });
            }
            Decision::Released { new_key } if open || turned_away => {
                self.require_no_landing()?;
                self.enter_state(State::Released {
                    by: ReleaseSource::Person(person.clone()),
                    new_key: *new_key,
                    wait_ms: 0,
                });
            }
            Decision::Undone if undoable => {
                self.weigh_evidence();
                self.enter_state(State::Undone {
                    by: None,
                    delivered: true,
                });
            }
            _ => return self.no_row(),
        }
        Ok(self.write_current())
    }

    /// The last attempt, where its tool answered: that answer is the one that a person's *landed* confirms.
    fn answered_attempt(&self) -> Option<u32> {
        if self.holds_two_effects() {
            return None;
        }
        let last = self.last_attempt()?;
        let answered = matches!(
            last.outcome.as_ref(),
            Some(KeptOutcome::Digest { .. } | KeptOutcome::Whole(Outcome::Returned(_)))
        );
        answered.then_some(last.fence.number)
    }

    /// A person who decides has seen the evidence.
    fn weigh_evidence(&mut self) {
        for evidence in &mut self.record.evidence {
            evidence.weighed = true;
        }
    }

    fn require_no_landing(&self) -> Result<(), Refusal> {
        self.require(Rule::EvidenceBarsRelease, !self.landed_evidence())
    }

    /// Marks the outcome as delivered. A mark for another generation or attempt is refused.
    pub(super) fn deliver(mut self, generation: u32, attempt: u32) -> Result<Transition, Refusal> {
        let names_it =
            self.record.generation == generation && self.record.landed_attempt() == attempt;
        self.require(Rule::DeliveryNamesItsOutcome, names_it)?;
        let terms = &self.record.terms;
        let matters = terms.until == OperationLifetime::Delivery
            || terms.undoing
            || !self.record.handles.is_empty();
        match &mut self.record.state {
            State::Landed { delivered, .. } | State::Undone { delivered, .. } if matters => {
                if *delivered {
                    let told = self.recorded_reply();
                    return Ok(self.reply_recorded(told));
                }
                *delivered = true;
            }
            _ => return self.no_row(),
        }
        Ok(self.write_current())
    }
}
