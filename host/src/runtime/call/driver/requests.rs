//! The commands of a guarded call to the ledger.

use super::CallDriver;
use crate::runtime::{
    call::settlement::{JudgedOutcome, LandedAttempt},
    ledger_client::error::LedgerError,
};
use crate::{
    guard::{GuardLedgerError, MarkingError, ProbeOutcome, RecordReading},
    ledger::{
        ClaimReply, Command, Fence, Grant, ProbeReport, ProbeRequester, Record, Refusal, Reply,
        StateLabel,
    },
    model::{Nonce, Outcome},
};
use semel_store::fresh_nonce;

impl CallDriver {
    pub(super) async fn claim_operation(
        &mut self,
        read_undelivered: Option<u32>,
    ) -> Result<RecordReading, GuardLedgerError> {
        // Each claim has a nonce of its own, by which the record distinguishes its attempt from all others.
        let nonce = self.fresh_nonce()?;
        // A caller that got its outcome may call again before its delivery is recorded.
        self.context
            .host
            .delivery_marks
            .wait_until_written(self.context.key)
            .await;
        let claim = match self
            .context
            .claim_with_owners(nonce, read_undelivered)
            .await
        {
            Ok(claim) => claim,
            Err(error) => return Err(self.note_error(error)),
        };
        self.claim = Some(claim.clone());
        let host = &self.context.host;
        let applied = host.ledger.claim(self.context.key, &claim).await;
        let reading = self.note_reply(applied)?;
        self.undo_note = self.undo_note(&claim).await;
        // The host that landed the operation may have stopped before it wrote all undos.
        self.finish_undoes().await;
        Ok(reading)
    }

    /// Claims the attempt that waits under the continuation, if this is the call that it waits for. Otherwise reports
    /// the recorded state, and claims nothing.
    pub(super) async fn resume_attempt(
        &mut self,
        continuation: String,
    ) -> Result<RecordReading, GuardLedgerError> {
        let nonce = self.fresh_nonce()?;
        let claim = self.context.claim(nonce, None);
        self.claim = Some(claim.clone());
        let host = &self.context.host;
        host.delivery_marks
            .wait_until_written(self.context.key)
            .await;
        // Only a preview: where no attempt waits, a claim would begin a new one.
        let preview = match host.ledger.preview_claim(self.context.key, &claim).await {
            Ok(preview) => preview,
            Err(error) => return Err(self.note_error(error)),
        };
        let waits = matches!(
            &preview.reply,
            Reply::Told(ClaimReply::Running {
                continuation: Some(waiting),
                ..
            }) if *waiting == continuation
        );
        let call_digest = preview.record().map(|record| record.terms.call_digest);
        if waits && call_digest == Some(self.context.terms.call_digest) {
            let resume = Command::Continue {
                continuation,
                nonce,
            };
            let applied = host.ledger.apply(preview.key, &resume).await;
            return self.note_reply(applied);
        }
        // A claim that would be granted was only previewed, so there is nothing to resume.
        if waits || matches!(preview.reply, Reply::Granted(_)) {
            let state = preview
                .record()
                .map_or(StateLabel::Released, |record| record.state.label());
            return Err(GuardLedgerError::Refused(Refusal::NoRow {
                command: "continue",
                state,
            }));
        }
        self.note_reply(Ok(preview))
    }

    pub(super) async fn suspend_attempt(
        &mut self,
        fence: Fence,
        continuation: String,
        limit_seconds: u32,
    ) -> Result<RecordReading, GuardLedgerError> {
        let suspend = Command::Suspend {
            fence,
            continuation,
            limit_seconds,
        };
        let reading = self.apply(&suspend).await?;
        // From here on, the record's own time limit holds in place of the lease.
        self.end_lease();
        Ok(reading)
    }

    pub(super) async fn request_retry(
        &mut self,
        shown: u32,
    ) -> Result<RecordReading, GuardLedgerError> {
        let nonce = self.fresh_nonce()?;
        let claim = self.context.claim_again(nonce, self.latest.as_ref());
        let request = Command::Resolve {
            nonce,
            shown,
            call_digest: claim.terms.call_digest,
            retries_max: self.context.tool.allowance.retries,
            facts: claim.facts.clone(),
        };
        self.claim = Some(claim);
        self.apply(&request).await
    }

