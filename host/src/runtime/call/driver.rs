//! Performs the guard's actions, and reports their results.

use crate::runtime::{
    call::lease::{Right, Sending},
    ledger_client::clock::Moment,
    ledger_client::{AppliedCommand, LedgerError},
    semel::Inner,
    tool::Tool,
};
use crate::{
    guard::{
        CallEnd, CallerAction, DriverAction, Guard, GuardAction, GuardEvent, GuardLedgerError,
        GuardPolicyError, ProbeOutcome, RecordReading,
    },
    json,
    ledger::{
        AttemptRecord, BoundedVerdict, Claim, ClaimReply, Command, Fence, Grant, KeptOutcome,
        OperationGeneration, ProbeReport, ProbeRequester, Record, Refusal, Reply, ServerErrorRule,
        Settlement, SharedValue, StateLabel,
    },
    model::{
        Attempt, Call, Effect, Field, Fingerprint, MissingAnswer, Nonce, Outcome, Probe, StoreKey,
        Target, Verdict,
    },
};
use semel_store::failpoints::{self, Failpoint};
use semel_store::fresh_nonce;
use sha2::{Digest, Sha256};
use std::{io, sync::Arc, time::Duration};

/// The tries to settle against a ledger that does not answer, and the pause before the second try.
const SETTLEMENT_TRIES: u32 = 3;
const SETTLEMENT_PAUSE: Duration = Duration::from_millis(50);

/// The point at which a guarded call stops for its caller.
#[derive(Debug)]
pub(crate) enum Pause {
    /// The caller is to run the tool, once it has used the right up.
    Run(Box<(Right, Grant)>),
    /// The caller is to run the tool although the ledger is away.
    RunOpen,
    /// The call is over.
    Over(Box<CallEnd>),
}

/// The way in which a call reaches its record.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    /// It claims.
    Claim,
    /// It claims, and was made before a caller took the outcome of this generation.
    Owed { generation: u32 },
    /// It goes on with what waits under this continuation.
    Continue(String),
}

/// One guarded call in progress.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) inner: Arc<Inner>,
    pub(crate) tool: Arc<Tool>,
    pub(crate) call: SharedValue<Call>,
    pub(crate) key: StoreKey,
    pub(crate) claim: Arc<Claim>,
    pub(crate) latest: Option<AppliedCommand>,
    pub(crate) sending: Option<Sending>,
    /// The tracing span of the call.
    pub(crate) span: tracing::Span,
    guard: Guard,
    right: Option<Right>,
    look: Option<Nonce>,
    begun: Moment,
}

impl Driver {
    /// Starts a call with a known operation, and returns its first action.
    pub(crate) fn start(
        inner: Arc<Inner>,
        tool: Arc<Tool>,
        call: SharedValue<Call>,
        key: StoreKey,
        claim: Claim,
        begun: Moment,
        opening: Opening,
    ) -> (Box<Self>, GuardAction) {
        let mut allowance = tool.allowance.clone();
        allowance.can_probe = inner.prober.is_some();
        let (guard, action) = match opening {
            Opening::Continue(continuation) => Guard::resume(allowance, continuation),
            Opening::Owed { generation } => Guard::start_before_delivery(allowance, generation),
            Opening::Claim => Guard::start(allowance),
        };
        let span = tracing::info_span!(
            "semel.call",
            semel.tool = call.tool(),
            semel.operation = claim.terms.operation,
            semel.tenant = call.tenant().as_str(),
        );
        let driver = Box::new(Self {
            inner,
            tool,
            call,
            key,
            claim: Arc::new(claim),
            latest: None,
            sending: None,
            span,
            guard,
            right: None,
            look: None,
            begun,
        });
        (driver, action)
    }

    pub(crate) fn target(&self) -> Option<&Target> {
        self.claim.terms.target.as_ref()
    }

    pub(crate) fn cannot_run_again(&mut self) {
        self.guard.forbid_reruns();
    }

    /// Returns the guard's next action after `event`.
    pub(crate) fn step(&mut self, event: GuardEvent) -> GuardAction {
        self.guard.step(event, self.begun.elapsed_ms())
    }

