//! One observed call: all that a guard would do, on shadow records.

use super::{Observation, Shadow};
use crate::{
    engine::{PolicyError, PolicyErrorKind},
    ledger::ShadowOutcome,
    model::{Call, Derivation, Operation},
    runtime::{
        call::{
            context::check_arguments,
            delivery::Delivery,
            driver::CallOpening,
            error::CallError,
            observed::ObservedEnd,
            run::{CallStep, DeliverableAnswer, ToolRun},
        },
        ledger_client::{clock::BootInstant, scheme},
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
const LEDGER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait for the observers of calls that ended before.
const EARLIER_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest wait for the acknowledgement of the outcome's delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// The observer of one call.
pub(super) struct CallObserver {
    pub(super) shadow: Arc<Shadow>,
    pub(super) tool: Arc<Tool>,
    pub(super) call: Arc<Call>,
    pub(super) opening: CallOpening,
    /// The observers of calls that ended before this one began.
    pub(super) earlier: Vec<watch::Receiver<()>>,
    pub(super) end: oneshot::Receiver<ObservedEnd>,
    pub(super) delivery: oneshot::Receiver<()>,
}

impl CallObserver {
    /// Observes the call to its end, counts what would have become of it, and writes the counts. `recording` closes once
    /// later observers may begin.
    pub(super) async fn run(self, recording: watch::Sender<()>) {
        let shadow = Arc::clone(&self.shadow);
        let call = Arc::clone(&self.call);
        let observation = self
            .observe()
            .instrument(tracing::info_span!("semel.shadow"))
            .await;
        shadow.tallies.add(call.tool(), observation);
        // Its record is written. The counts need no order, so no later observer waits for them.
        drop(recording);
        shadow.tallies.write_all(&shadow.core).await;
    }

    async fn observe(self) -> Observation {
        let _ = timeout(EARLIER_TIMEOUT, wait_for(&self.earlier)).await;
        match timeout(LEDGER_TIMEOUT, self.begin()).await {
            Err(_) => ShadowOutcome::FailByLedger.into(),
            Ok(Err(would)) => would.into(),
            Ok(Ok(CallStep::Run(run))) => self.follow_run(*run).await,
            Ok(Ok(CallStep::Answered(answered))) => {
                let (answer, delivery) = answered.into_parts();
                let observation = Observation::from_answer(self.call.tenant(), &answer);
                if let Some(delivery) = delivery {
                    let _ = self.end.await;
                    mark_delivered(delivery, self.delivery).await;
                }
                observation
            }
        }
    }

    /// Does what a guard does before the tool runs.
    async fn begin(&self) -> Result<CallStep, ShadowOutcome> {
        let begun = BootInstant::now();
        check_arguments(&self.call).map_err(|_| ShadowOutcome::BeRefused)?;
        let operation = derive_operation(&self.tool, &self.call)?;
        self.agree_on_scheme().await?;
        let guarded = self
            .shadow
            .core
            .guard_call(
                Arc::clone(&self.tool),
                (*self.call).clone(),
                operation,
                begun,
                self.opening.clone(),
            )
            .await;
        guarded.map_err(|error| failed_call(&error))
    }

    /// Checks the scheme once for a host. An enforcing host does it when it opens; a host in shadow mode must start
    /// without its ledger.
    async fn agree_on_scheme(&self) -> Result<(), ShadowOutcome> {
        let Shadow { core, policies, .. } = &*self.shadow;
        let agree = async || {
            scheme::agree_on_scheme(core.ledger.entries(), &core.keys, policies.iter())
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

    /// Does what a guard does after the tool has answered. The call would have been sent, whatever its result.
    async fn follow_run(self, run: ToolRun) -> Observation {
        // Without an outcome the run is dropped, and its attempt is in doubt as it would have been.
        let Ok(end) = self.end.await else {
            return ShadowOutcome::Execute.into();
        };
        let answered = async {
            match end {
                ObservedEnd::Outcome(outcome) => run.finish(outcome).await,
                ObservedEnd::Suspended {
                    continuation,
                    at_most,
                } => run.suspend(continuation, at_most).await,
            }
        };
        if let Ok(Ok(answered)) = timeout(LEDGER_TIMEOUT, answered).await
            && let (_, Some(delivery)) = DeliverableAnswer::into_parts(answered)
        {
            mark_delivered(delivery, self.delivery).await;
        }
        ShadowOutcome::Execute.into()
    }
}

/// Returns the operation that the call means, or what becomes of a call that means none.
fn derive_operation(tool: &Tool, call: &Call) -> Result<Operation, ShadowOutcome> {
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

async fn wait_for(observers: &[watch::Receiver<()>]) {
    for observer in observers {
        // The observer drops its sender when it has recorded its call, which ends this wait with an error.
        let _ = observer.clone().changed().await;
    }
}

/// Marks an outcome as delivered, once its caller acknowledges it.
async fn mark_delivered(delivery: Delivery, acknowledged: oneshot::Receiver<()>) {
    if let Ok(Ok(())) = timeout(DELIVERY_TIMEOUT, acknowledged).await {
        let _ = timeout(LEDGER_TIMEOUT, delivery.acknowledge()).await;
    }
}

fn failed_call(error: &CallError) -> ShadowOutcome {
    tracing::debug!(%error, "semel.shadow call would have failed");
    ShadowOutcome::FailByLedger
}
