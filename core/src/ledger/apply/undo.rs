//! Undoing: the mark before the undoing operation is sent, and the undo after it landed.

use super::{RecordDraft, Transition};
use crate::ledger::{ClaimReply, HandleOwner, OperationGeneration, Refusal, Rule, State};

impl RecordDraft {
    pub(super) fn mark_undoing(
        mut self,
        by: OperationGeneration,
        of: &HandleOwner,
        void_mark: Option<OperationGeneration>,
    ) -> Result<Transition, Refusal> {
        let names_it = self.record.generation == of.of.generation
            && self.record.landed_nonce() == Some(of.nonce);
        self.require(Rule::UndoNamesItsGeneration, names_it)?;
        let State::Landed { undone_by, .. } = &self.record.state else {
            return self.no_row();
        };
        let free = undone_by.is_none_or(|marked| marked == by || Some(marked) == void_mark);
        self.require(Rule::OneUndoAtATime, free)?;
        // INVARIANT: the mark is written even if it is there already. A claim past a void mark
        // builds on the version before, and fails.
        if let State::Landed { undone_by, .. } = &mut self.record.state {
            *undone_by = Some(by);
        }
        Ok(self.write_current())
    }

    pub(super) fn undo(
        mut self,
        by: OperationGeneration,
        generation: u32,
        told_by_outcome: bool,
    ) -> Result<Transition, Refusal> {
        self.require(
            Rule::UndoNamesItsGeneration,
            self.record.generation == generation,
        )?;
        let (marked, delivered) = match &self.record.state {
            State::Landed {
                undone_by,
                delivered,
                ..
            } => (*undone_by == Some(by), *delivered),
            // Ageing drops the mark, so only the outcome of the undoing operation can name this one.
            State::Tombstone { delivered, .. } => (false, *delivered),
            State::Undone { .. } => return Ok(self.reply_recorded(ClaimReply::Undone)),
            _ => return self.no_row(),
        };
        self.require(Rule::UndoRestsOnItsMark, marked || told_by_outcome)?;
        self.enter_state(State::Undone {
            by: Some(by),
            delivered,
        });
        Ok(self.write_current())
    }

    pub(super) fn undo_written(mut self, of: OperationGeneration) -> Result<Transition, Refusal> {
        let landed = matches!(
            self.record.state,
            State::Landed { .. } | State::Undone { .. } | State::Tombstone { .. }
        );
        self.require(Rule::OnlyLandedUndoes, landed)?;
        let open = self.record.undid.contains(&of)
            || self
                .record
                .undoes
                .iter()
                .any(|undoing| undoing.of.of == of && !undoing.settled);
        // A repeat after a crash is no error: the mark was removed before.
        if !open {
            let told = self.recorded_reply();
            return Ok(self.reply_recorded(told));
        }
        self.record.undid.retain(|open| *open != of);
        for undoing in self
            .record
            .undoes
            .iter_mut()
            .filter(|undoing| undoing.of.of == of)
        {
            undoing.settled = true;
        }
        Ok(self.write_current())
    }
}
