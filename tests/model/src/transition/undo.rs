//! The bookkeeping of undos across two records: that of operation 0, and that of the operation that
//! undid it.

use crate::{
    model::LedgerModel,
    plan::{PlannedCall, generation_to_undo, store_key},
    state::{ModelState, NonceSource, OperationIndex, TargetEntry, TargetKey, TargetRequest},
};
use semel_core::ledger::{Command, Reply, State};
use std::sync::Arc;

impl LedgerModel {
    /// Writes into the record of operation 0 that `by` undid it, as any host does that finds `by`
    /// landed.
    pub(crate) fn write_undo(&self, state: &mut ModelState, by: OperationIndex) {
        let reported = state
            .history
            .undo_by_outcome
            .filter(|(operation, _)| *operation == by);
        let command = Command::Undo {
            by: store_key(by),
            generation: reported.map_or(1, |(_, generation)| generation),
            told_by_outcome: reported.is_some(),
        };
        self.try_command(state, 0, None, &command);
    }

    /// Notes in the record of `by` that its undo is written, once it is.
    pub(super) fn note_undo_written(&self, state: &mut ModelState, by: OperationIndex) {
        let generation = state
            .history
            .undo_by_outcome
            .map_or(1, |(_, generation)| generation);
        let is_pending = state.record(0).is_some_and(|record| {
            record.generation == generation && matches!(record.state, State::Landed { .. })
        });
        if !is_pending {
            let command = Command::UndoWritten {
                of: generation_to_undo(generation),
            };
            self.try_command(state, by, None, &command);
        }
    }

    /// Lands operation 0 before the plan begins, so that its other operations have something to
    /// undo.
    pub(crate) fn land_operation_to_undo(&self, state: &mut ModelState) {
        let nonce = NonceSource::Setup.nonce(0);
        let claim = self.plan.claim(PlannedCall::with_content(1), nonce);
        let command = Command::Claim(Arc::new(claim));
        let Ok(Reply::Granted(grant)) = self.execute_command(state, 0, None, &command) else {
            return;
        };
        let key = TargetKey::from_grant(0, &grant);
        let entry = TargetEntry {
            effects: 1,
            content: 1,
            ..TargetEntry::default()
        };
        state.target.insert(key, entry);
        let request = TargetRequest {
            key,
            fence: grant.fence,
            content: 1,
            sent_at: 0,
            is_disowned: false,
        };
        self.settle_as_landed(state, &request);
    }
}
