//! Performs the guard's actions, and reports their results.

mod requests;
mod undo_note;

use crate::runtime::{
    call::{
        context::CallContext,
        lease::{SendInProgress, SendRight},
        settlement::{GrantedAttempt, JudgedOutcome},
    },
    ledger_client::{AppliedCommand, clock::BootInstant, error::LedgerError},
};
use crate::{
    engine::PolicyError,
    guard::{
        CallEnd, CallerAction, DriverAction, Guard, GuardAction, GuardEvent, GuardLedgerError,
        GuardPolicyError, RecordReading,
    },
    ledger::{Claim, Grant, Record, Reply},
    model::{Nonce, Outcome, Probe, ProbeVerdict, Recovery, UndoNote, Verdict},
};
use semel_store::failpoints::{self, Failpoint};
use std::{sync::Arc, time::Duration};

/// The point at which a guarded call returns control to its caller.
#[derive(Debug)]
pub(crate) enum DriverPause {
    /// The caller is to run the tool, once it has used the right up.
    RunTool(Box<(SendRight, Grant)>),
    /// The caller is to run the tool although the ledger is unreachable.
    RunWithoutLedger,
    /// The call is over.
    Finished(Box<CallEnd>),
}

/// The way in which a call reaches its record.
#[derive(Debug, Clone)]
pub(crate) enum CallOpening {
    /// The call claims.
    Claim,
    /// The call claims, and was made before the outcome of this generation was delivered.
    ClaimBeforeDelivery { generation: u32 },
    /// The call resumes the attempt that waits under this continuation.
    Resume { continuation: String },
}

/// One guarded call in progress.
#[derive(Debug)]
pub(crate) struct CallDriver {
    pub(crate) context: CallContext,
    /// The latest claim, with the nonce of the attempt that it requested.
    pub(crate) claim: Option<Arc<Claim>>,
    /// The ledger's latest reply.
    pub(crate) latest: Option<AppliedCommand>,
    /// The ledger's latest failure.
    pub(crate) ledger_error: Option<LedgerError>,
    pub(crate) sending: Option<SendInProgress>,
    /// The tracing span of the call.
    pub(crate) span: tracing::Span,
    guard: Guard,
    right: Option<SendRight>,
    /// The nonce of the probe in progress.
    probe: Option<Nonce>,
    /// What the latest claim learned of undoing.
    pub(crate) undo_note: Option<UndoNote>,
    begun: BootInstant,
}

impl CallDriver {
    /// Starts a call with a known operation, and returns its first action.
    pub(crate) fn start(
        context: CallContext,
        opening: CallOpening,
        begun: BootInstant,
    ) -> (Box<Self>, GuardAction) {
        let mut allowance = context.tool.allowance.clone();
        // A policy may request a probe that this host cannot run: the operation stays in doubt then.
        allowance.can_probe = context.host.prober.is_some();
        let (guard, action) = match opening {
            CallOpening::Claim => Guard::start(allowance),
            CallOpening::ClaimBeforeDelivery { generation } => {
                Guard::start_before_delivery(allowance, generation)
            }
            CallOpening::Resume { continuation } => Guard::resume(allowance, continuation),
        };
        let span = tracing::info_span!(
            "semel.call",
            semel.tool = context.call.tool(),
            semel.operation = context.terms.operation,
            semel.tenant = context.call.tenant().as_str(),
        );
        let driver = Box::new(Self {
            context,
            claim: None,
            latest: None,
            ledger_error: None,
            sending: None,
            span,
            guard,
            right: None,
            probe: None,
            undo_note: None,
            begun,
        });
        (driver, action)
    }

    /// Records that the caller can run the tool no further time.
    pub(crate) fn forbid_reruns(&mut self) {
        self.guard.forbid_reruns();
    }

