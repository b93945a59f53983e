//! The evaluation of the safety properties at each transition of the ledger, each request and each
//! effect.
//!
//! It compares a record before and after with the model's own knowledge: the target's effects, the
//! rights of all calls, the true time and the history. The ledger sees none of these.

mod change;
mod grant;

use semel_core::{
    ledger::{ClaimReply, Command, KeptOutcome, LandingSource, Record, Reply, State},
    model::Stamp,
};

use crate::{
    model::LedgerModel,
    plan::{TICK_MS, content_number, operation_of_key},
    property::SafetyProperty,
    state::{ModelState, OperationIndex, StoredRecord, TargetKey, TargetRequest, success_outcome},
};

/// A transition of one record: the command, its reply, and the record before it. The state holds
/// the record after it.
pub(crate) struct LedgerTransition<'a> {
    pub(crate) operation: OperationIndex,
    pub(crate) call: Option<usize>,
    pub(crate) before: Option<&'a StoredRecord>,
    pub(crate) command: &'a Command,
    pub(crate) reply: &'a Reply,
    pub(crate) now: Stamp,
}

impl LedgerTransition<'_> {
    fn record_before(&self) -> Option<&Record> {
        self.before.map(|stored| &*stored.record)
    }
}

impl LedgerModel {
    /// Checks a transition, and updates the history for the checks of later ones.
    pub(crate) fn check_transition(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
    ) {
        let Some(stored) = state.ledger.get(&transition.operation) else {
            return;
        };
        let record = stored.record.clone();
        match transition.reply {
            Reply::Granted(grant) => self.check_grant(state, transition, grant),
            Reply::MayLook { .. } => self.check_probe_grant(state, transition),
            Reply::Told(reply) => self.check_reply(state, transition, &record, reply),
        }
        if let Some(before) = transition.before {
            self.check_change(state, transition, before, &record);
        }
        let is_new_state = transition
            .record_before()
            .is_none_or(|before| before.state != record.state);
        if is_new_state {
            if transition.operation == 1 && matches!(record.state, State::Landed { .. }) {
                state.history.undo_landed.insert(record.generation);
            }
            self.check_release(state, transition, &record);
            if transition.operation == 0 {
                self.check_new_state(state, transition, &record);
            }
        }
    }

    /// Checks a reply to a claim that grants no right.
    fn check_reply(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        record: &Record,
        reply: &ClaimReply,
    ) {
        let Command::Claim(claim) = transition.command else {
            return;
        };
        match reply {
            ClaimReply::Landed if transition.operation == 0 => {
                let content = content_number(&claim.terms);
                let expected = KeptOutcome::Whole(success_outcome(record.generation, content));
                let is_own = record.standing_outcome() == Some(&expected);
                let is_attested = matches!(
                    record.state,
                    State::Landed {
                        via: LandingSource::Person(_),
                        ..
                    }
                );
                state.require(SafetyProperty::OwnOutcome, is_own || is_attested);
            }
            ClaimReply::Running {
                continuation: None, ..
            } => {
                let is_running = matches!(record.state, State::Started | State::Retrying);
                let Some(last) = record.last_attempt() else {
                    return;
                };
                let written = state
                    .ledger
                    .get(&transition.operation)
                    .map_or(transition.now, |stored| stored.written);
                // An unknown age, after a reboot, proves nothing.
                let age_ms = transition
                    .now
                    .steady_since(&last.started.at(written))
                    .unwrap_or(0);
                let is_over = age_ms >= self.attempt_ms();
                state.require(SafetyProperty::AttemptEnds, !(is_running && is_over));
            }
            _ => {}
        }
    }

    fn attempt_ms(&self) -> u64 {
        u64::from(self.plan.attempt_ticks) * TICK_MS
    }

    /// Checks that the mark of an undo points to a record.
    pub(crate) fn check_undo_mark(&self, state: &mut ModelState) {
        if let Some(State::Landed {
            undone_by: Some(by),
            ..
        }) = state.record(0).map(|record| &record.state)
        {
            let has_record = state.ledger.contains_key(&operation_of_key(by.key));
            state.require(SafetyProperty::MarkHasRecord, has_record);
        }
    }

    /// Checks a request at the moment of its sending.
    pub(crate) fn check_sending(&self, state: &mut ModelState, request: &TargetRequest) {
        if let Some(entry) = state.target.get(&request.key) {
            let is_same = entry.content == request.content;
            state.require(SafetyProperty::OneContentPerKey, is_same);
        }
        let undoes = request.key.operation > 0;
        if undoes && self.plan.undo_is_declared && state.history.false_refusals == 0 {
            let taken = |key: TargetKey| state.history.taken.get(&(key.operation, key.generation));
            let undone = taken(request.key);
            let is_other_undo = |key: TargetKey| {
                key.operation > 0
                    && key.operation != request.key.operation
                    && undone.is_some()
                    && taken(key) == undone
            };
            let is_other_sent = state.requests.iter().any(|sent| is_other_undo(sent.key));
            let has_other_landed = state
                .target
                .iter()
                .any(|(key, entry)| is_other_undo(*key) && entry.effects > 0);
            state.require(SafetyProperty::OneUndo, !is_other_sent && !has_other_landed);
        }
    }

    /// Checks the number of effects after each of them.
    pub(crate) fn check_effects(
        &self,
        state: &mut ModelState,
        operation: OperationIndex,
        generation: u32,
    ) {
        let history = &state.history;
        let further = history.allowed_effects + history.false_refusals + history.record_losses;
        let is_allowed = state.effect_count(operation, generation) <= 1 + further;
        state.require(SafetyProperty::OneEffect, is_allowed);
    }
}
