//! The transitions: the state after an action.

mod operator;
mod target;
mod undo;

use crate::{
    action::{ModelAction, RefusalKind},
    guard_driver::recovery_for,
    model::LedgerModel,
    plan::{PlannedCall, TICK_SECONDS},
    state::{CallPhase, ModelState, NonceSource, TargetKey, TargetRequest},
};
use semel_core::{
    guard::GuardEvent,
    ledger::{Command, Fence, Grant, KeptOutcome, Reply, ServerErrorRule, Settlement, bound},
    model::{Effect, Outcome, Verdict},
};
use std::sync::Arc;

/// The name under which a suspended attempt continues.
const CONTINUATION: &str = "task";

impl LedgerModel {
    pub(crate) fn apply_action(&self, state: &mut ModelState, action: ModelAction) {
        match action {
            ModelAction::AdvanceCall(call) => self.advance_call(state, usize::from(call)),
            ModelAction::AdviseRecovery(call, advice) => {
                let event = GuardEvent::Recovered(Ok(recovery_for(advice)));
                self.report_event(state, usize::from(call), event);
            }
            ModelAction::FailBeforeSending(call) => {
                let outcome = Outcome::not_sent("connection refused");
                self.end_run(state, usize::from(call), outcome);
            }
            ModelAction::TimeOut(call) => {
                let outcome = Outcome::no_answer("timed out");
                self.end_run(state, usize::from(call), outcome);
            }
            ModelAction::CrashCall(call) => state.set_phase(usize::from(call), CallPhase::Ended),
            ModelAction::RenewLease(call) => self.renew_lease(state, usize::from(call)),
            ModelAction::DeliverOutcome(call) => self.deliver_outcome(state, usize::from(call)),
            ModelAction::RecordDelivery(call) => self.record_delivery(state, usize::from(call)),
            ModelAction::Suspend(call) => self.suspend(state, usize::from(call)),
            ModelAction::Continue(host) => self.continue_attempt(state, host),
            ModelAction::AbandonContinuation(host) => self.abandon_continuation(state, host),
            ModelAction::AnswerRequest(at) => self.execute_request(state, usize::from(at), true),
            ModelAction::LoseAnswer(at) => self.execute_request(state, usize::from(at), false),
            ModelAction::RefuseRequest(at, kind) => {
                self.refuse_request(state, usize::from(at), kind);
            }
            ModelAction::RefuseFalsely(at, kind) => {
                self.refuse_falsely(state, usize::from(at), kind);
            }
            ModelAction::ReportLate(at) => self.report_late(state, usize::from(at)),
            ModelAction::ShowPerson => state.person = self.person_view(state),
            ModelAction::Decide(at) => self.decide(state, usize::from(at)),
            ModelAction::BeginSweepProbe => self.begin_sweep_probe(state),
            ModelAction::EndSweepProbe { too_early } => self.end_sweep_probe(state, too_early),
            ModelAction::MakeMistake(mistake) => self.make_mistake(state, mistake),
            ModelAction::AdvanceClock => self.advance_clock(state),
            ModelAction::RebootStore => {
                state.boot += 1;
                state.is_clock_set_back = self.plan.reboot_sets_clock_back;
            }
            ModelAction::LoseRecord => {
                state.ledger.remove(&0);
                state.history.record_losses += 1;
            }
            ModelAction::WriteUndo(operation) => self.write_present_undo(state, operation),
            ModelAction::NoteUndoWritten(operation) => self.note_undo_written(state, operation),
            ModelAction::AgeRecord(operation) => {
                self.try_command(state, operation, None, &Command::Age);
            }
            ModelAction::RemoveRecord(operation) => {
                state.ledger.remove(&operation);
                self.check_undo_mark(state);
            }
        }
    }

    fn advance_clock(&self, state: &mut ModelState) {
        state.tick += 1;
        let now = state.tick;
        // A request arrives within the time of its attempt, or never. The target executes a
        // disowned one at any time.
        let attempt_ticks = self.plan.attempt_ticks;
        state
            .requests
            .retain(|request| request.is_disowned || now - request.sent_at < attempt_ticks);
    }

    /// Ends the tool's run with an outcome other than the target's answer.
    fn end_run(&self, state: &mut ModelState, call: usize, outcome: Outcome) {
        if let Some(running) = state.running_call_mut(call)
            && let Some(right) = &mut running.right
        {
            right.is_used = true;
        }
        self.report_event(state, call, GuardEvent::Ran(outcome));
    }