    /// Returns the attempt that the caller runs.
    pub(crate) fn running_attempt(&self) -> Option<GrantedAttempt<'_>> {
        self.granted_attempt(self.guard.running_attempt()?)
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.latest.as_ref().and_then(AppliedCommand::record)
    }

    /// Returns the guard's next action after `event`.
    pub(crate) fn step(&mut self, event: GuardEvent) -> GuardAction {
        self.guard.step(event, self.begun.elapsed_ms())
    }

    /// Performs `action` and what follows from it, up to where the caller has to act.
    pub(crate) async fn advance(&mut self, mut action: GuardAction) -> DriverPause {
        loop {
            let event = match action {
                GuardAction::Driver(action) => self.perform(action).await,
                GuardAction::Caller(CallerAction::RunTool(grant)) => match self.right.take() {
                    Some(right) => return DriverPause::RunTool(Box::new((right, grant))),
                    // Each grant makes one right, so a second run without a second grant sends nothing.
                    None => GuardEvent::Ran(Outcome::not_sent("the right to send was used up")),
                },
                GuardAction::Caller(CallerAction::RunWithoutLedger) => {
                    return DriverPause::RunWithoutLedger;
                }
                GuardAction::Caller(CallerAction::Finish(end)) => {
                    return DriverPause::Finished(end);
                }
            };
            action = self.step(event);
        }
    }

    async fn perform(&mut self, action: DriverAction) -> GuardEvent {
        match action {
            DriverAction::Claim { read_undelivered } => {
                GuardEvent::Claimed(self.claim_operation(read_undelivered).await)
            }
            DriverAction::Resume { continuation } => {
                GuardEvent::Claimed(self.resume_attempt(continuation).await)
            }
            DriverAction::RequestRetry { shown } => {
                GuardEvent::Claimed(self.request_retry(shown).await)
            }
            DriverAction::RequestProbe { shown } => {
                GuardEvent::Claimed(self.request_probe(shown).await)
            }
            DriverAction::Mark(grant) => GuardEvent::Marked(self.mark_undone(&grant).await),
            DriverAction::Suspend {
                fence,
                continuation,
                limit_seconds,
            } => {
                let suspended = self.suspend_attempt(fence, continuation, limit_seconds);
                GuardEvent::Written(suspended.await)
            }
            DriverAction::Settle {
                grant,
                outcome,
                verdict,
                handles,
                undid,
            } => {
                let judged = JudgedOutcome {
                    outcome,
                    verdict,
                    handles,
                    undid,
                };
                GuardEvent::Written(self.settle_attempt(&grant, &judged).await)
            }
            DriverAction::Hold {
                fence,
                outcome,
                reason,
            } => GuardEvent::Written(self.hold_attempt(fence, outcome, reason).await),
            DriverAction::ReportProbe(outcome) => {
                GuardEvent::Written(self.report_probe(outcome).await)
            }
            DriverAction::Probe(probe) => GuardEvent::Ran(self.run_probe(&probe).await),
            DriverAction::Wait {
                key,
                version,
                at_most_ms,
            } => {
                let at_most = Duration::from_millis(at_most_ms);
                let store = self.context.host.ledger.store();
                // It may return early or for nothing: the guard claims again, and reads what is recorded.
                store.wait_for_change(key, version, at_most).await;
                GuardEvent::Woken
            }
            DriverAction::Sleep { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                GuardEvent::Woken
            }
            DriverAction::Judge { outcome } => GuardEvent::Judged(self.judge(&outcome)),
            DriverAction::Recover => GuardEvent::Recovered(self.recover()),
            DriverAction::Weigh { probe, answer } => {
                GuardEvent::Weighed(self.weigh(&probe, &answer))
            }
        }
    }

    fn judge(&self, outcome: &Outcome) -> Result<Verdict, GuardPolicyError> {
        let verdict = self.context.judge(self.latest.as_ref(), outcome);
        verdict.map_err(policy_error)
    }

    fn recover(&self) -> Result<Recovery, GuardPolicyError> {
        let recovery = self.context.recover(self.latest.as_ref());
        recovery.map_err(policy_error)
    }

    fn weigh(&self, probe: &Probe, answer: &Outcome) -> Result<ProbeVerdict, GuardPolicyError> {
        let verdict = self.context.weigh(self.latest.as_ref(), probe, answer);
        verdict.map_err(policy_error)
    }

    async fn run_probe(&self, probe: &Probe) -> Outcome {
        let Some(prober) = &self.context.host.prober else {
            return Outcome::not_sent("this host has no way to run a probe");
        };
        let lease_seconds = self.context.tool.lease_seconds;
        // The record keeps the lease of a probe for as long, so the report of a longer one would be refused.
        let at_most = Duration::from_secs(u64::from(lease_seconds));
        failpoints::before(Failpoint::Probe);
        let probed = tokio::time::timeout(at_most, prober.probe(&self.context.call, probe)).await;
        failpoints::after(Failpoint::Probe);
        match probed {
            Ok(outcome) => outcome,
            Err(_) => Outcome::no_answer(format!("timed out after {lease_seconds} s")),
        }
    }

    /// Keeps the ledger's reply, and turns a granted right into a value.
    fn note_reply(
        &mut self,
        applied: Result<AppliedCommand, LedgerError>,
    ) -> Result<RecordReading, GuardLedgerError> {
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => return Err(self.note_error(error)),
        };
        let reading = applied.reading();
        if let Reply::Granted(grant) = &applied.reply
            && let Some(claim) = &self.claim
        {
            let host = &self.context.host;
            self.right = Some(SendRight::new(
                &host.ledger,
                &host.renewals,
                grant,
                &applied,
                Arc::clone(claim),
            ));
        }
        self.latest = Some(applied);
        Ok(reading)
    }

    /// Keeps the ledger's failure for the caller, and returns what the guard decides by.
    fn note_error(&mut self, error: LedgerError) -> GuardLedgerError {
        let noted = GuardLedgerError::from(&error);
        self.ledger_error = Some(error);
        noted
    }

    fn granted_attempt<'a>(&'a self, grant: &'a Grant) -> Option<GrantedAttempt<'a>> {
        Some(GrantedAttempt {
            grant,
            claim: self.claim.as_ref()?,
            latest: self.latest.as_ref()?,
        })
    }

    async fn finish_undoes(&self) {
        if let Some(applied) = &self.latest
            && let Some(record) = applied.record()
        {
            let ledger = &self.context.host.ledger;
            ledger.finish_undoes(applied.key, record).await;
        }
    }

    /// Ends the lease: the attempt is settled, or as settled as this host can make it.
    fn end_lease(&mut self) {
        if let Some(right) = self.right.take() {
            right.give_up().mark_settled();
        }
        if let Some(sending) = self.sending.take() {
            sending.mark_settled();
        }
    }
}

fn policy_error(error: PolicyError) -> GuardPolicyError {
    GuardPolicyError(error.to_string())
}
