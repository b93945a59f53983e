//! The driver of a call: performs the guard's actions against the ledger and the target, and
//! reports events back.
//!
//! The guard is a state machine without I/O. In the library, the host's runtime drives it; here,
//! the checker does, one action at a time, so that other calls may come in between.

use semel_core::json::JsonValue;
use semel_core::{
    guard::{
        CallEnd, CallerAction, DriverAction, GuardAction, GuardEvent, GuardLedgerError,
        MarkingError, ProbeOutcome, RecordReading,
    },
    ledger::{
        BoundedVerdict, Claim, ClaimReply, Command, Grant, HandleOwner, KeptOutcome, MarkMeaning,
        OperationGeneration, ProbeReport, ProbeRequester, Refusal, Reply, Rule, Settlement, State,
    },
    model::{CallDigest, Effect, Nonce, Outcome, Probe, ProbeVerdict, Recovery, Verdict},
};

use crate::{
    enabled::action_index,
    model::LedgerModel,
    plan::{RecoveryAdvice, generation_of, generation_to_undo, operation_of_key, store_key},
    property::SafetyProperty,
    state::{
        CallPhase, ModelState, NonceSource, OperationIndex, SendRight, TargetEntry, TargetKey,
        TargetRequest, VoidMark, success_outcome,
    },
};
use std::sync::Arc;

/// The target's failure that certainly had no effect.
pub(crate) const ABSENT_MESSAGE: &str = "absent";

impl LedgerModel {
    /// Reports an event to the guard, and continues to the next action that another call may
    /// precede.
    ///
    /// A pure function of the policy answers at once: its place among the actions of other calls
    /// makes no difference.
    pub(crate) fn report_event(&self, state: &mut ModelState, call: usize, event: GuardEvent) {
        let mut event = event;
        loop {
            let Some(running) = state.running_call_mut(call) else {
                return;
            };
            event = match running.guard.step(event, 0) {
                GuardAction::Driver(DriverAction::Judge { outcome }) => {
                    GuardEvent::Judged(Ok(judge_outcome(&outcome)))
                }
                GuardAction::Driver(DriverAction::Weigh { answer, .. }) => {
                    GuardEvent::Weighed(Ok(weigh_probe(&answer)))
                }
                GuardAction::Driver(DriverAction::Recover) if self.plan.advice.len() == 1 => {
                    let advice = self.plan.advice.first().copied();
                    let advice = advice.unwrap_or(RecoveryAdvice::Hold);
                    GuardEvent::Recovered(Ok(recovery_for(advice)))
                }
                GuardAction::Caller(CallerAction::Finish(end)) => {
                    return self.finish_call(state, call, &end);
                }
                action => {
                    running.action = action;
                    return;
                }
            };
        }
    }

    /// Performs the action that the guard asks for.
    pub(crate) fn advance_call(&self, state: &mut ModelState, call: usize) {
        let Some(running) = state.running_call(call) else {
            return;
        };
        match running.action.clone() {
            GuardAction::Caller(CallerAction::RunTool(grant)) => {
                self.send_request(state, call, &grant);
            }
            GuardAction::Driver(action) => self.perform_driver_action(state, call, action),
            GuardAction::Caller(CallerAction::RunWithoutLedger | CallerAction::Finish(_)) => {}
        }
    }

    fn perform_driver_action(&self, state: &mut ModelState, call: usize, action: DriverAction) {
        match action {
            DriverAction::Claim { read_undelivered } => {
                self.claim_operation(state, call, read_undelivered);
            }
            DriverAction::Resume { continuation } => {
                let nonce = attempt_nonce(state, call);
                let command = Command::Continue {
                    continuation,
                    nonce,
                };
                self.claim_by_command(state, call, &command);
            }
            DriverAction::Suspend {
                fence,
                continuation,
                limit_seconds,
            } => {
                let command = Command::Suspend {
                    fence,
                    continuation,
                    limit_seconds,
                };
                self.write_by_command(state, call, &command);
            }
            DriverAction::Mark(grant) => self.mark_undo(state, call, &grant),
            DriverAction::Settle {
                grant,
                outcome,
                verdict,
                undid,
                ..
            } => self.settle_attempt(state, call, &grant, outcome, verdict, &undid),
            DriverAction::Hold {
                fence,
                outcome,
                reason,
            } => {
                let command = Command::Hold {
                    fence,
                    outcome: outcome.map(KeptOutcome::Whole),
                    reason,
                };
                self.write_by_command(state, call, &command);
            }
            DriverAction::Wait { .. } | DriverAction::Sleep { .. } => {
                self.report_event(state, call, GuardEvent::Woken);
            }
            DriverAction::RequestRetry { shown } => self.request_retry(state, call, shown),
            DriverAction::RequestProbe { shown } => {
                let command = Command::Look {
                    nonce: probe_nonce(state, call),
                    shown,
                    asker: ProbeRequester::Caller,
                    looks_max: self.plan.allowance().probes,
                };
                self.claim_by_command(state, call, &command);
            }
            DriverAction::Probe(_) => {
                let found = self.probe_target(state, self.planned_call(call).operation);
                self.report_event(state, call, GuardEvent::Ran(found));
            }
            DriverAction::ReportProbe(outcome) => self.report_probe(state, call, outcome),
            // `report_event` answers these, or an action of the checker does.
            DriverAction::Judge { .. } | DriverAction::Weigh { .. } | DriverAction::Recover => {}
        }
    }

