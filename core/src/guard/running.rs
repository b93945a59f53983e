//! With the right to send: run, judge, settle.

use super::{
    CallEnd, Guard, GuardAction, GuardLedgerError, GuardPhase, GuardPolicyError, MarkingError,
    RecordReading,
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
    pub(super) fn marked(&mut self, grant: Grant, marked: Result<(), MarkingError>) -> GuardAction {
        match marked {
            Ok(()) => self.run(grant),
            Err(why) => {
                let outcome = Outcome::not_sent(why.reason.clone());
                let verdict = self.bounded(&outcome, &Verdict::new(Effect::Absent, ""));
                let action = GuardAction::Settle {
                    grant,
                    outcome,
                    verdict,
                    handles: Vec::new(),
                    undid: Vec::new(),
                };
                self.enter(GuardPhase::Releasing { why }, action)
            }
        }
    }

    fn bounded(&self, outcome: &Outcome, verdict: &Verdict) -> BoundedVerdict {
        bound(outcome, verdict, self.allowance.server_errors)
    }

    pub(super) fn ran(&mut self, grant: Grant, outcome: Outcome) -> GuardAction {
        let action = GuardAction::Judge {
            outcome: outcome.clone(),
        };
        self.enter(GuardPhase::Judging { grant, outcome }, action)
    }

    pub(super) fn judged(
        &mut self,
        grant: Grant,
        outcome: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        match judged {
            Ok(verdict) => self.settle(grant, outcome, verdict),
            // That nothing was sent needs no policy to say so.
            Err(_) if matches!(&outcome, Outcome::Unanswered(silence) if !silence.sent) => {
                self.settle(grant, outcome, Verdict::new(Effect::Absent, ""))
            }
            Err(GuardPolicyError(why)) => {
                let reason = format!("the policy could not judge the outcome: {why}");
                let action = GuardAction::Hold {
                    fence: grant.fence,
                    outcome: Some(outcome.clone()),
                    reason,
                };
                self.own = Some((grant.fence.number, outcome));
                self.enter(GuardPhase::Holding, action)
            }
        }
    }

    fn settle(&mut self, grant: Grant, outcome: Outcome, verdict: Verdict) -> GuardAction {
        let bounded = self.bounded(&outcome, &verdict);
        let own = OwnAttempt {
            grant: grant.clone(),
            outcome: outcome.clone(),
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
            retry_after_ms: bounded.retry_after_ms(),
        };
        let action = GuardAction::Settle {
            grant,
            outcome,
            verdict: bounded,
            handles: verdict.handles,
            undid: verdict.undid,
        };
        self.enter(GuardPhase::Settling(own), action)
    }

    /// The state after a settlement decides how the call ends: an attempt may learn that another
    /// one landed.
    pub(super) fn settled(
        &mut self,
        own: OwnAttempt,
        written: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        let reading = match written {
            Ok(reading) => reading,
            Err(fault) if own.effect == Effect::Unknown => {
                return self.finish(CallEnd::Unsettled {
                    recorded: Err(fault),
                    outcome: Some(own.outcome),
                    reason: Some(own.reason),
                });
            }
            Err(fault) => return self.executed(own, Err(fault)),
        };
        self.note(&reading);
        let Reply::Told(told) = reading.reply.clone() else {
            return self.finish(CallEnd::Broken(
                "a settlement was answered by a right".to_owned(),
            ));
        };
        match told {
            ClaimReply::InDoubt => {
                self.own = Some((own.grant.fence.number, own.outcome));
                self.recover(reading)
            }
            ClaimReply::Released if own.effect == Effect::Absent && self.may_rerun() => {
                self.claim()
            }
            ClaimReply::Held => self.unsettled(reading, Some(own.outcome)),
            ClaimReply::Landed | ClaimReply::BeingUndone { .. } if own.effect != Effect::Landed => {
                self.finish(CallEnd::Told(reading))
            }
            // A later attempt of another caller is in progress, so this call's outcome settled
            // nothing.
            ClaimReply::Running { .. } if own.effect != Effect::Landed => {
                self.finish(CallEnd::Told(reading))
            }
            _ => self.executed(own, Ok(reading)),
        }
    }

    fn may_rerun(&self) -> bool {
        self.allowance.can_run && self.runs <= self.allowance.reruns
    }

    fn executed(
        &mut self,
        own: OwnAttempt,
        recorded: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        self.finish(CallEnd::Executed {
            grant: own.grant,
            outcome: own.outcome,
            effect: own.effect,
            reason: own.reason,
            retry_after_ms: own.retry_after_ms,
            recorded,
        })
    }

    pub(super) fn unsettled(
        &mut self,
        reading: RecordReading,
        outcome: Option<Outcome>,
    ) -> GuardAction {
        self.finish(CallEnd::Unsettled {
            recorded: Ok(reading),
            outcome,
            reason: None,
        })
    }

    pub(super) fn held(&mut self, written: Result<RecordReading, GuardLedgerError>) -> GuardAction {
        // A table that refuses to hold has moved on meanwhile: see what stands.
        if matches!(written, Err(GuardLedgerError::Refused(_))) {
            return self.claim();
        }
        let outcome = self.take_own();
        self.finish(CallEnd::Unsettled {
            recorded: written,
            outcome,
            reason: None,
        })
    }

    /// An attempt that could not be recorded as suspended is in doubt: it was sent, and no caller
    /// may ever ask for it again.
    pub(super) fn suspended(
        &mut self,
        grant: Grant,
        written: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match written {
            Ok(reading) => self.finish_told(reading),
            Err(_) => self.ran(grant, super::goes_on()),
        }
    }

    pub(super) fn ran_open(&mut self, outcome: Outcome) -> GuardAction {
        let action = GuardAction::Judge {
            outcome: outcome.clone(),
        };
        self.enter(GuardPhase::JudgingOpen(outcome), action)
    }

    pub(super) fn judged_open(
        &mut self,
        outcome: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        let verdict =
            judged.unwrap_or_else(|GuardPolicyError(why)| Verdict::new(Effect::Unknown, why));
        let bounded = self.bounded(&outcome, &verdict);
        self.finish(CallEnd::ExecutedOpen {
            outcome,
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
        })
    }
}
