//! What stays the same through a guarded call, and the decisions of its policy.

use crate::runtime::{
    host::HostCore,
    ledger_client::{AppliedCommand, error::LedgerError},
    tool::Tool,
};
use crate::{
    engine::PolicyError,
    json,
    ledger::{AttemptRecord, Claim, KeptOutcome, OperationTerms, Record, SharedValue},
    model::{
        Attempt, Call, Field, Nonce, Outcome, Probe, ProbeVerdict, Recovery, StoreKey, Target,
        Verdict,
    },
};
use std::sync::Arc;

/// A call with a known operation, and the host and tool that it runs on.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    pub(crate) host: Arc<HostCore>,
    pub(crate) tool: Arc<Tool>,
    pub(crate) call: SharedValue<Call>,
    pub(crate) key: StoreKey,
    pub(crate) terms: SharedValue<OperationTerms>,
    /// The handles of what the operation undoes.
    pub(crate) undoes: Vec<String>,
}

impl CallContext {
    pub(crate) fn target(&self) -> Option<&Target> {
        self.terms.target.as_ref()
    }

    pub(crate) fn facts(&self) -> Vec<Field> {
        self.call
            .facts()
            .into_iter()
            .map(|(name, value)| Field {
                name: name.to_owned(),
                value,
            })
            .collect()
    }

    /// Returns a claim of the operation, for an attempt with this nonce, that takes what it undoes.
    pub(crate) async fn claim_with_owners(
        &self,
        nonce: Nonce,
        read_undelivered: Option<u32>,
    ) -> Result<Arc<Claim>, LedgerError> {
        let claim = self.claim(nonce, read_undelivered);
        if self.undoes.is_empty() {
            return Ok(claim);
        }
        // What this call undoes may have been given to its caller a moment ago.
        self.host.delivery_marks.wait_until_all_written().await;
        let named = self
            .host
            .ledger
            .living_owners(
                &self.host.keys,
                &self.tool.name_space,
                self.call.tenant(),
                &self.undoes,
            )
            .await?;
        Ok(Arc::new(Claim {
            named,
            ..Arc::unwrap_or_clone(claim)
        }))
    }

    /// Returns a claim of the operation, for an attempt with this nonce.
    pub(crate) fn claim(&self, nonce: Nonce, read_undelivered: Option<u32>) -> Arc<Claim> {
        Arc::new(Claim {
            nonce,
            tenant: self.call.tenant().clone(),
            name_space: self.tool.name_space.clone(),
            terms: self.terms.clone(),
            facts: self.facts(),
            read_undelivered,
            void_mark: None,
            named: Vec::new(),
        })
    }

    /// Returns a claim to send again what the record holds: its call, whatever the noise of this one. A record without
    /// its call, or with that of another tool, leaves this call, which the ledger sends again only if it is the same.
    pub(crate) fn claim_again(&self, nonce: Nonce, latest: Option<&AppliedCommand>) -> Arc<Claim> {
        let mut claim = self.claim(nonce, None);
        if let Some(record) = latest.and_then(AppliedCommand::record)
            && let Some(call) = &record.terms.call
            && call.tool() == self.call.tool()
        {
            Arc::make_mut(&mut claim).terms = record.terms.clone();
        }
        claim
    }

    /// Returns the policy's verdict on the last attempt, with this outcome.
    pub(crate) fn judge(
        &self,
        latest: Option<&AppliedCommand>,
        outcome: &Outcome,
    ) -> Result<Verdict, PolicyError> {
        let mut attempts = self.attempts(latest);
        // The record has no outcome of the last attempt yet: the policy reads the observed one in its place.
        if let Some(last) = attempts.last_mut() {
            last.outcome = outcome.clone();
        }
        self.tool
            .policy
            .judge(self.recorded_call(latest), &attempts)
    }

    /// Returns the policy's instruction for an operation in doubt.
    pub(crate) fn recover(&self, latest: Option<&AppliedCommand>) -> Result<Recovery, PolicyError> {
        self.tool
            .policy
            .recover(self.recorded_call(latest), &self.attempts(latest))
    }

    /// Returns the policy's verdict on the answer to a probe.
    pub(crate) fn weigh(
        &self,
        latest: Option<&AppliedCommand>,
        probe: &Probe,
        answer: &Outcome,
    ) -> Result<ProbeVerdict, PolicyError> {
        self.tool.policy.weigh(
            self.recorded_call(latest),
            &self.attempts(latest),
            probe,
            answer,
        )
    }

    /// Returns the call of the attempts: the recorded one, or this one, which has the same content.
    fn recorded_call<'a>(&'a self, latest: Option<&'a AppliedCommand>) -> &'a Call {
        latest
            .and_then(|applied| applied.record()?.terms.call.as_ref())
            .unwrap_or(&self.call)
    }

    /// Returns the attempts of the present generation as a policy reads them.
    fn attempts(&self, latest: Option<&AppliedCommand>) -> Vec<Attempt> {
        let Some(applied) = latest else {
            return Vec::new();
        };
        let Some(record) = applied.record() else {
            return Vec::new();
        };
        record
            .attempts
            .iter()
            .filter(|attempt| attempt.generation == record.generation)
            .map(|attempt| self.attempt(applied, record, attempt))
            .collect()
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
                .host
                .downstream_key(applied.key, record, attempt.generation, attempt.series),
            outcome: recorded_outcome(attempt),
            facts: attempt.facts.clone(),
        }
    }
}

fn recorded_outcome(attempt: &AttemptRecord) -> Outcome {
    match &attempt.outcome {
        Some(KeptOutcome::Whole(outcome)) => outcome.clone(),
        Some(KeptOutcome::Digest { .. }) => {
            Outcome::no_answer("it was answered, and the answer was too large to be kept")
        }
        None => Outcome::no_answer("the host that made the attempt is gone"),
    }
}

/// Checks that the arguments of a call are small enough for a policy: all input is bounded.
pub(crate) fn check_arguments(call: &Call) -> Result<(), json::JsonError> {
    json::check_object(call.arguments(), &json::JsonLimits::default())
}