    /// Executes a command that may grant a right, and reports the reply to the guard.
    fn claim_by_command(&self, state: &mut ModelState, call: usize, command: &Command) {
        let claimed = self.execute_for_call(state, call, command);
        self.report_event(state, call, GuardEvent::Claimed(claimed));
    }

    /// Executes a command that writes a result, and reports the reply to the guard.
    fn write_by_command(&self, state: &mut ModelState, call: usize, command: &Command) {
        let written = self.execute_for_call(state, call, command);
        self.report_event(state, call, GuardEvent::Written(written));
    }

    /// Executes a command of a call, and reads the record after it.
    fn execute_for_call(
        &self,
        state: &mut ModelState,
        call: usize,
        command: &Command,
    ) -> Result<RecordReading, GuardLedgerError> {
        let operation = self.planned_call(call).operation;
        let reply = self
            .execute_command(state, operation, Some(call), command)
            .map_err(GuardLedgerError::Refused)?;
        let Some(record) = state.record(operation) else {
            return Err(GuardLedgerError::Away("gone".to_owned()));
        };
        let is_delivered = matches!(
            record.state,
            State::Landed {
                delivered: true,
                ..
            } | State::Tombstone {
                delivered: true,
                ..
            } | State::Undone {
                delivered: true,
                ..
            }
        );
        let last = record.last_attempt().map(|last| last.fence);
        let generation = record.generation;
        let now = state.tick;
        if let Some(running) = state.running_call_mut(call) {
            if !is_delivered {
                running.first_read.get_or_insert(generation);
            }
            if let Reply::Granted(grant) = &reply {
                running.right = Some(SendRight::from_grant(operation, grant, now));
                running.grant_count += 1;
                running.void_mark = None;
            }
        }
        Ok(RecordReading {
            reply,
            key: store_key(operation),
            // The guard does not read the version, which would only make equal states differ.
            version: Nonce::from_bytes([0; 16]),
            generation,
            delivered: is_delivered,
            last,
        })
    }

    fn claim_operation(&self, state: &mut ModelState, call: usize, read_undelivered: Option<u32>) {
        let operation = self.planned_call(call).operation;
        if self.plan.declares_undo(operation) && !self.has_read_owners(state, call) {
            return self.read_owners(state, call);
        }
        let nonce = attempt_nonce(state, call);
        let void_mark = current_void_mark(state, call);
        let named = state
            .running_call_mut(call)
            .and_then(|running| running.named.take());
        let claim = Claim {
            read_undelivered,
            void_mark,
            named: named.unwrap_or_default(),
            ..self.plan.claim(self.planned_call(call), nonce)
        };
        let claimed = self.execute_for_call(state, call, &Command::Claim(Arc::new(claim)));
        if let Ok(reading) = &claimed
            && let Reply::Told(ClaimReply::BeingUndone { by }) = reading.reply
        {
            self.follow_mark(state, call, by);
        } else {
            self.report_event(state, call, GuardEvent::Claimed(claimed));
        }
    }

    fn request_retry(&self, state: &mut ModelState, call: usize, shown: u32) {
        let command = Command::Resolve {
            nonce: attempt_nonce(state, call),
            shown,
            call_digest: CallDigest::from_bytes([self.planned_call(call).digest; 32]),
            retries_max: self.plan.allowance().retries,
            facts: Vec::new(),
        };
        self.claim_by_command(state, call, &command);
    }

    /// Sends the request, if the right is still valid at that moment.
    fn send_request(&self, state: &mut ModelState, call: usize, grant: &Grant) {
        let now = state.tick;
        let Some(running) = state.running_call_mut(call) else {
            return;
        };
        let Some(right) = &mut running.right else {
            return;
        };
        if right.is_used {
            return;
        }
        let is_usable = right.is_usable(now);
        right.is_used = true;
        if !is_usable {
            let not_sent = Outcome::not_sent("the right is void");
            return self.report_event(state, call, GuardEvent::Ran(not_sent));
        }
        let planned = self.planned_call(call);
        let request = TargetRequest {
            key: TargetKey::from_grant(planned.operation, grant),
            fence: grant.fence,
            content: planned.content,
            sent_at: now,
            is_disowned: false,
        };
        self.put_in_flight(state, request);
    }