    /// Performs `action` and what follows from it, up to where the caller has to act.
    pub(crate) async fn advance(&mut self, mut action: GuardAction) -> Pause {
        loop {
            let event = match action {
                GuardAction::Driver(action) => self.perform(action).await,
                GuardAction::Caller(CallerAction::RunTool(grant)) => match self.right.take() {
                    Some(right) => return Pause::Run(Box::new((right, grant))),
                    None => GuardEvent::Ran(Outcome::not_sent("the right to send was used up")),
                },
                GuardAction::Caller(CallerAction::RunWithoutLedger) => return Pause::RunOpen,
                GuardAction::Caller(CallerAction::Finish(end)) => return Pause::Over(end),
            };
            action = self.step(event);
        }
    }

    async fn perform(&mut self, action: DriverAction) -> GuardEvent {
        match action {
            DriverAction::Claim { read_undelivered } => {
                GuardEvent::Claimed(self.claim(read_undelivered).await)
            }
            DriverAction::Resume { continuation } => {
                GuardEvent::Claimed(self.go_on_with(continuation).await)
            }
            DriverAction::Suspend {
                fence,
                continuation,
                limit_seconds,
            } => GuardEvent::Written(self.suspend(fence, continuation, limit_seconds).await),
            DriverAction::Mark(grant) => {
                GuardEvent::Marked(self.inner.table.mark(self.key, &grant).await)
            }
            DriverAction::Judge { outcome } => GuardEvent::Judged(self.verdict(&outcome)),
            DriverAction::Settle {
                grant,
                outcome,
                verdict,
                handles,
                undid,
            } => GuardEvent::Written(self.settle(grant, &outcome, verdict, handles, &undid).await),
            DriverAction::Hold {
                fence,
                outcome,
                reason,
            } => GuardEvent::Written(self.hold(fence, outcome, reason).await),
            DriverAction::Wait {
                key,
                version,
                at_most_ms,
            } => {
                self.inner
                    .table
                    .store()
                    .wait_for_change(key, version, Duration::from_millis(at_most_ms))
                    .await;
                GuardEvent::Woken
            }
            DriverAction::Sleep { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                GuardEvent::Woken
            }
            DriverAction::Recover => self.recover(),
            DriverAction::RequestRetry { shown } => GuardEvent::Claimed(self.resolve(shown).await),
            DriverAction::RequestProbe { shown } => {
                GuardEvent::Claimed(self.ask_to_look(shown).await)
            }
            DriverAction::Probe(probe) => {
                failpoints::before(Failpoint::Probe);
                let answer = self.probe(&probe).await;
                failpoints::after(Failpoint::Probe);
                GuardEvent::Ran(answer)
            }
            DriverAction::Weigh { probe, answer } => self.weigh(&probe, &answer),
            DriverAction::ReportProbe(seen) => GuardEvent::Written(self.saw(seen).await),
        }
    }

    /// Keeps what was read, and turns a granted right into a value.
    fn read(
        &mut self,
        applied: Result<AppliedCommand, LedgerError>,
    ) -> Result<RecordReading, GuardLedgerError> {
        let applied = applied?;
        let reading = applied.reading();
        if let Reply::Granted(grant) = &applied.reply {
            self.right = Some(Right::new(
                &self.inner.table,
                &self.inner.renewals,
                grant,
                &applied,
                Arc::clone(&self.claim),
            ));
        }
        self.latest = Some(applied);
        Ok(reading)
    }

    async fn claim(
        &mut self,
        read_undelivered: Option<u32>,
    ) -> Result<RecordReading, GuardLedgerError> {
        // Shared only where an earlier right of this call is still being let go.
        let claim = Arc::make_mut(&mut self.claim);
        claim.nonce = fresh_nonce().map_err(LedgerError::from)?;
        claim.read_undelivered = read_undelivered;
        self.inner.marks.written(self.key).await;
        let applied = self.inner.table.claim(self.key, &self.claim).await;
        let reading = self.read(applied)?;
        self.finish_undoes().await;
        Ok(reading)
    }