    fn renew_lease(&self, state: &mut ModelState, call: usize) {
        if let Some(fence) = fence_of_call(state, call) {
            let operation = self.planned_call(call).operation;
            self.try_command(state, operation, Some(call), &Command::Renew { fence });
        }
    }

    fn deliver_outcome(&self, state: &mut ModelState, call: usize) {
        let Some(CallPhase::Answered {
            generation,
            attempt,
        }) = state.calls.get(call).cloned()
        else {
            return;
        };
        match self.planned_call(call).operation {
            0 => state.history.delivered.insert(generation),
            1 => state.history.undo_delivered.insert(generation),
            _ => {}
        }
        let delivered = CallPhase::Delivered {
            generation,
            attempt,
        };
        state.set_phase(call, delivered);
    }

    fn record_delivery(&self, state: &mut ModelState, call: usize) {
        let Some(CallPhase::Delivered {
            generation,
            attempt,
        }) = state.calls.get(call).cloned()
        else {
            return;
        };
        let command = Command::Deliver {
            generation,
            attempt,
        };
        let operation = self.planned_call(call).operation;
        self.try_command(state, operation, None, &command);
        state.set_phase(call, CallPhase::Ended);
    }

    fn suspend(&self, state: &mut ModelState, call: usize) {
        let Some(fence) = fence_of_call(state, call) else {
            return;
        };
        let position = state
            .requests
            .iter()
            .position(|request| request.fence == fence);
        if let Some(position) = position {
            let accepted = state.requests.remove(position);
            if self.plan.first_round_takes_effect {
                self.take_effect(state, &accepted);
            }
        }
        let command = Command::Suspend {
            fence,
            continuation: CONTINUATION.to_owned(),
            limit_seconds: TICK_SECONDS,
        };
        self.try_command(state, 0, Some(call), &command);
        state.set_phase(call, CallPhase::Ended);
    }

    /// Claims the suspended attempt for a host that runs no call of the plan.
    fn claim_continuation(&self, state: &mut ModelState, host: u8) -> Option<Grant> {
        let command = Command::Continue {
            continuation: CONTINUATION.to_owned(),
            nonce: NonceSource::Continuation(host).nonce(state.tick),
        };
        match self.execute_command(state, 0, None, &command) {
            Ok(Reply::Granted(grant)) => Some(grant),
            _ => None,
        }
    }

    fn continue_attempt(&self, state: &mut ModelState, host: u8) {
        let Some(grant) = self.claim_continuation(state, host) else {
            return;
        };
        let key = TargetKey::from_grant(0, &grant);
        let content = state.target.get(&key).map_or(1, |entry| entry.content);
        let request = TargetRequest {
            key,
            fence: grant.fence,
            content,
            sent_at: state.tick,
            is_disowned: false,
        };
        self.put_in_flight(state, request);
    }

    /// Claims the continuation and settles it as not sent, as a dropped right to send does.
    fn abandon_continuation(&self, state: &mut ModelState, host: u8) {
        let Some(grant) = self.claim_continuation(state, host) else {
            return;
        };
        let not_sent = Outcome::not_sent("");
        let settlement = Settlement {
            fence: grant.fence,
            generation: grant.generation,
            series: grant.series,
            verdict: bound(
                &not_sent,
                &Verdict::new(Effect::Absent, ""),
                ServerErrorRule::ProveNothing,
            ),
            outcome: KeptOutcome::Whole(not_sent),
            handles: Vec::new(),
            undid: Vec::new(),
            claim: Arc::new(
                self.plan
                    .claim(PlannedCall::with_content(1), grant.fence.nonce),
            ),
        };
        self.try_command(state, 0, None, &Command::Settle(Box::new(settlement)));
    }
}

fn fence_of_call(state: &ModelState, call: usize) -> Option<Fence> {
    let right = state.running_call(call)?.right?;
    Some(right.fence)
}

/// The outcome of a request that the target turned away.
fn refusal_outcome(kind: RefusalKind) -> Outcome {
    match kind {
        RefusalKind::Absent => Outcome::failed(crate::guard_driver::ABSENT_MESSAGE),
        RefusalKind::Refused => Outcome::failed("refused"),
    }
}
