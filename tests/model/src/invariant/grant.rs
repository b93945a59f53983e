//! Properties of grants: a right to send, and a right to probe.

use semel_core::{
    guard::{CallerAction, GuardAction},
    ledger::{Claim, Command, Grant, ProbeRequester, Record, ReleaseSource, State},
    model::OperationLifetime,
};

use super::LedgerTransition;
use crate::{
    model::LedgerModel,
    plan::{content_number, store_key},
    property::SafetyProperty,
    state::{ModelState, OperationIndex, TargetKey},
};

impl LedgerModel {
    /// Checks a right to send.
    pub(super) fn check_grant(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        grant: &Grant,
    ) {
        let before = transition.record_before();
        let is_against_evidence =
            before.is_some_and(|record| record.landed_evidence().any(|evidence| !evidence.weighed));
        state.require(SafetyProperty::EvidenceHeeded, !is_against_evidence);
        // People decide about operation 0 only.
        let is_refused_by_person = transition.operation == 0 && state.history.is_refused_by_person;
        state.require(SafetyProperty::PersonRefusalStands, !is_refused_by_person);
        match transition.command {
            Command::Claim(claim) => self.check_claim_grant(state, transition, claim, grant),
            Command::Resolve { call_digest, .. } => {
                let is_identical =
                    before.is_some_and(|record| record.terms.call_digest == *call_digest);
                state.require(SafetyProperty::IdenticalCallOnly, is_identical);
                let attempts = state
                    .record(transition.operation)
                    .map_or(0, attempts_of_current_key);
                let attempts_max = 1 + self.plan.allowance().retries as usize;
                state.require(SafetyProperty::RetriesBounded, attempts <= attempts_max);
            }
            _ => {}
        }
    }

    /// Checks a right to send that a claim got.
    fn check_claim_grant(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
        claim: &Claim,
        grant: &Grant,
    ) {
        let generation = grant.generation;
        let is_key_refused = transition
            .record_before()
            .is_some_and(|record| is_refused_under_key(record, grant));
        state.require(SafetyProperty::OneContentPerKey, !is_key_refused);
        let has_other_right = self.has_other_right(state, transition, generation);
        // An uninformed person may release an operation, and a loss may forget one, while a right
        // to it is out.
        let is_excused = state.history.allowed_effects + state.history.record_losses > 0;
        state.require(SafetyProperty::OneRight, !has_other_right || is_excused);
        if transition.operation > 0 {
            return self.check_undo_grant(state, transition.operation, grant);
        }
        // Operation 0 is granted after each generation of operation 1 that has landed.
        state.history.granted_since = state.history.undo_landed;
        let content = content_number(&claim.terms);
        self.check_content(state, content, generation);
        // This grant supersedes the refusal, so that later grants have nothing to respect.
        if let Some(refusal) = state.history.last_refusal.take() {
            let age = state.tick.saturating_sub(refusal.at);
            let is_replayed = refusal.content == content && age < self.plan.refusal_ticks;
            state.require(SafetyProperty::RefusalReplayed, !is_replayed);
        }
        if generation > 1 {
            let previous = generation - 1;
            let is_undone = state.history.undone.contains(previous);
            let is_delivered = self.plan.lifetime == OperationLifetime::Delivery
                && state.history.delivered.contains(previous);
            state.require(SafetyProperty::DeliveredOrUndone, is_undone || is_delivered);
            let undone_by_operation = transition
                .record_before()
                .is_some_and(|record| matches!(record.state, State::Undone { by: Some(_), .. }));
            let is_known = state.history.delivered.contains(previous);
            state.require(
                SafetyProperty::UndoIsKnown,
                !undone_by_operation || is_known,
            );
            self.check_undo_order(state, generation);
        }
        if self.plan.lifetime != OperationLifetime::Window || self.plan.has_undo() {
            let first_read = transition
                .call
                .and_then(|call| state.running_call(call)?.first_read);
            let has_skipped = first_read
                .is_some_and(|read| read < generation && !state.history.undone.contains(read));
            state.require(SafetyProperty::ReaderKeepsGeneration, !has_skipped);
        }
    }

