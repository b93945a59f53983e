//! The outcome of an attempt that arrives after its caller was answered without it.
//!
//! The ledger decides what the outcome still settles: an operation in doubt or held, while no other attempt is in
//! progress. Otherwise it is kept as evidence. A late outcome sends nothing and starts no probe.

use crate::runtime::{
    call::{
        context::CallContext,
        error::CallError,
        run::ToolRun,
        settlement::{GrantedAttempt, JudgedOutcome},
    },
    ledger_client::AppliedCommand,
};
use crate::{
    ledger::{Claim, Grant, bound},
    model::Outcome,
};
use std::sync::Arc;

/// A recorder for the outcome of an attempt that arrives after its call was answered. Dropped, it
/// records nothing.
#[derive(Debug)]
#[must_use = "a late outcome that is not recorded leaves its operation in doubt"]
pub struct LateRecorder {
    context: CallContext,
    grant: Grant,
    claim: Arc<Claim>,
    latest: AppliedCommand,
}

impl ToolRun {
    /// Returns a recorder for the outcome of this run after [`ToolRun::report`] or
    /// [`ToolRun::finish`] got no answer, or `None` where the outcome would settle nothing.
    #[must_use]
    pub fn late_recorder(&self) -> Option<LateRecorder> {
        let driver = self.guarded()?;
        let attempt = driver.running_attempt()?;
        Some(LateRecorder {
            context: driver.context.clone(),
            grant: attempt.grant.clone(),
            claim: Arc::clone(attempt.claim),
            latest: attempt.latest.clone(),
        })
    }
}

impl LateRecorder {
    /// Records the late outcome of the attempt.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be reached, or the policy cannot judge. The operation stays as it was.
    pub async fn record_outcome(self, outcome: Outcome) -> Result<(), CallError> {
        let Self {
            context,
            grant,
            claim,
            latest,
        } = self;
        let verdict = context.judge(Some(&latest), &outcome)?;
        let judged = JudgedOutcome {
            verdict: bound(&outcome, &verdict, context.tool.allowance.server_errors),
            outcome,
            handles: verdict.handles,
            undid: verdict.undid,
        };
        let attempt = GrantedAttempt {
            grant: &grant,
            claim: &claim,
            latest: &latest,
        };
        // The attempt keeps its fence, so the ledger settles it or keeps the outcome as evidence, whatever came after.
        let settled = context.settle(attempt, &judged).await?;
        if let Some(record) = settled.record() {
            let ledger = &context.host.ledger;
            ledger.finish_undoes(settled.key, record).await;
        }
        Ok(())
    }
}