    pub(super) async fn request_probe(
        &mut self,
        shown: u32,
    ) -> Result<RecordReading, GuardLedgerError> {
        let nonce = self.fresh_nonce()?;
        self.probe = Some(nonce);
        let request = Command::Look {
            nonce,
            shown,
            asker: ProbeRequester::Caller,
            looks_max: self.context.tool.allowance.probes,
        };
        self.apply(&request).await
    }

    pub(super) async fn mark_undone(&self, grant: &Grant) -> Result<(), MarkingError> {
        let ledger = &self.context.host.ledger;
        ledger.mark_undone(self.context.key, grant).await
    }

    pub(super) async fn hold_attempt(
        &mut self,
        fence: Fence,
        outcome: Option<Outcome>,
        reason: String,
    ) -> Result<RecordReading, GuardLedgerError> {
        let hold = Command::Hold {
            fence,
            outcome: outcome.map(|outcome| self.context.kept_outcome(&outcome)),
            reason,
        };
        let held = self.apply(&hold).await;
        // Held or refused, this host does nothing more with the attempt.
        self.end_lease();
        held
    }

    pub(super) async fn settle_attempt(
        &mut self,
        grant: &Grant,
        judged: &JudgedOutcome,
    ) -> Result<RecordReading, GuardLedgerError> {
        let Some(attempt) = self.granted_attempt(grant) else {
            return Err(GuardLedgerError::Away(
                "an attempt that was not granted here cannot be settled".to_owned(),
            ));
        };
        let settled = self.context.settle(attempt, judged).await;
        self.end_lease();
        let reading = self.note_reply(settled)?;
        self.finish_undoes().await;
        Ok(reading)
    }

    pub(super) async fn report_probe(
        &mut self,
        outcome: ProbeOutcome,
    ) -> Result<RecordReading, GuardLedgerError> {
        // A granted probe reports once.
        let Some(nonce) = self.probe.take() else {
            return Err(GuardLedgerError::Away("no probe is in progress".to_owned()));
        };
        let report = match outcome {
            ProbeOutcome::Otherwise(report) => self.soften_early_report(report),
            ProbeOutcome::Found {
                outcome,
                handles,
                undid,
            } => {
                let landing = self.latest.as_ref().and_then(LandedAttempt::found_by_probe);
                let names = match landing {
                    Some(landing) => self.context.write_names(&handles, &undid, landing).await,
                    None => Ok(Vec::new()),
                };
                ProbeReport::Found {
                    outcome: self.context.kept_outcome(&outcome),
                    handles,
                    undid: names.map_err(|error| self.note_error(error))?,
                }
            }
        };
        let saw = Command::Saw {
            nonce,
            sight: report,
        };
        let reading = self.apply(&saw).await?;
        self.finish_undoes().await;
        Ok(reading)
    }

    /// Turns *not found* into *probe again* while it is too early for a timed re-run: the ledger would hold the
    /// operation, and the operator's switch would never take effect.
    fn soften_early_report(&self, report: ProbeReport) -> ProbeReport {
        match report {
            ProbeReport::NotFound {
                rerun_after_ms: Some(delay_ms),
            } if self.last_attempt_age_ms() < delay_ms => ProbeReport::Again {
                reason: "a probe found nothing, and it is too early to send again".to_owned(),
            },
            report => report,
        }
    }

    /// Returns the least time since the last attempt began.
    fn last_attempt_age_ms(&self) -> u64 {
        let Some(applied) = &self.latest else {
            return 0;
        };
        let last = applied.record().and_then(Record::last_attempt);
        last.map_or(0, |last| {
            applied
                .now
                .shortest_since(&last.started.at(applied.written))
        })
    }

    async fn apply(&mut self, command: &Command) -> Result<RecordReading, GuardLedgerError> {
        let applied = self
            .context
            .host
            .ledger
            .apply(self.context.key, command)
            .await;
        self.note_reply(applied)
    }

    fn fresh_nonce(&mut self) -> Result<Nonce, GuardLedgerError> {
        fresh_nonce().map_err(|error| self.note_error(LedgerError::from(error)))
    }
}
