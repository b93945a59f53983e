//! In doubt: ask the policy, then retry, probe or hold.

use super::{
    Guard, GuardAction, GuardLedgerError, GuardPhase, GuardPolicyError, ProbeOutcome, RecordReading,
};
use crate::{
    ledger::{ClaimReply, ProbeReport, Refusal, Reply, Rule, bound},
    model::{Effect, Outcome, Probe, ProbeVerdict, Recovery, Verdict},
};

impl Guard {
    pub(super) fn ask_policy(&mut self, reading: RecordReading) -> GuardAction {
        let action = GuardAction::Recover(reading.clone());
        self.enter_phase(GuardPhase::Recovering(reading), action)
    }

    pub(super) fn on_recovered(
        &mut self,
        reading: RecordReading,
        recovered: Result<Recovery, GuardPolicyError>,
        elapsed_ms: u64,
    ) -> GuardAction {
        match recovered {
            Err(GuardPolicyError(why)) => self.hold_operation(
                &reading,
                format!("the policy could not say what to do: {why}"),
            ),
            Ok(Recovery::Hold(reason)) => self.hold_operation(&reading, reason),
            Ok(Recovery::Retry { .. }) if !self.allowance.can_run => self.in_doubt(reading),
            Ok(Recovery::Retry { delay_ms: 0 }) => self.request_retry(reading),
            Ok(Recovery::Retry { delay_ms }) => {
                self.delay_retry(reading, u64::from(delay_ms), elapsed_ms)
            }
            Ok(Recovery::Probe(_)) if !self.allowance.can_probe => self.in_doubt(reading),
            Ok(Recovery::Probe(probe)) => {
                let action = GuardAction::Look {
                    shown: reading.last_number(),
                };
                self.enter_phase(GuardPhase::Looking { reading, probe }, action)
            }
        }
    }

    fn in_doubt(&mut self, reading: RecordReading) -> GuardAction {
        let own = self.take_own();
        self.finish_unsettled(reading, own)
    }

    fn hold_operation(&mut self, reading: &RecordReading, reason: String) -> GuardAction {
        let Some(fence) = reading.last else {
            return self.in_doubt(reading.clone());
        };
        // The outcome of an earlier attempt says nothing about the last one.
        let own = self
            .own
            .as_ref()
            .filter(|(number, _)| *number == fence.number);
        let outcome = own.map(|(_, outcome)| outcome.clone());
        let action = GuardAction::Hold {
            fence,
            outcome,
            reason,
        };
        self.enter_phase(GuardPhase::Holding, action)
    }

    /// The delay passes before the right is asked for, so that no lease has to be kept meanwhile.
    fn delay_retry(
        &mut self,
        reading: RecordReading,
        delay_ms: u64,
        elapsed_ms: u64,
    ) -> GuardAction {
        if elapsed_ms.saturating_add(delay_ms) > self.allowance.wait_ms {
            return self.in_doubt(reading);
        }
        self.enter_phase(
            GuardPhase::Delaying { reading },
            GuardAction::Sleep { ms: delay_ms },
        )
    }

    pub(super) fn request_retry(&mut self, reading: RecordReading) -> GuardAction {
        let action = GuardAction::Resolve {
            shown: reading.last_number(),
        };
        self.enter_phase(GuardPhase::Resolving(reading), action)
    }

    pub(super) fn on_retry_granted(
        &mut self,
        reading: RecordReading,
        resolved: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match resolved {
            Ok(granted) => match granted.reply {
                Reply::Granted(grant) => self.on_granted(grant),
                // The lease expired or the state changed between: a new claim reads it.
                _ => self.claim_again(),
            },
            Err(GuardLedgerError::Refused(refusal)) => self.not_resolved(reading, refusal),
            Err(fault) => self.ledger_away(fault),
        }
    }

    /// Another caller was faster: read the present state. A call with other noise may not send; an
    /// equal one still may. Anything else is final: no repeat will ever be allowed, so a person
    /// must decide.
    fn not_resolved(&mut self, reading: RecordReading, refusal: Refusal) -> GuardAction {
        match refusal {
            Refusal::NoRow { .. } | Refusal::NoRecord { .. } => self.claim_again(),
            Refusal::Rule {
                rule: Rule::LastAttemptShown,
                ..
            } => self.claim_again(),
            Refusal::Rule {
                rule: Rule::SameCallAgain,
                ..
            } => self.in_doubt(reading),
            Refusal::Rule { rule, .. } => {
                self.hold_operation(&reading, format!("no further attempt is made: {rule}"))
            }
        }
    }

    pub(super) fn on_probe_granted(
        &mut self,
        reading: RecordReading,
        probe: Probe,
        looked: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match looked {
            Ok(granted) => match granted.reply {
                Reply::MayLook { .. } => {
                    let action = GuardAction::Probe(probe.clone());
                    self.enter_phase(GuardPhase::Probing { reading, probe }, action)
                }
                _ => self.claim_again(),
            },
            Err(GuardLedgerError::Refused(refusal)) => self.not_resolved(reading, refusal),
            Err(fault) => self.ledger_away(fault),
        }
    }