    /// Claims the operation that waits under the continuation, if it is this call's. Otherwise
    /// reports the recorded state, and claims nothing.
    async fn go_on_with(
        &mut self,
        continuation: String,
    ) -> Result<RecordReading, GuardLedgerError> {
        let nonce = fresh_nonce().map_err(LedgerError::from)?;
        Arc::make_mut(&mut self.claim).nonce = nonce;
        self.inner.marks.written(self.key).await;
        let stands = self.inner.table.told(self.key, &self.claim).await?;
        let waits = match &stands.reply {
            Reply::Told(ClaimReply::Running {
                continuation: Some(waits),
                ..
            }) => *waits == continuation,
            _ => false,
        };
        let digest = stands.record().map(|record| record.terms.call_digest);
        if waits && digest == Some(self.claim.terms.call_digest) {
            let applied = self
                .inner
                .table
                .apply(
                    stands.key,
                    &Command::Continue {
                        continuation,
                        nonce,
                    },
                )
                .await;
            return self.read(applied);
        }
        if waits || matches!(stands.reply, Reply::Granted(_)) {
            let state = stands
                .record()
                .map_or(StateLabel::Released, |record| record.state.label());
            return Err(GuardLedgerError::Refused(Refusal::NoRow {
                command: "continue",
                state,
            }));
        }
        self.read(Ok(stands))
    }

    async fn suspend(
        &mut self,
        fence: Fence,
        continuation: String,
        limit_seconds: u32,
    ) -> Result<RecordReading, GuardLedgerError> {
        let command = Command::Suspend {
            fence,
            continuation,
            limit_seconds,
        };
        let applied = self.inner.table.apply(self.key, &command).await;
        let reading = self.read(applied)?;
        self.over();
        Ok(reading)
    }

    async fn resolve(&mut self, shown: u32) -> Result<RecordReading, GuardLedgerError> {
        let nonce = fresh_nonce().map_err(LedgerError::from)?;
        Arc::make_mut(&mut self.claim).nonce = nonce;
        let command = Command::Resolve {
            nonce,
            shown,
            call_digest: self.claim.terms.call_digest,
            retries_max: self.tool.allowance.retries,
            facts: self.claim.facts.clone(),
        };
        let applied = self.inner.table.apply(self.key, &command).await;
        self.read(applied)
    }

    async fn ask_to_look(&mut self, shown: u32) -> Result<RecordReading, GuardLedgerError> {
        let nonce = fresh_nonce().map_err(LedgerError::from)?;
        self.look = Some(nonce);
        let command = Command::Look {
            nonce,
            shown,
            asker: ProbeRequester::Caller,
            looks_max: self.tool.allowance.looks,
        };
        let applied = self.inner.table.apply(self.key, &command).await;
        self.read(applied)
    }

    async fn probe(&self, probe: &Probe) -> Outcome {
        let Some(prober) = &self.inner.prober else {
            return Outcome::not_sent("this host has no way to run a probe");
        };
        let at_most = Duration::from_secs(u64::from(self.tool.lease_seconds));
        match tokio::time::timeout(at_most, prober.probe(&self.call, probe)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::no_answer(format!("timed out after {} s", self.tool.lease_seconds)),
        }
    }

    /// Returns the policy's verdict on an attempt with this outcome.
    pub(crate) fn verdict(&self, outcome: &Outcome) -> Result<Verdict, GuardPolicyError> {
        let attempts = self.attempts(Some(outcome));
        self.tool
            .policy
            .judge(&self.call, &attempts)
            .map_err(|fault| GuardPolicyError(fault.to_string()))
    }

    pub(crate) fn server_errors(&self) -> ServerErrorRule {
        self.tool.allowance.server_errors
    }

    /// Returns all that is needed to settle the running attempt once its call is over, without a
    /// right to send.
    pub(crate) fn afterwards(&self) -> Option<(Self, Grant)> {
        let grant = self.guard.running_attempt()?.clone();
        let driver = Self {
            inner: Arc::clone(&self.inner),
            tool: Arc::clone(&self.tool),
            call: self.call.clone(),
            key: self.key,
            claim: Arc::clone(&self.claim),
            latest: self.latest.clone(),
            sending: None,
            span: self.span.clone(),
            guard: self.guard.clone(),
            right: None,
            look: None,
            begun: self.begun,
        };
        Some((driver, grant))
    }

    fn recover(&self) -> GuardEvent {
        let attempts = self.attempts(None);
        let recovered = self.tool.policy.recover(self.recorded_call(), &attempts);
        GuardEvent::Recovered(recovered.map_err(|fault| GuardPolicyError(fault.to_string())))
    }

    fn weigh(&self, probe: &Probe, answer: &Outcome) -> GuardEvent {
        let attempts = self.attempts(None);
        let weighed = self
            .tool
            .policy
            .weigh(self.recorded_call(), &attempts, probe, answer);
        GuardEvent::Weighed(weighed.map_err(|fault| GuardPolicyError(fault.to_string())))
    }

