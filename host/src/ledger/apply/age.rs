//! Ageing: the outcome may go early, the key stays for its window.

use super::{Draft, Step, keep};
use crate::ledger::{Refusal, Rule, State};

impl Draft {
    pub(super) fn age(mut self) -> Result<Step, Refusal> {
        let State::Landed { delivered, undone_by, .. } = &self.record.state else { return self.no_row() };
        let (delivered, marked) = (*delivered, undone_by.is_some());
        self.require(Rule::OpenMarksDoNotAge, !marked && !keep::has_open_marks(&self.record))?;
        self.require_clock()?;
        let since = self.record.since;
        let landed = self.moment(since);
        self.enter(State::Tombstone { landed, delivered });
        // The window goes on counting from the landing.
        self.record.since = since;
        self.record.found = None;
        for attempt in &mut self.record.attempts {
            attempt.outcome = None;
        }
        for evidence in &mut self.record.evidence {
            evidence.outcome = None;
        }
        Ok(self.write_told())
    }
}
