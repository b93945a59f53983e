//! In doubt: ask the policy, then send the same again, look, or hold.

use super::{Action, Guard, LedgerFault, Phase, PolicyTrouble, Reading, Seen};
use crate::{
    ledger::{Refusal, Reply, Rule, Sight, Told, bound},
    model::{Effect, Finding, Outcome, Probe, Recovery, Verdict},
};

impl Guard {
    pub(super) fn recover(&mut self, reading: Reading) -> Action {
        let action = Action::Recover(reading.clone());
        self.enter(Phase::Recovering(reading), action)
    }

    pub(super) fn recovered(
        &mut self,
        reading: Reading,
        recovered: Result<Recovery, PolicyTrouble>,
        elapsed_ms: u64,
    ) -> Action {
        match recovered {
            Err(PolicyTrouble(why)) => self.hold(
                &reading,
                format!("the policy could not say what to do: {why}"),
            ),
            Ok(Recovery::Hold(reason)) => self.hold(&reading, reason),
            Ok(Recovery::Retry { .. }) if !self.allowance.can_run => self.in_doubt(reading),
            Ok(Recovery::Retry { delay_ms: 0 }) => self.resolve(reading),
            Ok(Recovery::Retry { delay_ms }) => {
                self.delay(reading, u64::from(delay_ms), elapsed_ms)
            }
            Ok(Recovery::Probe(_)) if !self.allowance.can_probe => self.in_doubt(reading),
            Ok(Recovery::Probe(probe)) => {
                let action = Action::Look {
                    shown: reading.last.number,
                };
                self.enter(Phase::Looking { reading, probe }, action)
            }
        }
    }

    fn in_doubt(&mut self, reading: Reading) -> Action {
        let own = self.take_own();
        self.unsettled(reading, own)
    }

    fn hold(&mut self, reading: &Reading, reason: String) -> Action {
        // What this call saw of an earlier attempt says nothing of the last.
        let own = self
            .own
            .as_ref()
            .filter(|(number, _)| *number == reading.last.number);
        let outcome = own.map(|(_, outcome)| outcome.clone());
        let action = Action::Hold {
            fence: reading.last,
            outcome,
            reason,
        };
        self.enter(Phase::Holding, action)
    }

    /// The delay passes before the right is asked for, so that no lease has to be kept meanwhile.
    fn delay(&mut self, reading: Reading, delay_ms: u64, elapsed_ms: u64) -> Action {
        if elapsed_ms.saturating_add(delay_ms) > self.allowance.wait_ms {
            return self.in_doubt(reading);
        }
        self.enter(Phase::Delaying { reading }, Action::Sleep { ms: delay_ms })
    }

    pub(super) fn resolve(&mut self, reading: Reading) -> Action {
        let action = Action::Resolve {
            shown: reading.last.number,
        };
        self.enter(Phase::Resolving(reading), action)
    }

    pub(super) fn resolved(
        &mut self,
        reading: Reading,
        resolved: Result<Reading, LedgerFault>,
    ) -> Action {
        match resolved {
            Ok(granted) => match granted.reply {
                Reply::Granted(grant) => self.granted(grant),
                _ => self.claim(),
            },
            Err(LedgerFault::Refused(refusal)) => self.not_resolved(reading, refusal),
            Err(fault) => self.ledger_away(fault),
        }
    }

    /// Somebody else was faster: see what stands now. A call with other noise may not send; the same one still may.
    /// Anything else is final: no repeat will ever be allowed, so a person must decide.
    fn not_resolved(&mut self, reading: Reading, refusal: Refusal) -> Action {
        match refusal {
            Refusal::NoRow { .. } | Refusal::NoRecord { .. } => self.claim(),
            Refusal::Rule {
                rule: Rule::LastAttemptShown,
                ..
            } => self.claim(),
            Refusal::Rule {
                rule: Rule::SameCallAgain,
                ..
            } => self.in_doubt(reading),
            Refusal::Rule { rule, .. } => {
                self.hold(&reading, format!("nothing more is tried: {rule}"))
            }
        }
    }

    pub(super) fn looked(
        &mut self,
        reading: Reading,
        probe: Probe,
        looked: Result<Reading, LedgerFault>,
    ) -> Action {
        match looked {
            Ok(granted) => match granted.reply {
                Reply::MayLook { .. } => {
                    let action = Action::Probe(probe.clone());
                    self.enter(Phase::Probing { reading, probe }, action)
                }
                _ => self.claim(),
            },
            Err(LedgerFault::Refused(refusal)) => self.not_resolved(reading, refusal),
            Err(fault) => self.ledger_away(fault),
        }
    }