    pub(crate) fn put_in_flight(&self, state: &mut ModelState, request: TargetRequest) {
        self.check_sending(state, &request);
        state.target.entry(request.key).or_insert(TargetEntry {
            content: request.content,
            ..TargetEntry::default()
        });
        state.requests.push(request);
        // The network keeps no order: sorted, states that differ in it alone are one.
        state.requests.sort_by_key(|request| {
            let fence = request.fence;
            (request.key, fence.number, *fence.nonce.as_bytes())
        });
    }

    fn settle_attempt(
        &self,
        state: &mut ModelState,
        call: usize,
        grant: &Grant,
        outcome: Outcome,
        verdict: BoundedVerdict,
        undid: &[String],
    ) {
        let planned = self.planned_call(call);
        let settlement = Settlement {
            fence: grant.fence,
            generation: grant.generation,
            series: grant.series,
            outcome: KeptOutcome::Whole(outcome),
            verdict,
            handles: self.plan.handles(planned.operation),
            undid: undid
                .iter()
                .filter_map(|generation| generation.parse().ok())
                .map(generation_to_undo)
                .collect(),
            claim: Arc::new(self.plan.claim(planned, grant.fence.nonce)),
        };
        if let Some(undone) = settlement.undid.first() {
            state.history.undo_by_outcome = Some((planned.operation, undone.generation));
        }
        self.write_by_command(state, call, &Command::Settle(Box::new(settlement)));
    }

    fn report_probe(&self, state: &mut ModelState, call: usize, outcome: ProbeOutcome) {
        let sight = match outcome {
            ProbeOutcome::Found { outcome, .. } => ProbeReport::Found {
                outcome: KeptOutcome::Whole(outcome),
                handles: Vec::new(),
                undid: Vec::new(),
            },
            ProbeOutcome::Otherwise(report) => report,
        };
        let command = Command::Saw {
            nonce: probe_nonce(state, call),
            sight,
        };
        let written = self.execute_for_call(state, call, &command);
        if let Some(running) = state.running_call_mut(call) {
            running.probe_count += 1;
        }
        self.report_event(state, call, GuardEvent::Written(written));
    }

    /// The result of a probe: the effect under the record's current key, or null.
    pub(crate) fn probe_target(&self, state: &ModelState, operation: OperationIndex) -> Outcome {
        let Some(record) = state.record(operation) else {
            return Outcome::Returned(JsonValue::Null);
        };
        let key = TargetKey {
            operation,
            generation: record.generation,
            series: record.series,
        };
        match state.target.get(&key) {
            Some(entry) if entry.effects > 0 => success_outcome(key.generation, entry.content),
            _ => Outcome::Returned(JsonValue::Null),
        }
    }

    /// Marks the operation that this call undoes, before its request is sent.
    fn mark_undo(&self, state: &mut ModelState, call: usize, grant: &Grant) {
        // Another owner of the handle is not part of the model.
        let of_operation = |of: &HandleOwner| of.of.key == store_key(0);
        let Some(of) = grant.marks.iter().map(|mark| mark.of).find(of_operation) else {
            return self.report_event(state, call, GuardEvent::Marked(Ok(())));
        };
        let command = Command::MarkUndoing {
            by: generation_of(self.planned_call(call).operation, grant.generation),
            of,
            void_mark: current_void_mark(state, call),
        };
        let refusal = match self.execute_command(state, 0, Some(call), &command) {
            Ok(_) => return self.report_event(state, call, GuardEvent::Marked(Ok(()))),
            Err(refusal) => refusal,
        };
        let is_marked_already = matches!(
            refusal,
            Refusal::Rule {
                rule: Rule::OneUndoAtATime,
                ..
            }
        );
        // The other mark may be void: then the next attempt to mark says so, and succeeds.
        if is_marked_already && self.remember_void_mark(state, call) {
            return;
        }
        if let Some(running) = state.running_call_mut(call)
            && let Some(right) = &mut running.right
        {
            right.is_used = true;
        }
        let error = MarkingError {
            reason: refusal.to_string(),
            passes: false,
        };
        self.report_event(state, call, GuardEvent::Marked(Err(error)));
    }

    /// Examines the operation that undoes a marked record, before the call claims again.
    fn follow_mark(&self, state: &mut ModelState, call: usize, by: OperationGeneration) {
        let Some(record) = state.record(operation_of_key(by.key)) else {
            return state.require(SafetyProperty::MarkHasRecord, false);
        };
        let is_unsettled = matches!(record.state, State::InDoubt { .. } | State::Held { .. });
        match record.mark_meaning(by.generation, present_generation(state)) {
            MarkMeaning::Undone => self.write_undo(state, by),
            MarkMeaning::Void => set_void_mark(state, call, by),
            MarkMeaning::Open if is_unsettled => state.set_phase(call, CallPhase::Ended),
            MarkMeaning::Open => {}
        }
    }

