//! With the right to send: run, judge, settle.

use super::{Action, End, Guard, LedgerFault, Phase, PolicyTrouble, Reading, Unmarked};
use crate::{
    ledger::{Bounded, Grant, Reply, Told, bound},
    model::{Effect, Outcome, Verdict},
};

/// This call's own attempt, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Own {
    pub(super) grant: Grant,
    pub(super) outcome: Outcome,
    pub(super) effect: Effect,
    pub(super) reason: String,
    pub(super) retry_after_ms: Option<u32>,
}

impl Guard {
    pub(super) fn marked(&mut self, grant: Grant, marked: Result<(), Unmarked>) -> Action {
        match marked {
            Ok(()) => self.run(grant),
            Err(why) => {
                let outcome = Outcome::not_sent(why.reason.clone());
                let verdict = self.bounded(&outcome, &Verdict::new(Effect::Absent, ""));
                let action = Action::Settle {
                    grant,
                    outcome,
                    verdict,
                    handles: Vec::new(),
                    undid: Vec::new(),
                };
                self.enter(Phase::Releasing { why }, action)
            }
        }
    }

    fn bounded(&self, outcome: &Outcome, verdict: &Verdict) -> Bounded {
        bound(outcome, verdict, self.allowance.server_errors)
    }

    pub(super) fn ran(&mut self, grant: Grant, outcome: Outcome) -> Action {
        let action = Action::Judge {
            outcome: outcome.clone(),
        };
        self.enter(Phase::Judging { grant, outcome }, action)
    }

    pub(super) fn judged(
        &mut self,
        grant: Grant,
        outcome: Outcome,
        judged: Result<Verdict, PolicyTrouble>,
    ) -> Action {
        match judged {
            Ok(verdict) => self.settle(grant, outcome, verdict),
            // That nothing was sent needs no policy to say so.
            Err(_) if matches!(&outcome, Outcome::Unanswered(silence) if !silence.sent) => {
                self.settle(grant, outcome, Verdict::new(Effect::Absent, ""))
            }
            Err(PolicyTrouble(why)) => {
                let reason = format!("the policy could not judge the outcome: {why}");
                let action = Action::Hold {
                    fence: grant.fence,
                    outcome: Some(outcome.clone()),
                    reason,
                };
                self.own = Some((grant.fence.number, outcome));
                self.enter(Phase::Holding, action)
            }
        }
    }

    fn settle(&mut self, grant: Grant, outcome: Outcome, verdict: Verdict) -> Action {
        let bounded = self.bounded(&outcome, &verdict);
        let own = Own {
            grant: grant.clone(),
            outcome: outcome.clone(),
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
            retry_after_ms: bounded.retry_after_ms(),
        };
        let action = Action::Settle {
            grant,
            outcome,
            verdict: bounded,
            handles: verdict.handles,
            undid: verdict.undid,
        };
        self.enter(Phase::Settling(own), action)
    }

    /// What stands after a settlement decides how the call ends: an attempt may learn that another one landed.
    pub(super) fn settled(&mut self, own: Own, written: Result<Reading, LedgerFault>) -> Action {
        let reading = match written {
            Ok(reading) => reading,
            Err(fault) if own.effect == Effect::Unknown => {
                return self.finish(End::Unsettled {
                    recorded: Err(fault),
                    outcome: Some(own.outcome),
                    reason: Some(own.reason),
                });
            }
            Err(fault) => return self.executed(own, Err(fault)),
        };
        self.note(&reading);
        let Reply::Told(told) = reading.reply.clone() else {
            return self.finish(End::Broken(
                "a settlement was answered by a right".to_owned(),
            ));
        };
        match told {
            Told::InDoubt => {
                self.own = Some((own.grant.fence.number, own.outcome));
                self.recover(reading)
            }
            Told::Released if own.effect == Effect::Absent && self.may_rerun() => self.claim(),
            Told::Held => self.unsettled(reading, Some(own.outcome)),
            Told::Landed | Told::BeingUndone { .. } if own.effect != Effect::Landed => {
                self.finish(End::Told(reading))
            }
            // Somebody's later attempt is under way, so this call's own word settled nothing.
            Told::Running { .. } if own.effect != Effect::Landed => self.finish(End::Told(reading)),
            _ => self.executed(own, Ok(reading)),
        }
    }

    fn may_rerun(&self) -> bool {
        self.allowance.can_run && self.runs <= self.allowance.reruns
    }

    fn executed(&mut self, own: Own, recorded: Result<Reading, LedgerFault>) -> Action {
        self.finish(End::Executed {
            grant: own.grant,
            outcome: own.outcome,
            effect: own.effect,
            reason: own.reason,
            retry_after_ms: own.retry_after_ms,
            recorded,
        })
    }

    pub(super) fn unsettled(&mut self, reading: Reading, outcome: Option<Outcome>) -> Action {
        self.finish(End::Unsettled {
            recorded: Ok(reading),
            outcome,
            reason: None,
        })
    }

    pub(super) fn held(&mut self, written: Result<Reading, LedgerFault>) -> Action {
        // A table that refuses to hold has moved on meanwhile: see what stands.
        if matches!(written, Err(LedgerFault::Refused(_))) {
            return self.claim();
        }
        let outcome = self.take_own();
        self.finish(End::Unsettled {
            recorded: written,
            outcome,
            reason: None,
        })
    }

    /// What could not be written is in doubt: it was sent, and somebody may never ask for it again.
    pub(super) fn suspended(
        &mut self,
        grant: Grant,
        written: Result<Reading, LedgerFault>,
    ) -> Action {
        match written {
            Ok(reading) => self.finish_told(reading),
            Err(_) => self.ran(grant, super::goes_on()),
        }
    }

    pub(super) fn ran_open(&mut self, outcome: Outcome) -> Action {
        let action = Action::Judge {
            outcome: outcome.clone(),
        };
        self.enter(Phase::JudgingOpen(outcome), action)
    }

    pub(super) fn judged_open(
        &mut self,
        outcome: Outcome,
        judged: Result<Verdict, PolicyTrouble>,
    ) -> Action {
        let verdict =
            judged.unwrap_or_else(|PolicyTrouble(why)| Verdict::new(Effect::Unknown, why));
        let bounded = self.bounded(&outcome, &verdict);
        self.finish(End::ExecutedOpen {
            outcome,
            effect: bounded.effect(),
            reason: bounded.reason().to_owned(),
        })
    }
}
