//! Ageing: the outcome may go early, the key stays for its window. Also rewriting a record
//! unchanged.

use super::{RecordDraft, Transition, retention};
use crate::ledger::{RecordSecrets, Refusal, Rule, State};

impl RecordDraft {
    pub(super) fn age(mut self) -> Result<Transition, Refusal> {
        self.become_tombstone()?;
        self.record.found = None;
        for attempt in &mut self.record.attempts {
            attempt.outcome = None;
        }
        for evidence in &mut self.record.evidence {
            evidence.outcome = None;
        }
        Ok(self.write_current())
    }

    /// A record that is running, in doubt or held is left: its content is all that a person can
    /// decide by.
    pub(super) fn erase(mut self) -> Result<Transition, Refusal> {
        match self.record.state {
            // The outcome is erased as well, and a landed record without one has nothing to replay.
            State::Landed { .. } => self.become_tombstone()?,
            State::Released { .. }
            | State::Refused { .. }
            | State::Undone { .. }
            | State::Tombstone { .. } => {
                self.require_clock()?;
            }
            _ => return self.no_row(),
        }
        RecordSecrets::erase(&mut self.record);
        Ok(self.write_current())
    }

    pub(super) fn rewrite(self) -> Result<Transition, Refusal> {
        self.require_clock()?;
        Ok(self.write_current())
    }

    /// Leaves of what landed only that it did.
    fn become_tombstone(&mut self) -> Result<(), Refusal> {
        let State::Landed {
            delivered,
            undone_by,
            ..
        } = &self.record.state
        else {
            return self.no_row();
        };
        let delivered = *delivered;
        let marked = undone_by.is_some();
        self.require(
            Rule::OpenMarksDoNotAge,
            !marked && !retention::has_open_marks(&self.record),
        )?;
        self.require_clock()?;
        let since = self.record.since;
        let landed = self.record_time(since);
        self.enter_state(State::Tombstone { landed, delivered });
        // The window goes on counting from the landing.
        self.record.since = since;
        Ok(())
    }
}