    /// Checks the grant of an operation that undoes, and notes what it took to undo.
    fn check_undo_grant(&self, state: &mut ModelState, operation: OperationIndex, grant: &Grant) {
        let generation = grant.generation;
        let taken = grant
            .marks
            .first()
            .filter(|mark| mark.of.of.key == store_key(0));
        match taken {
            Some(mark) => {
                let undone = mark.of.of.generation;
                state.history.taken.insert((operation, generation), undone);
            }
            None => {
                state.history.taken.remove(&(operation, generation));
            }
        }
        if operation == 1 && generation > 1 {
            let previous = generation - 1;
            let history = &state.history;
            let is_due = history.undo_delivered.contains(previous)
                && history.granted_since.contains(previous);
            state.require(SafetyProperty::UndoOnceEach, is_due);
        }
    }

    /// Returns true if a call other than the one of the transition may still send in this
    /// generation.
    fn has_other_right(
        &self,
        state: &ModelState,
        transition: &LedgerTransition<'_>,
        generation: u32,
    ) -> bool {
        state
            .running_calls()
            .filter(|(index, _)| Some(*index) != transition.call)
            .filter_map(|(_, running)| running.right)
            .any(|right| {
                right.key.operation == transition.operation
                    && right.key.generation == generation
                    && right.is_usable(state.tick)
            })
    }

    /// Checks that no effect or request of other content exists in this generation.
    fn check_content(&self, state: &mut ModelState, content: u8, generation: u32) {
        let has_other_effect = state.target.iter().any(|(key, entry)| {
            key.operation == 0
                && key.generation == generation
                && entry.effects > 0
                && entry.content != content
        });
        let has_other_request = state.requests.iter().any(|request| {
            request.key.operation == 0
                && request.key.generation == generation
                && !request.is_disowned
                && request.content != content
        });
        // The target's own statement released the operation, or the ledger has forgotten the other
        // content.
        let is_excused = state.history.ledger_was_misled();
        state.require(
            SafetyProperty::NoOtherContent,
            is_excused || !(has_other_effect || has_other_request),
        );
    }

    /// Checks that no declared undo of the generation before may still be sent or arrive when this
    /// one opens.
    fn check_undo_order(&self, state: &mut ModelState, generation: u32) {
        let taken = state.history.taken.clone();
        let undoes_previous = |key: &TargetKey| {
            taken.get(&(key.operation, key.generation)) == Some(&(generation - 1))
        };
        let is_in_flight = state
            .requests
            .iter()
            .any(|request| undoes_previous(&request.key) && !request.is_disowned);
        // A right to send an undo is of no use before its mark: until then the guard does not run
        // the tool.
        let may_be_sent = state.running_calls().any(|(_, running)| {
            let runs_tool = matches!(
                running.action,
                GuardAction::Caller(CallerAction::RunTool(_))
            );
            let has_undo_right = running
                .right
                .is_some_and(|right| undoes_previous(&right.key) && right.is_usable(state.tick));
            runs_tool && has_undo_right
        });
        state.require(
            SafetyProperty::UndoBeforeNext,
            !(is_in_flight || may_be_sent),
        );
    }

    /// Checks a right to probe.
    pub(super) fn check_probe_grant(
        &self,
        state: &mut ModelState,
        transition: &LedgerTransition<'_>,
    ) {
        let Some(before) = transition.record_before() else {
            return;
        };
        if let Command::Look {
            asker: ProbeRequester::Caller,
            looks_max,
            ..
        } = transition.command
        {
            let is_held = matches!(before.state, State::Held { .. });
            state.require(SafetyProperty::HeldProbes, !is_held);
            state.require(SafetyProperty::RetriesBounded, before.looks < *looks_max);
        }
    }
}

fn attempts_of_current_key(record: &Record) -> usize {
    record
        .attempts
        .iter()
        .filter(|attempt| {
            attempt.generation == record.generation && attempt.series == record.series
        })
        .count()
}

/// Returns true if the target refused the key of a grant.
fn is_refused_under_key(record: &Record, grant: &Grant) -> bool {
    let is_refused_by_target = matches!(
        record.state,
        State::Refused {
            by: ReleaseSource::Owner,
            ..
        }
    );
    let is_same_key = record.generation == grant.generation && record.series == grant.series;
    is_refused_by_target && is_same_key
}
