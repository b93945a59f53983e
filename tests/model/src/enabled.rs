//! The enabled actions: the steps that the plan allows in a state.

use crate::{
    action::{HostMistake, ModelAction, RefusalKind},
    model::LedgerModel,
    plan::PersonKnowledge,
    state::{CallPhase, ModelState, PersonView, RunningCall, TargetRequest},
};
use semel_core::{
    guard::{CallerAction, DriverAction, GuardAction},
    ledger::{Decision, KeptOutcome, Retention, State},
    model::Outcome,
};

impl LedgerModel {
    pub(crate) fn list_enabled_actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        for (index, phase) in state.calls.iter().enumerate() {
            let call = action_index(index);
            match phase {
                CallPhase::Running(running) => {
                    self.list_guard_actions(state, call, running, actions);
                }
                CallPhase::Answered { .. } => actions.push(ModelAction::DeliverOutcome(call)),
                CallPhase::Delivered { .. } => actions.push(ModelAction::RecordDelivery(call)),
                CallPhase::Ended => {}
            }
        }
        self.list_network_actions(state, actions);
        self.list_person_actions(state, actions);
        self.list_host_actions(state, actions);
        self.list_store_actions(state, actions);
    }

    fn list_guard_actions(
        &self,
        state: &ModelState,
        call: u8,
        running: &RunningCall,
        actions: &mut Vec<ModelAction>,
    ) {
        let plan = &self.plan;
        let is_sent = running.right.is_some_and(|right| right.is_used);
        match &running.action {
            GuardAction::Driver(DriverAction::Recover) => {
                for advice in plan.advice {
                    actions.push(ModelAction::AdviseRecovery(call, *advice));
                }
            }
            GuardAction::Caller(CallerAction::RunTool(grant)) if is_sent => {
                let is_in_flight = state
                    .requests
                    .iter()
                    .any(|request| request.fence == grant.fence);
                // A request that is no longer in flight was executed or lost: no answer can come.
                if plan.messages_get_lost || !is_in_flight {
                    actions.push(ModelAction::TimeOut(call));
                }
                if plan.attempts_suspend && is_in_flight {
                    actions.push(ModelAction::Suspend(call));
                }
            }
            GuardAction::Caller(CallerAction::RunTool(_)) => {
                actions.push(ModelAction::AdvanceCall(call));
                if plan.sending_fails {
                    actions.push(ModelAction::FailBeforeSending(call));
                }
            }
            _ => actions.push(ModelAction::AdvanceCall(call)),
        }
        let runs_tool = matches!(
            running.action,
            GuardAction::Caller(CallerAction::RunTool(_))
        );
        if plan.leases_renew && runs_tool {
            actions.push(ModelAction::RenewLease(call));
        }
        if plan.calls_crash && has_begun(running) {
            actions.push(ModelAction::CrashCall(call));
        }
    }

    fn list_network_actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        for (index, request) in state.requests.iter().enumerate() {
            let at = action_index(index);
            actions.push(ModelAction::AnswerRequest(at));
            // The target has answered a disowned request already: it only executes it.
            if request.is_disowned {
                continue;
            }
            if self.plan.messages_get_lost {
                actions.push(ModelAction::LoseAnswer(at));
            }
            if self.plan.target_refuses {
                actions.extend(RefusalKind::ALL.map(|kind| ModelAction::RefuseRequest(at, kind)));
            }
            let may_lie = state.history.false_refusals < self.plan.false_refusals_max;
            if may_lie && self.call_waiting_for(state, request).is_some() {
                actions.extend(RefusalKind::ALL.map(|kind| ModelAction::RefuseFalsely(at, kind)));
            }
        }
        for index in 0..state.late_reports.len() {
            actions.push(ModelAction::ReportLate(action_index(index)));
        }
    }

    fn list_person_actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        let Some(person) = self.plan.person else {
            return;
        };
        match &state.person {
            Some(view) => {
                for index in 0..view.decisions.len() {
                    actions.push(ModelAction::Decide(action_index(index)));
                }
            }
            None => {
                let may_decide = state.history.decisions < person.decisions_max;
                if may_decide && self.person_view(state).is_some() {
                    actions.push(ModelAction::ShowPerson);
                }
            }
        }
    }

    /// The actions of the sweep, of faulty hosts and of hosts that continue an attempt.
    fn list_host_actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        let record_state = state.record(0).map(|record| &record.state);
        let is_unsettled = matches!(
            record_state,
            Some(State::Held { .. } | State::InDoubt { .. })
        );
        // The end of a probe must stay enabled in every state of the record, which may change
        // meanwhile.
        if state.sweep_probe.is_some() {
            for too_early in [true, false] {
                actions.push(ModelAction::EndSweepProbe { too_early });
            }
        } else if state.history.sweep_probes < self.plan.sweep_probes_max && is_unsettled {
            actions.push(ModelAction::BeginSweepProbe);
        }
        if state.history.mistakes < self.plan.mistakes_max {
            actions.extend(HostMistake::ALL.map(ModelAction::MakeMistake));
        }
        if self.plan.attempts_suspend && matches!(record_state, Some(State::Waiting { .. })) {
            if self.plan.first_round_takes_effect {
                actions.push(ModelAction::AbandonContinuation(0));
            } else {
                // Two hosts race for the same continuation.
                actions.extend([ModelAction::Continue(0), ModelAction::Continue(1)]);
            }
        }
    }

    fn list_store_actions(&self, state: &ModelState, actions: &mut Vec<ModelAction>) {
        if state.tick < self.plan.ticks {
            actions.push(ModelAction::AdvanceClock);
        }
        if state.boot < self.plan.reboots_max {
            actions.push(ModelAction::RebootStore);
        }
        if state.history.record_losses < self.plan.record_losses_max
            && state.ledger.contains_key(&0)
        {
            actions.push(ModelAction::LoseRecord);
        }
        for (operation, stored) in &state.ledger {
            let operation = *operation;
            let is_undoing = operation > 0;
            let has_outcome = matches!(stored.record.state, State::Landed { .. });
            let has_landed = has_outcome || matches!(stored.record.state, State::Tombstone { .. });
            if is_undoing && has_landed {
                actions.push(ModelAction::WriteUndo(operation));
                actions.push(ModelAction::NoteUndoWritten(operation));
            }
            if self.plan.records_age && has_outcome {
                actions.push(ModelAction::AgeRecord(operation));
            }
            if self.plan.records_age
                && is_undoing
                && matches!(stored.retention, Retention::Seconds(_))
            {
                actions.push(ModelAction::RemoveRecord(operation));
            }
        }
    }

    /// The running call that waits for the answer to a request.
    pub(crate) fn call_waiting_for(
        &self,
        state: &ModelState,
        request: &TargetRequest,
    ) -> Option<usize> {
        state
            .running_calls()
            .find_map(|(index, running)| match &running.action {
                GuardAction::Caller(CallerAction::RunTool(grant))
                    if grant.fence == request.fence =>
                {
                    Some(index)
                }
                _ => None,
            })
    }

    /// The record as a person sees it, where there is a decision to make.
    pub(crate) fn person_view(&self, state: &ModelState) -> Option<PersonView> {
        let record = state.record(0)?;
        let knowledge = self.plan.person?.knowledge;
        let attempt = record.last_attempt()?.fence.number;
        let has_effect = state.effect_count(0, record.generation) > 0;
        let may_have_effect = state.is_in_flight(0, record.generation)
            || state.rights().any(|right| right.is_usable(state.tick));
        let decisions = match (&record.state, knowledge) {
            (State::Refused { .. }, _) => vec![Decision::Released { new_key: false }],
            (State::Landed { .. }, PersonKnowledge::None) => vec![Decision::Undone],
            (
                State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. },
                PersonKnowledge::None,
            ) => vec![
                attested_landing(None),
                Decision::Released { new_key: false },
                Decision::Refused,
            ],
            (
                State::Held { .. } | State::InDoubt { .. } | State::Waiting { .. },
                PersonKnowledge::Complete,
            ) => {
                if has_effect {
                    vec![attested_landing(Some(self.probe_target(state, 0)))]
                } else if may_have_effect {
                    // A careful person waits until nothing can change any more.
                    return None;
                } else {
                    vec![
                        Decision::Released { new_key: false },
                        Decision::Released { new_key: true },
                        Decision::Refused,
                    ]
                }
            }
            _ => return None,
        };
        Some(PersonView { attempt, decisions })
    }
}

/// Returns true if the call has left a trace. A crash before that equals a call that never starts.
fn has_begun(running: &RunningCall) -> bool {
    running.grant_count > 0
        || running.probe_count > 0
        || matches!(
            running.action,
            GuardAction::Driver(DriverAction::Probe(_) | DriverAction::ReportProbe(_))
        )
}

fn attested_landing(outcome: Option<Outcome>) -> Decision {
    Decision::Landed {
        outcome: outcome.map(KeptOutcome::Whole),
        handles: Vec::new(),
    }
}

/// Narrows an index: no plan has 256 calls or requests.
pub(crate) fn action_index(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}
