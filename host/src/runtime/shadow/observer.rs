//! One watched call: all that a guard would do, on shadow records, and what it would have come to.

use super::{Came, Finishing, Seen, Shadow};
use crate::{
    engine::{PolicyError, PolicyErrorKind},
    ledger::ShadowOutcome,
    model::{Call, Derivation, Operation},
    runtime::{
        call::delivery::Delivery,
        call::driver::{self, Opening},
        call::ticket::{Answered, Begun, CallError, Started},
        ledger_client::clock::Moment,
        ledger_client::scheme,
        tool::Tool,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tracing::Instrument;

/// The time limit of the ledger before the tool has answered, and again after.
const LEDGER_AT_MOST: Duration = Duration::from_secs(10);

/// The longest wait for the observers of calls that ended before.
const EARLIER_AT_MOST: Duration = Duration::from_secs(2);

/// The longest wait for the acknowledgement of the outcome.
const TAKEN_AT_MOST: Duration = Duration::from_secs(60);

/// The observer of one call.
pub(super) struct Observer {
    pub(super) shadow: Arc<Shadow>,
    pub(super) tool: Arc<Tool>,
    pub(super) call: Arc<Call>,
    pub(super) opening: Opening,
    pub(super) earlier: Vec<Finishing>,
    pub(super) hears: oneshot::Receiver<Came>,
    pub(super) hears_taken: oneshot::Receiver<()>,
}

impl Observer {
    /// Watches the call to its end, notes what would have become of it, and has that written.
    pub(super) async fn work(self, working: watch::Sender<()>) {
        let shadow = Arc::clone(&self.shadow);
        let call = Arc::clone(&self.call);
        let seen = self
            .observe()
            .instrument(tracing::info_span!("semel.shadow"))
            .await;
        shadow.tallies.note(call.tool(), seen);
        // From here on it keeps no later observer.
        drop(working);
        shadow.tallies.write(&shadow.semel).await;
    }

    async fn observe(self) -> Seen {
        let _ = timeout(EARLIER_AT_MOST, all_done(&self.earlier)).await;
        match timeout(LEDGER_AT_MOST, self.begin()).await {
            Err(_) => ShadowOutcome::FailByLedger.into(),
            Ok(Err(would)) => would.into(),
            Ok(Ok(Begun::Run(started))) => self.see_through(*started).await,
            Ok(Ok(Begun::Answered(answered))) => {
                let (answer, delivery) = answered.into_parts();
                let seen = Seen::of(self.call.tenant(), &answer);
                if let Some(delivery) = delivery {
                    let _ = self.hears.await;
                    mark(delivery, self.hears_taken).await;
                }
                seen
            }
        }
    }

    /// Does what a guard does before the tool runs.
    async fn begin(&self) -> Result<Begun, ShadowOutcome> {
        let begun = Moment::now();
        driver::check(&self.call).map_err(|_| ShadowOutcome::BeRefused)?;
        let operation = derived(&self.tool, &self.call)?;
        self.agree().await?;
        let guarded = self
            .shadow
            .semel
            .guard(
                Arc::clone(&self.tool),
                (*self.call).clone(),
                operation,
                begun,
                self.opening.clone(),
            )
            .await;
        guarded.map_err(|error| failed(&error))
    }

    /// Checks the scheme once for a host: an enforcing host does it when it opens.
    async fn agree(&self) -> Result<(), ShadowOutcome> {
        let inner = &self.shadow.semel.inner;
        let agree = async || {
            scheme::agree(&inner.table, &inner.keys, inner.policies())
                .await
                .map(drop)
        };
        match self.shadow.agreed.get_or_try_init(agree).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "semel.shadow cannot use the ledger");
                Err(ShadowOutcome::FailByLedger)
            }
        }
    }

    /// Does what a guard does after the tool has answered. Whatever the result, the call would have
    /// been sent.
    async fn see_through(self, started: Started) -> Seen {
        // Without an answer the attempt is dropped, and is in doubt as it would have been.
        let Ok(came) = self.hears.await else {
            return ShadowOutcome::Execute.into();
        };
        let told = async {
            match came {
                Came::To(outcome) => started.finish(outcome).await,
                Came::Elsewhere {
                    continuation,
                    at_most,
                } => started.suspend(continuation, at_most).await,
            }
        };
        if let Ok(Ok(Answered {
            delivery: Some(delivery),
            ..
        })) = timeout(LEDGER_AT_MOST, told).await
        {
            mark(delivery, self.hears_taken).await;
        }
        ShadowOutcome::Execute.into()
    }
}

/// The operation that the call means, or what becomes of a call that means none.
fn derived(tool: &Tool, call: &Call) -> Result<Operation, ShadowOutcome> {
    match tool.policy.derive(call) {
        Ok(Derivation::Once(operation)) => Ok(*operation),
        Ok(Derivation::Pass) => Err(ShadowOutcome::Pass),
        Ok(Derivation::Refuse(_))
        | Err(PolicyError {
            kind: PolicyErrorKind::Refused { .. },
            ..
        }) => Err(ShadowOutcome::BeRefused),
        Err(_) => Err(ShadowOutcome::FailByPolicy),
    }
}

async fn all_done(earlier: &[Finishing]) {
    for Finishing(done) in earlier {
        // It ends with its sender, by an error that says just that.
        let _ = done.clone().changed().await;
    }
}

/// Marks an outcome as taken, if its caller says so.
async fn mark(delivery: Delivery, hears_taken: oneshot::Receiver<()>) {
    if let Ok(Ok(())) = timeout(TAKEN_AT_MOST, hears_taken).await {
        let _ = timeout(LEDGER_AT_MOST, delivery.taken()).await;
    }
}

fn failed(error: &CallError) -> ShadowOutcome {
    tracing::debug!(%error, "semel.shadow call would have failed");
    ShadowOutcome::FailByLedger
}