    /// Remembers the mark of operation 0 as void if its operation was released or refused; returns
    /// whether it was.
    fn remember_void_mark(&self, state: &mut ModelState, call: usize) -> bool {
        let Some(State::Landed {
            undone_by: Some(by),
            ..
        }) = state.record(0).map(|record| &record.state)
        else {
            return false;
        };
        let by = *by;
        let Some(undoing) = state.record(operation_of_key(by.key)) else {
            state.require(SafetyProperty::MarkHasRecord, false);
            return false;
        };
        let meaning = undoing.mark_meaning(by.generation, present_generation(state));
        let is_void = meaning == MarkMeaning::Void;
        if is_void {
            set_void_mark(state, call, by);
        }
        is_void
    }

    fn finish_call(&self, state: &mut ModelState, call: usize, end: &CallEnd) {
        let reading = match end {
            CallEnd::Executed {
                recorded: Ok(reading),
                ..
            }
            | CallEnd::Recorded(reading) => Some(reading),
            _ => None,
        };
        let has_outcome = reading.is_some_and(|reading| {
            matches!(
                reading.reply,
                Reply::Told(ClaimReply::Landed | ClaimReply::Undone)
            )
        });
        let operation = self.planned_call(call).operation;
        let must_deliver = has_outcome && self.plan.delivery_matters(operation);
        let phase = match state.record(operation) {
            Some(record) if must_deliver => CallPhase::Answered {
                generation: record.generation,
                attempt: record.landed_attempt(),
            },
            _ => CallPhase::Ended,
        };
        state.set_phase(call, phase);
    }
}

/// The nonce of a call's next attempt.
fn attempt_nonce(state: &ModelState, call: usize) -> Nonce {
    let number = state
        .running_call(call)
        .map_or(0, |running| running.grant_count);
    NonceSource::Attempt(action_index(call)).nonce(number)
}

/// The nonce of a call's current probe.
fn probe_nonce(state: &ModelState, call: usize) -> Nonce {
    let number = state
        .running_call(call)
        .map_or(0, |running| running.probe_count);
    NonceSource::Probe(action_index(call)).nonce(number)
}

/// The present generation of operation 0.
pub(crate) fn present_generation(state: &ModelState) -> OperationGeneration {
    generation_to_undo(state.record(0).map_or(0, |record| record.generation))
}

/// The version of the record of operation 0.
fn record_version(state: &ModelState) -> Option<u8> {
    state.ledger.get(&0).map(|stored| stored.version)
}

/// The operation of the mark that a call found void; forgets it if the record has changed since.
fn current_void_mark(state: &mut ModelState, call: usize) -> Option<OperationGeneration> {
    let version = record_version(state);
    let running = state.running_call_mut(call)?;
    running.void_mark = running
        .void_mark
        .filter(|mark| Some(mark.version) == version);
    running.void_mark.map(|mark| mark.by)
}

fn set_void_mark(state: &mut ModelState, call: usize, by: OperationGeneration) {
    let version = record_version(state).unwrap_or(0);
    if let Some(running) = state.running_call_mut(call) {
        running.void_mark = Some(VoidMark { by, version });
    }
}

/// The verdict of an honest policy.
fn judge_outcome(outcome: &Outcome) -> Verdict {
    let effect = match outcome {
        Outcome::Returned(_) => Effect::Landed,
        Outcome::Failed(failure) if failure.message == ABSENT_MESSAGE => Effect::Absent,
        Outcome::Failed(_) => Effect::Refused,
        Outcome::Unanswered(_) => Effect::Unknown,
    };
    let undone_generation = match outcome {
        Outcome::Returned(value) => value.as_str().and_then(|text| text.strip_prefix("undid ")),
        _ => None,
    };
    Verdict {
        undid: undone_generation.map(str::to_owned).into_iter().collect(),
        ..Verdict::new(effect, "")
    }
}

/// The verdict of an honest policy on the answer of a probe.
fn weigh_probe(answer: &Outcome) -> ProbeVerdict {
    match answer {
        Outcome::Returned(value) if !value.is_null() => ProbeVerdict::Landed(value.clone()),
        _ => ProbeVerdict::Absent,
    }
}

pub(crate) fn recovery_for(advice: RecoveryAdvice) -> Recovery {
    match advice {
        RecoveryAdvice::Retry => Recovery::Retry { delay_ms: 0 },
        RecoveryAdvice::Probe => Recovery::Probe(Probe {
            tool: String::new(),
            arguments: JsonValue::Null,
        }),
        RecoveryAdvice::Hold => Recovery::Hold(String::new()),
    }
}
