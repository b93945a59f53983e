//! With the right to send: run, judge, settle.

use super::{
    CallEnd, DriverAction, Guard, GuardAction, GuardLedgerError, GuardPhase, GuardPolicyError,
    MarkingError, RecordReading,
};
use crate::{
    ledger::{BoundedVerdict, ClaimReply, Grant, Reply, bound},
    model::{Effect, Outcome, Verdict},
};

/// The call's own attempt and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OwnAttempt {
    pub(super) grant: Grant,
    pub(super) outcome: Outcome,
    pub(super) effect: Effect,
    pub(super) reason: String,
    pub(super) retry_after_ms: Option<u32>,
}

impl Guard {
    pub(super) fn on_marked(
        &mut self,
        grant: Grant,
        marked: Result<(), MarkingError>,
    ) -> GuardAction {
        match marked {
            Ok(()) => self.run_tool(grant),
            // The right is granted and unused: settled as not sent, it blocks no other caller.
            Err(why) => {
                let outcome = Outcome::not_sent(why.reason.clone());
                let verdict = self.bounded_verdict(&outcome, &Verdict::new(Effect::Absent, ""));
                let action = DriverAction::Settle {
                    grant,
                    outcome,
                    verdict,
                    handles: Vec::new(),
                    undid: Vec::new(),
                };
                self.enter_phase(GuardPhase::Releasing { why }, action)
            }
        }
    }

    fn bounded_verdict(&self, outcome: &Outcome, verdict: &Verdict) -> BoundedVerdict {
        bound(outcome, verdict, self.allowance.server_errors)
    }

    pub(super) fn on_ran(&mut self, grant: Grant, outcome: Outcome) -> GuardAction {
        let action = DriverAction::Judge {
            outcome: outcome.clone(),
        };
        self.enter_phase(GuardPhase::Judging { grant, outcome }, action)
    }

    pub(super) fn on_judged(
        &mut self,
        grant: Grant,
        outcome: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        match judged {
            Ok(verdict) => self.settle_attempt(grant, outcome, verdict),
            // Proof that nothing was sent needs no policy.
            Err(_) if matches!(&outcome, Outcome::Unanswered(silence) if !silence.sent) => {
                self.settle_attempt(grant, outcome, Verdict::new(Effect::Absent, ""))
            }
            Err(GuardPolicyError(why)) => {
                let reason = format!("the policy could not judge the outcome: {why}");
                let action = DriverAction::Hold {
                    fence: grant.fence,
                    outcome: Some(outcome.clone()),
                    reason,
                };
                self.own = Some((grant.fence.number, outcome));
                self.enter_phase(GuardPhase::Holding, action)
            }
        }
    }

    fn settle_attempt(&mut self, grant: Grant, outcome: Outcome, verdict: Verdict) -> GuardAction {
        let bounded = self.bounded_verdict(&outcome, &verdict);
        let own = OwnAttempt {
            grant: grant.clone(),
            outcome: outcome.clone(),
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
            retry_after_ms: bounded.retry_after_ms(),
        };
        let action = DriverAction::Settle {
            grant,
            outcome,
            verdict: bounded,
            handles: verdict.handles,
            undid: verdict.undid,
        };
        self.enter_phase(GuardPhase::Settling(own), action)
    }

    /// The state after a settlement decides how the call ends: an attempt may learn that another
    /// one landed.
    pub(super) fn on_settled(
        &mut self,
        own: OwnAttempt,
        written: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        let reading = match written {
            Ok(reading) => reading,
            // Without a record the policy cannot be asked to recover, so the caller gets the doubt.
            Err(error) if own.effect == Effect::Unknown => {
                return self.finish_call(CallEnd::Unsettled {
                    recorded: Err(error),
                    outcome: Some(own.outcome),
                    reason: Some(own.reason),
                });
            }
            Err(error) => return self.finish_executed(own, Err(error)),
        };
        self.note_undelivered(&reading);
        let Reply::Told(reply) = reading.reply.clone() else {
            return self.finish_call(CallEnd::Broken(
                "a settlement was answered by a right".to_owned(),
            ));
        };
        match reply {
            // The call continues with a recovery, and keeps its outcome in case that a person must decide.
            ClaimReply::InDoubt => {
                self.own = Some((own.grant.fence.number, own.outcome));
                self.ask_recovery(reading)
            }
            ClaimReply::Released { wait_ms: 0 }
                if own.effect == Effect::Absent && self.may_rerun() =>
            {
                self.claim_again()
            }
            ClaimReply::Held => {
                self.own = Some((own.grant.fence.number, own.outcome));
                self.finish_unsettled(reading)
            }
            ClaimReply::Landed | ClaimReply::BeingUndone { .. } if own.effect != Effect::Landed => {
                self.finish_call(CallEnd::Recorded(reading))
            }
            // A later attempt of another caller is in progress, so this call's outcome settled
            // nothing.
            ClaimReply::Running { .. } if own.effect != Effect::Landed => {
                self.finish_call(CallEnd::Recorded(reading))
            }
            _ => self.finish_executed(own, Ok(reading)),
        }
    }

    fn may_rerun(&self) -> bool {
        self.allowance.can_run && self.runs <= self.allowance.reruns
    }

    fn finish_executed(
        &mut self,
        own: OwnAttempt,
        recorded: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        self.finish_call(CallEnd::Executed {
            grant: own.grant,
            outcome: own.outcome,
            effect: own.effect,
            reason: own.reason,
            retry_after_ms: own.retry_after_ms,
            recorded,
        })
    }

    pub(super) fn on_held(
        &mut self,
        written: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        // A refused hold means that the record has changed: a new claim reads its state.
        if matches!(written, Err(GuardLedgerError::Refused(_))) {
            return self.claim_again();
        }
        let outcome = self.take_own();
        self.finish_call(CallEnd::Unsettled {
            recorded: written,
            outcome,
            reason: None,
        })
    }

    /// An attempt that could not be recorded as suspended is in doubt: it was sent, and no caller
    /// may ever ask for it again.
    pub(super) fn on_suspended(
        &mut self,
        grant: Grant,
        written: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match written {
            Ok(reading) => self.finish_recorded(reading),
            Err(_) => self.on_ran(grant, super::unrecorded_continuation()),
        }
    }

    pub(super) fn on_ran_without_ledger(&mut self, outcome: Outcome) -> GuardAction {
        let action = DriverAction::Judge {
            outcome: outcome.clone(),
        };
        self.enter_phase(GuardPhase::JudgingWithoutLedger(outcome), action)
    }

    pub(super) fn on_judged_without_ledger(
        &mut self,
        outcome: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        let verdict =
            judged.unwrap_or_else(|GuardPolicyError(why)| Verdict::new(Effect::Unknown, why));
        let bounded = self.bounded_verdict(&outcome, &verdict);
        self.finish_call(CallEnd::ExecutedWithoutLedger {
            outcome,
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
        })
    }
}
