//! In doubt: ask the policy, then retry, probe or hold.

use super::{
    DriverAction, Guard, GuardAction, GuardLedgerError, GuardPhase, GuardPolicyError, ProbeOutcome,
    RecordReading,
};
use crate::{
    ledger::{ClaimReply, ProbeReport, Refusal, Reply, Rule, bound},
    model::{Effect, Outcome, Probe, ProbeVerdict, Recovery, Verdict},
};

impl Guard {
    pub(super) fn ask_recovery(&mut self, reading: RecordReading) -> GuardAction {
        self.enter_phase(GuardPhase::Recovering(reading), DriverAction::Recover)
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
            Ok(Recovery::Retry { .. }) if !self.allowance.can_run => self.finish_unsettled(reading),
            Ok(Recovery::Retry { delay_ms: 0 }) => self.request_retry(reading),
            Ok(Recovery::Retry { delay_ms }) => {
                self.delay_retry(reading, u64::from(delay_ms), elapsed_ms)
            }
            // Nothing here will ever look, so a person must.
            Ok(Recovery::Probe(probe)) if !self.allowance.can_probe => {
                let reason = format!(
                    "its policy would look with `{}`, and this host runs no probes",
                    probe.tool
                );
                self.hold_operation(&reading, reason)
            }
            Ok(Recovery::Probe(probe)) => {
                let action = DriverAction::RequestProbe {
                    shown: reading.last_number(),
                };
                self.enter_phase(GuardPhase::RequestingProbe { reading, probe }, action)
            }
        }
    }

    fn hold_operation(&mut self, reading: &RecordReading, reason: String) -> GuardAction {
        let Some(fence) = reading.last else {
            return self.finish_unsettled(reading.clone());
        };
        // The outcome of an earlier attempt says nothing about the last one.
        let own = self
            .own
            .as_ref()
            .filter(|(number, _)| *number == fence.number);
        let outcome = own.map(|(_, outcome)| outcome.clone());
        let action = DriverAction::Hold {
            fence,
            outcome,
            reason,
        };
        self.enter_phase(GuardPhase::Holding, action)
    }

    /// Passes the delay before it requests the right, so that no lease is renewed during the delay.
    fn delay_retry(
        &mut self,
        reading: RecordReading,
        delay_ms: u64,
        elapsed_ms: u64,
    ) -> GuardAction {
        if elapsed_ms.saturating_add(delay_ms) > self.allowance.wait_ms {
            return self.finish_unsettled(reading);
        }
        self.enter_phase(
            GuardPhase::Delaying { reading },
            DriverAction::Sleep { ms: delay_ms },
        )
    }

    pub(super) fn request_retry(&mut self, reading: RecordReading) -> GuardAction {
        let action = DriverAction::RequestRetry {
            shown: reading.last_number(),
        };
        self.enter_phase(GuardPhase::RequestingRetry(reading), action)
    }

    pub(super) fn on_retry_requested(
        &mut self,
        reading: RecordReading,
        replied: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match replied {
            Ok(granted) => match granted.reply {
                Reply::Granted(grant) => self.on_granted(grant),
                // The lease expired or the state changed between: a new claim reads it.
                _ => self.claim_again(),
            },
            Err(GuardLedgerError::Refused(refusal)) => self.on_request_refused(reading, refusal),
            Err(error) => self.ledger_away(error),
        }
    }

    /// Continues after a refused retry or probe. Where another caller was faster, a new claim reads the present state.
    /// Where the calls differ in noise, only the other call may be sent again. Any other refusal is final, so a person
    /// must decide.
    fn on_request_refused(&mut self, reading: RecordReading, refusal: Refusal) -> GuardAction {
        match refusal {
            Refusal::NoRow { .. } | Refusal::NoRecord { .. } => self.claim_again(),
            Refusal::Rule {
                rule: Rule::LastAttemptShown,
                ..
            } => self.claim_again(),
            Refusal::Rule {
                rule: Rule::SameCallAgain,
                ..
            } => self.finish_unsettled(reading),
            Refusal::Rule { rule, .. } => {
                self.hold_operation(&reading, format!("no further attempt is made: {rule}"))
            }
        }
    }

    pub(super) fn on_probe_requested(
        &mut self,
        reading: RecordReading,
        probe: Probe,
        replied: Result<RecordReading, GuardLedgerError>,
    ) -> GuardAction {
        match replied {
            Ok(granted) => match granted.reply {
                Reply::MayLook { .. } => {
                    let action = DriverAction::Probe(probe.clone());
                    self.enter_phase(GuardPhase::Probing { probe }, action)
                }
                _ => self.claim_again(),
            },
            Err(GuardLedgerError::Refused(refusal)) => self.on_request_refused(reading, refusal),
            Err(error) => self.ledger_away(error),
        }
    }

    pub(super) fn on_probed(&mut self, probe: Probe, answer: Outcome) -> GuardAction {
        // A policy cannot weigh a probe that was not answered.
        if let Outcome::Unanswered(silence) = answer {
            let reason = format!("the probe was not answered: {}", silence.reason);
            return self.report_probe(ProbeReport::Again { reason }, AfterProbe::Stop);
        }
        self.enter_phase(GuardPhase::Weighing, DriverAction::Weigh { probe, answer })
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
                let action = DriverAction::Judge {
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
    pub(super) fn on_found_judged(
        &mut self,
        found: Outcome,
        judged: Result<Verdict, GuardPolicyError>,
    ) -> GuardAction {
        let outcome = match judged {
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
            GuardPhase::ReportingProbe(AfterProbe::Claim),
            DriverAction::ReportProbe(outcome),
        )
    }

    fn report_probe(&mut self, report: ProbeReport, after: AfterProbe) -> GuardAction {
        self.enter_phase(
            GuardPhase::ReportingProbe(after),
            DriverAction::ReportProbe(ProbeOutcome::Otherwise(report)),
        )
    }

    /// A new claim reports the present state, whatever the probe found. Only a probe that came too
    /// early is repeated by this call.
    pub(super) fn on_probe_reported(
        &mut self,
        after: AfterProbe,
        written: Result<RecordReading, GuardLedgerError>,
        elapsed_ms: u64,
    ) -> GuardAction {
        match (after, written) {
            (_, Err(error @ (GuardLedgerError::Away(_) | GuardLedgerError::Unreadable(_)))) => {
                self.ledger_away(error)
            }
            (AfterProbe::Sleep(ms), Ok(_))
                if elapsed_ms.saturating_add(ms) <= self.allowance.wait_ms =>
            {
                self.enter_phase(GuardPhase::Waiting, DriverAction::Sleep { ms })
            }
            (AfterProbe::Sleep(_) | AfterProbe::Stop, Ok(reading)) => {
                self.finish_unsettled(reading)
            }
            // A probe that left doubt is repeated by a later call only, or this one would use up all probes.
            (AfterProbe::Claim, Ok(reading))
                if reading.reply == Reply::Told(ClaimReply::InDoubt) =>
            {
                self.finish_unsettled(reading)
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
