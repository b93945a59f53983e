//! The target and the network before it: requests take effect, are refused, or are reported late.

use super::refusal_outcome;
use crate::{
    action::RefusalKind,
    model::LedgerModel,
    plan::PlannedCall,
    state::{ModelState, TargetKey, TargetRequest, success_outcome},
};
use semel_core::{
    guard::GuardEvent,
    ledger::{Command, KeptOutcome, ServerErrorRule, Settlement, bound},
    model::{Effect, Outcome, Verdict},
};
use std::sync::Arc;

impl LedgerModel {
    /// Executes a request, and delivers the answer to the waiting call unless it is lost.
    pub(super) fn execute_request(&self, state: &mut ModelState, at: usize, is_answered: bool) {
        let request = state.requests.remove(at);
        let outcome = self.take_effect(state, &request);
        if !is_answered {
            return;
        }
        match self.call_waiting_for(state, &request) {
            Some(call) if !request.is_disowned => {
                self.report_event(state, call, GuardEvent::Ran(outcome));
            }
            None if self.plan.outcomes_come_late => state.late_reports.push(request),
            _ => {}
        }
    }

    /// Adds an effect, unless the target recognises the key of an earlier one.
    pub(super) fn take_effect(&self, state: &mut ModelState, request: &TargetRequest) -> Outcome {
        let now = state.tick;
        let key = request.key;
        let Some(entry) = state.target.get_mut(&key) else {
            return refusal_outcome(RefusalKind::Absent);
        };
        let is_repeat = entry.effects > 0 && self.plan.target_recognises(now - entry.effect_at);
        if !is_repeat {
            entry.effects += 1;
            entry.effect_at = now;
        }
        self.check_effects(state, key.operation, key.generation);
        if key.operation == 0 {
            return success_outcome(key.generation, request.content);
        }
        if self.plan.undo_is_declared {
            let taken = state.history.taken.get(&(key.operation, key.generation));
            // Where the handle has another owner, that one is what the call undoes.
            if let Some(taken) = taken.copied().filter(|_| !self.plan.has_other_owner) {
                state.history.undone.insert(taken);
            }
            return success_outcome(key.generation, request.content);
        }
        // An undeclared undo undoes the newest effect, which only its outcome names.
        let newest = state
            .target
            .iter()
            .rev()
            .find(|(key, entry)| key.operation == 0 && entry.effects > 0)
            .map_or(1, |(key, _)| key.generation);
        state.history.undone.insert(newest);
        Outcome::Returned(format!("undid {newest}").into())
    }

    pub(super) fn refuse_request(&self, state: &mut ModelState, at: usize, kind: RefusalKind) {
        if at >= state.requests.len() {
            return;
        }
        let request = state.requests.remove(at);
        if let Some(entry) = state.target.get_mut(&request.key) {
            entry.is_refused |= kind == RefusalKind::Refused;
        }
        self.answer_refusal(state, &request, kind);
    }

    /// Answers like [`Self::refuse_request`], and leaves the request in flight.
    pub(super) fn refuse_falsely(&self, state: &mut ModelState, at: usize, kind: RefusalKind) {
        let Some(request) = state.requests.get_mut(at) else {
            return;
        };
        request.is_disowned = true;
        let request = *request;
        state.history.false_refusals += 1;
        self.answer_refusal(state, &request, kind);
    }

    fn answer_refusal(&self, state: &mut ModelState, request: &TargetRequest, kind: RefusalKind) {
        if let Some(call) = self.call_waiting_for(state, request) {
            self.report_event(state, call, GuardEvent::Ran(refusal_outcome(kind)));
        }
    }

    /// Settles an attempt as landed after its call ended.
    pub(super) fn report_late(&self, state: &mut ModelState, at: usize) {
        let request = state.late_reports.remove(at);
        self.settle_as_landed(state, &request);
    }

    pub(super) fn settle_as_landed(&self, state: &mut ModelState, request: &TargetRequest) {
        let TargetKey {
            operation,
            generation,
            series,
        } = request.key;
        let outcome = success_outcome(generation, request.content);
        let call = PlannedCall {
            operation,
            ..PlannedCall::with_content(request.content)
        };
        let settlement = Settlement {
            fence: request.fence,
            generation,
            series,
            verdict: bound(
                &outcome,
                &Verdict::new(Effect::Landed, ""),
                ServerErrorRule::ProveNothing,
            ),
            outcome: KeptOutcome::Whole(outcome),
            handles: self.plan.handles(operation),
            undid: Vec::new(),
            claim: Arc::new(self.plan.claim(call, request.fence.nonce)),
        };
        let command = Command::Settle(Box::new(settlement));
        self.try_command(state, operation, None, &command);
    }
}