    /// Returns the call of the attempts: the recorded one, or this one, which has the same content.
    fn recorded_call(&self) -> &Call {
        let recorded = self
            .latest
            .as_ref()
            .and_then(|applied| applied.record()?.terms.call.as_ref());
        recorded.unwrap_or(&self.call)
    }

    /// Returns the attempts of the present generation as a policy reads them; `own` is the outcome
    /// of the last.
    fn attempts(&self, own: Option<&Outcome>) -> Vec<Attempt> {
        let Some(applied) = &self.latest else {
            return Vec::new();
        };
        let Some(record) = applied.record() else {
            return Vec::new();
        };
        let of_generation = |attempt: &&AttemptRecord| attempt.generation == record.generation;
        let mut attempts: Vec<Attempt> = record
            .attempts
            .iter()
            .filter(of_generation)
            .map(|attempt| self.attempt(applied, record, attempt))
            .collect();
        if let (Some(last), Some(own)) = (attempts.last_mut(), own) {
            last.outcome = own.clone();
        }
        attempts
    }

    fn attempt(
        &self,
        applied: &AppliedCommand,
        record: &Record,
        attempt: &AttemptRecord,
    ) -> Attempt {
        let started = attempt.started.at(applied.written);
        let age_ms = applied.now.longest_since(&started);
        Attempt {
            number: attempt.fence.number,
            started_at_ms: started.wall_ms,
            age_seconds: u32::try_from(age_ms / 1_000).unwrap_or(u32::MAX),
            key: self
                .inner
                .downstream(applied.key, record, attempt.generation, attempt.series),
            outcome: seen(attempt),
            facts: attempt.facts.clone(),
        }
    }

    /// Settles with what was seen. The ledger is asked a few times: the outcome is real, and others wait for it.
    pub(crate) async fn settle(
        &mut self,
        grant: Grant,
        outcome: &Outcome,
        verdict: BoundedVerdict,
        handles: Vec<String>,
        undid: &[String],
    ) -> Result<RecordReading, GuardLedgerError> {
        let mut pause = SETTLEMENT_PAUSE;
        let mut tries = 1;
        let applied = loop {
            match self
                .try_to_settle(&grant, outcome, &verdict, &handles, undid)
                .await
            {
                Err(LedgerError::Refused(refusal)) => break Err(LedgerError::Refused(refusal)),
                Err(error) if tries < SETTLEMENT_TRIES => {
                    tracing::debug!(%error, "semel.settlement is tried again");
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                    tries += 1;
                }
                settled => break settled,
            }
        };
        self.over();
        let reading = self.read(applied)?;
        self.finish_undoes().await;
        Ok(reading)
    }

    async fn try_to_settle(
        &self,
        grant: &Grant,
        outcome: &Outcome,
        verdict: &BoundedVerdict,
        handles: &[String],
        undid: &[String],
    ) -> Result<AppliedCommand, LedgerError> {
        let landed = verdict.effect() == Effect::Landed;
        let undid = if landed {
            self.names(handles, undid, grant.generation).await?
        } else {
            Vec::new()
        };
        let settlement = Settlement {
            fence: grant.fence,
            generation: grant.generation,
            series: grant.series,
            outcome: self.kept(outcome),
            verdict: verdict.clone(),
            handles: if landed { handles.to_vec() } else { Vec::new() },
            undid,
            claim: Arc::clone(&self.claim),
        };
        let table = &self.inner.table;
        let settle = Command::Settle(Box::new(settlement));
        // The granted attempt is the recorded one, unless the claim was renewed or decided since.
        match &self.latest {
            Some(granted) => table.apply_after(granted, &settle).await,
            None => table.apply(self.key, &settle).await,
        }
    }

    /// Writes the handles of what landed, and finds what it undid.
    async fn names(
        &self,
        handles: &[String],
        undid: &[String],
        generation: u32,
    ) -> Result<Vec<OperationGeneration>, LedgerError> {
        let table = &self.inner.table;
        let keys = &self.inner.keys;
        let name_space = &self.claim.name_space;
        let tenant = &self.claim.tenant;
        let mine = OperationGeneration {
            key: self.key,
            generation,
        };
        let undone = table.resolve(keys, name_space, tenant, undid).await?;
        table
            .write_handles(keys, name_space, tenant, handles, mine)
            .await?;
        Ok(undone.into_iter().filter(|of| *of != mine).collect())
    }