    pub(super) fn probed(&mut self, reading: Reading, probe: Probe, answer: Outcome) -> Action {
        if let Outcome::Unanswered(silence) = answer {
            let reason = format!("the probe was not answered: {}", silence.reason);
            return self.see(Sight::Again { reason }, AfterLook::Stop);
        }
        self.enter(
            Phase::Weighing,
            Action::Weigh {
                reading,
                probe,
                answer,
            },
        )
    }

    pub(super) fn weighed(&mut self, weighed: Result<Finding, PolicyTrouble>) -> Action {
        match weighed {
            Err(PolicyTrouble(why)) => {
                let reason = format!("the policy could not weigh the probe's answer: {why}");
                self.see(Sight::Conflicting { reason }, AfterLook::Claim)
            }
            Ok(Finding::Landed(value)) => {
                let found = Outcome::Returned(value);
                let action = Action::Judge {
                    outcome: found.clone(),
                };
                self.enter(Phase::JudgingFound { found }, action)
            }
            Ok(Finding::Absent) => {
                let rerun_after_ms = self.allowance.timed_rerun_ms;
                self.see(Sight::NotFound { rerun_after_ms }, AfterLook::Claim)
            }
            Ok(Finding::Unsettled { delay_ms }) => {
                let reason = "a probe came too early to tell".to_owned();
                self.see(
                    Sight::Again { reason },
                    AfterLook::Sleep(u64::from(delay_ms)),
                )
            }
            Ok(Finding::Conflicting(reason)) => {
                self.see(Sight::Conflicting { reason }, AfterLook::Claim)
            }
        }
    }

    /// What a probe found is judged like any answer, for its handles.
    pub(super) fn judged_found(
        &mut self,
        found: Outcome,
        judged: Result<Verdict, PolicyTrouble>,
    ) -> Action {
        let seen = match judged {
            Ok(verdict)
                if bound(&found, &verdict, self.allowance.server_errors).effect()
                    == Effect::Landed =>
            {
                Seen::Found {
                    outcome: found,
                    handles: verdict.handles,
                    undid: verdict.undid,
                }
            }
            Ok(verdict) => Seen::Otherwise(Sight::Conflicting {
                reason: format!(
                    "the policy judges what the probe found otherwise: {}",
                    verdict.reason
                ),
            }),
            Err(PolicyTrouble(why)) => Seen::Otherwise(Sight::Conflicting {
                reason: format!("the policy could not judge what the probe found: {why}"),
            }),
        };
        self.enter(Phase::Seeing(AfterLook::Claim), Action::Saw { seen })
    }

    fn see(&mut self, sight: Sight, then: AfterLook) -> Action {
        self.enter(
            Phase::Seeing(then),
            Action::Saw {
                seen: Seen::Otherwise(sight),
            },
        )
    }

    /// Whatever was seen, what stands now is told by a claim. Only what came too early is looked at again by this call.
    pub(super) fn seen(
        &mut self,
        then: AfterLook,
        written: Result<Reading, LedgerFault>,
        elapsed_ms: u64,
    ) -> Action {
        match (then, written) {
            (_, Err(fault @ (LedgerFault::Away(_) | LedgerFault::Unreadable(_)))) => {
                self.ledger_away(fault)
            }
            (AfterLook::Sleep(ms), Ok(_))
                if elapsed_ms.saturating_add(ms) <= self.allowance.wait_ms =>
            {
                self.enter(Phase::Waiting, Action::Sleep { ms })
            }
            (AfterLook::Sleep(_) | AfterLook::Stop, Ok(reading)) => self.in_doubt(reading),
            // What a look left in doubt is for a later call, or it would look until no look is left.
            (AfterLook::Claim, Ok(reading)) if reading.reply == Reply::Told(Told::InDoubt) => {
                self.in_doubt(reading)
            }
            _ => self.claim(),
        }
    }
}

/// How a call goes on after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AfterLook {
    /// Something was seen: see what stands.
    Claim,
    /// It was too early: look again after so many milliseconds.
    Sleep(u64),
    /// The look itself failed: that is for a later call.
    Stop,
}