    pub(super) fn on_probed(
        &mut self,
        reading: RecordReading,
        probe: Probe,
        answer: Outcome,
    ) -> GuardAction {
        // A probe without an answer has seen nothing that a policy could weigh.
        if let Outcome::Unanswered(silence) = answer {
            let reason = format!("the probe was not answered: {}", silence.reason);
            return self.report_probe(ProbeReport::Again { reason }, AfterProbe::Stop);
        }
        self.enter_phase(
            GuardPhase::Weighing,
            GuardAction::Weigh {
                reading,
                probe,
                answer,
            },
        )
    }

    pub(super) fn on_weighed(
        &mut self,
        weighed: Result<ProbeVerdict, GuardPolicyError>,
    ) -> GuardAction {
        match weighed {
            // A policy that fails on this answer fails again on the next, so a person decides.
            Err(GuardPolicyError(why)) => {
                let reason = format!("the policy could not weigh the probe's answer: {why}");
                self.report_probe(ProbeReport::Conflicting { reason }, AfterProbe::Claim)
            }
            Ok(ProbeVerdict::Landed(value)) => {
                let found = Outcome::Returned(value);
                let action = GuardAction::Judge {
                    outcome: found.clone(),
                };
                self.enter_phase(GuardPhase::JudgingFound { found }, action)
            }
            Ok(ProbeVerdict::Absent) => {
                let rerun_after_ms = self.allowance.timed_rerun_ms;
                self.report_probe(ProbeReport::NotFound { rerun_after_ms }, AfterProbe::Claim)
            }
            Ok(ProbeVerdict::Unsettled { delay_ms }) => {
                let reason = "a probe came too early to decide".to_owned();
                self.report_probe(
                    ProbeReport::Again { reason },
                    AfterProbe::Sleep(u64::from(delay_ms)),
                )
            }
            Ok(ProbeVerdict::Conflicting(reason)) => {
                self.report_probe(ProbeReport::Conflicting { reason }, AfterProbe::Claim)
            }
        }
    }

    /// The result of a probe is judged like any answer, for its handles.
    pub(super) fn judged_found(
        &mut self,
        found: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        let seen = match judged {
            Ok(verdict)
                if bound(&found, &verdict, self.allowance.server_errors).effect()
                    == Effect::Landed =>
            {
                ProbeOutcome::Found {
                    outcome: found,
                    handles: verdict.handles,
                    undid: verdict.undid,
                }
            }
            Ok(verdict) => ProbeOutcome::Otherwise(ProbeReport::Conflicting {
                reason: format!(
                    "the policy judges the probe's finding differently: {}",
                    verdict.reason
                ),
            }),
            Err(GuardPolicyError(why)) => ProbeOutcome::Otherwise(ProbeReport::Conflicting {
                reason: format!("the policy could not judge the probe's finding: {why}"),
            }),
        };
        self.enter_phase(
            GuardPhase::Seeing(AfterProbe::Claim),
            GuardAction::Saw { seen },
        )
    }

    fn report_probe(&mut self, sight: ProbeReport, then: AfterProbe) -> GuardAction {
        self.enter_phase(
            GuardPhase::Seeing(then),
            GuardAction::Saw {
                seen: ProbeOutcome::Otherwise(sight),
            },
        )
    }

    /// A new claim reports the present state, whatever the probe found. Only a probe that came too
    /// early is repeated by this call.
    pub(super) fn on_probe_reported(
        &mut self,
        then: AfterProbe,
        written: Result<RecordReading, GuardLedgerError>,
        elapsed_ms: u64,
    ) -> GuardAction {
        match (then, written) {
            (_, Err(fault @ (GuardLedgerError::Away(_) | GuardLedgerError::Unreadable(_)))) => {
                self.ledger_away(fault)
            }
            (AfterProbe::Sleep(ms), Ok(_))
                if elapsed_ms.saturating_add(ms) <= self.allowance.wait_ms =>
            {
                self.enter_phase(GuardPhase::Waiting, GuardAction::Sleep { ms })
            }
            (AfterProbe::Sleep(_) | AfterProbe::Stop, Ok(reading)) => self.in_doubt(reading),
            // A probe that left doubt is repeated by a later call only, or this one would use up all probes.
            (AfterProbe::Claim, Ok(reading))
                if reading.reply == Reply::Told(ClaimReply::InDoubt) =>
            {
                self.in_doubt(reading)
            }
            _ => self.claim_again(),
        }
    }
}

/// The continuation of a call after a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AfterProbe {
    /// The probe saw something: a new claim reads the recorded state.
    Claim,
    /// It was too early: another probe follows after so many milliseconds.
    Sleep(u64),
    /// The probe itself failed: a later call probes again.
    Stop,
}