    async fn hold(
        &mut self,
        fence: Fence,
        outcome: Option<Outcome>,
        reason: String,
    ) -> Result<RecordReading, GuardLedgerError> {
        let outcome = outcome.map(|outcome| self.kept(&outcome));
        let applied = self
            .inner
            .table
            .apply(
                self.key,
                &Command::Hold {
                    fence,
                    outcome,
                    reason,
                },
            )
            .await;
        self.over();
        self.read(applied)
    }

    async fn saw(&mut self, seen: ProbeOutcome) -> Result<RecordReading, GuardLedgerError> {
        let Some(nonce) = self.look.take() else {
            return Err(GuardLedgerError::Away("no look is under way".to_owned()));
        };
        let generation = self
            .latest
            .as_ref()
            .and_then(AppliedCommand::record)
            .map_or(0, |record| record.generation);
        let sight = match seen {
            ProbeOutcome::Otherwise(ProbeReport::NotFound {
                rerun_after_ms: Some(delay_ms),
            }) if self.last_age_ms() < delay_ms => {
                // It would be held, and the operator's switch would never come to count.
                ProbeReport::Again {
                    reason: "a probe found nothing, and it is too early to send again".to_owned(),
                }
            }
            ProbeOutcome::Otherwise(sight) => sight,
            ProbeOutcome::Found {
                outcome,
                handles,
                undid,
            } => {
                let undid = self.names(&handles, &undid, generation).await?;
                ProbeReport::Found {
                    outcome: self.kept(&outcome),
                    handles,
                    undid,
                }
            }
        };
        let applied = self
            .inner
            .table
            .apply(self.key, &Command::Saw { nonce, sight })
            .await;
        let reading = self.read(applied)?;
        self.finish_undoes().await;
        Ok(reading)
    }

    /// Returns the least time since the last attempt began.
    fn last_age_ms(&self) -> u64 {
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

    async fn finish_undoes(&self) {
        if let Some(applied) = &self.latest
            && let Some(record) = applied.record()
        {
            self.inner.table.finish_undoes(applied.key, record).await;
        }
    }

    /// The attempt is settled, or as settled as it will be by this host: nothing is left for its lease to say.
    fn over(&mut self) {
        let unused = self.right.take().map(Right::give_up);
        for sending in self.sending.take().into_iter().chain(unused) {
            sending.settled();
        }
    }

    fn kept(&self, outcome: &Outcome) -> KeptOutcome {
        let bytes = text_bytes(outcome);
        if bytes <= self.tool.outcome_bytes_max as u64 {
            return KeptOutcome::Whole(outcome.clone());
        }
        let text = serde_json::to_string(outcome).unwrap_or_default();
        KeptOutcome::Digest {
            digest: Fingerprint::from_bytes(Sha256::digest(text).into()),
            bytes,
        }
    }
}

/// Returns the length of an outcome's JSON text. It is usually short, and the text itself is never
/// made.
fn text_bytes(outcome: &Outcome) -> u64 {
    struct Length(u64);

    impl io::Write for Length {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 += part.len() as u64;
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut length = Length(0);
    // Nothing here can fail: counting does not, and an outcome is texts and JSON values.
    let _ = serde_json::to_writer(&mut length, outcome);
    length.0
}

/// Returns the known outcome of an attempt.
fn seen(attempt: &AttemptRecord) -> Outcome {
    match &attempt.outcome {
        Some(KeptOutcome::Whole(outcome)) => outcome.clone(),
        Some(KeptOutcome::Digest { .. }) => {
            silence("it was answered, and the answer was too large to be kept")
        }
        None => silence("the host that made the attempt is gone"),
    }
}

fn silence(reason: &str) -> Outcome {
    Outcome::Unanswered(MissingAnswer {
        reason: reason.to_owned(),
        sent: true,
    })
}

/// Returns the facts of a call that a record keeps.
pub(crate) fn facts(call: &Call) -> Vec<Field> {
    call.facts()
        .into_iter()
        .map(|(name, value)| Field {
            name: name.to_owned(),
            value,
        })
        .collect()
}

/// Checks that a value is small enough for a policy: all input is bounded.
pub(crate) fn check(call: &Call) -> Result<(), json::JsonError> {
    json::check_object(call.arguments(), &json::JsonLimits::default())
}
