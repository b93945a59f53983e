//! What a person decides, and what a caller took.

use super::{Draft, Step};
use crate::ledger::{By, Decision, Person, Refusal, Rule, State, Via};
use crate::words::Until;

impl Draft {
    pub(super) fn decide(mut self, shown: u32, person: &Person, decision: &Decision) -> Result<Step, Refusal> {
        self.require(Rule::LastAttemptShown, self.last_number() == shown)?;
        let open = match &self.record.state {
            State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. } => true,
            State::Probing { .. } => return Err(self.refuse(Rule::ProbesEndFirst)),
            _ => false,
        };
        let undoable = matches!(self.record.state, State::Landed { undone_by: None, .. });
        let refused = matches!(self.record.state, State::Refused { .. });
        match decision {
            Decision::Landed { outcome, handles } if open => {
                self.record.found.clone_from(outcome);
                self.record.standing = None;
                self.record.handles.clone_from(handles);
                self.enter(State::Landed { via: Via::Person(person.clone()), delivered: false, undone_by: None });
            }
            Decision::Refused if open => {
                self.require_no_landing()?;
                self.enter(State::Refused { by: By::Person(person.clone()), replay_ms: 0 });
            }
            Decision::Released if open || refused => {
                self.require_no_landing()?;
                self.enter(State::Released { by: By::Person(person.clone()) });
            }
            Decision::Undone if undoable => self.enter(State::Undone { by: None }),
            _ => return self.no_row(),
        }
        Ok(self.write_told())
    }

    fn require_no_landing(&self) -> Result<(), Refusal> {
        self.require(Rule::EvidenceBarsRelease, !self.landed_evidence())
    }

    /// A mark that a caller took the outcome. It is dropped without a word where it names another generation or attempt.
    pub(super) fn deliver(mut self, generation: u32, attempt: u32) -> Result<Step, Refusal> {
        let names_it = self.record.generation == generation && self.record.landed_attempt() == attempt;
        self.require(Rule::DeliveryNamesItsOutcome, names_it)?;
        let lasts = self.record.terms.until == Until::Delivery;
        match &mut self.record.state {
            State::Landed { delivered, .. } if lasts => *delivered = true,
            _ => return self.no_row(),
        }
        Ok(self.write_told())
    }
}
