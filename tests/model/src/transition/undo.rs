//! The bookkeeping of undos across two records: that of operation 0, and that of the operation that
//! undid it.

use crate::{
    guard_driver::present_generation,
    model::LedgerModel,
    plan::{
        PlannedCall, UndoSetup, generation_of, generation_to_undo, operation_of_key, store_key,
    },
    state::{ModelState, NonceSource, OperationIndex, TargetEntry, TargetKey, TargetRequest},
};
use semel_core::{
    ledger::{
        Command, HandleOwner, LivingOwner, LivingOwners, MarkMeaning, OperationGeneration, Reply,
        State,
    },
    model::Stamp,
};
use std::sync::Arc;

/// The operation beside operation 0 that has the same handle in some plans.
const OTHER_OWNER: OperationIndex = 9;

impl LedgerModel {
    /// Writes into the record of operation 0 that `by` undid it, as any host does that finds `by`
    /// landed.
    pub(crate) fn write_undo(&self, state: &mut ModelState, by: OperationGeneration) {
        let operation = operation_of_key(by.key);
        let reported = state
            .history
            .undo_by_outcome
            .filter(|(reporter, _)| *reporter == operation);
        let taken = state.history.taken.get(&(operation, by.generation));
        let undone = match (reported, taken) {
            (Some((_, generation)), _) => generation,
            (None, Some(generation)) => *generation,
            (None, None) => return,
        };
        let command = Command::Undo {
            by,
            generation: undone,
            told_by_outcome: reported.is_some(),
        };
        self.try_command(state, 0, None, &command);
    }

    /// Writes the undo by the present generation of an operation.
    pub(crate) fn write_present_undo(&self, state: &mut ModelState, by: OperationIndex) {
        let generation = state.record(by).map_or(1, |record| record.generation);
        self.write_undo(state, generation_of(by, generation));
    }

    /// Notes in the record of `by` that its undo is written, once it is.
    pub(super) fn note_undo_written(&self, state: &mut ModelState, by: OperationIndex) {
        let taken = state
            .record(by)
            .and_then(|record| state.history.taken.get(&(by, record.generation)));
        let reported = state
            .history
            .undo_by_outcome
            .map(|(_, generation)| generation);
        let Some(generation) = reported.or(taken.copied()) else {
            return;
        };
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

    /// Reads the owners of the handle for the next claim of an undoing call, as a host does: what an
    /// operation that landed has undone stands no more.
    pub(crate) fn read_owners(&self, state: &mut ModelState, call: usize) {
        if let Some(State::Landed {
            undone_by: Some(by),
            ..
        }) = state.record(0).map(|record| &record.state)
        {
            let by = *by;
            let of = present_generation(state);
            let has_landed = state
                .record(operation_of_key(by.key))
                .is_some_and(|record| {
                    record.mark_meaning(by.generation, of) == MarkMeaning::Undone
                });
            if has_landed {
                self.write_undo(state, by);
            }
        }
        let living = state
            .ledger
            .get(&0)
            .and_then(|stored| stored.record.living_owner(store_key(0), stored.written));
        let other = self
            .plan
            .has_other_owner
            .then(|| other_owner(self.store_clock(state)));
        let owners = LivingOwners(living.into_iter().chain(other).collect());
        if let Some(running) = state.running_call_mut(call) {
            running.named = Some(vec![owners]);
        }
    }

    pub(crate) fn has_read_owners(&self, state: &ModelState, call: usize) -> bool {
        state
            .running_call(call)
            .is_some_and(|running| running.named.is_some())
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
        if self.plan.setup == UndoSetup::Delivered {
            state.history.delivered.insert(grant.generation);
            let command = Command::Deliver {
                generation: grant.generation,
                attempt: grant.fence.number,
            };
            self.try_command(state, 0, None, &command);
        }
    }
}

/// A landing of another operation under the handle of operation 0.
fn other_owner(now: Stamp) -> LivingOwner {
    LivingOwner {
        owner: HandleOwner {
            of: generation_of(OTHER_OWNER, 1),
            nonce: NonceSource::Setup.nonce(1),
        },
        granted: now,
        landed: now,
    }
}
