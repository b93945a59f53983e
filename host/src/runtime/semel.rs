//! The host of guarded tools: finds the tool of a call, and guards it, watches it or leaves it alone.

use crate::runtime::{
    builder::SemelBuilder,
    call::{
        context::check_arguments,
        driver::CallOpening,
        error::CallError,
        run::{self, CallStep},
        ticket::Ticket,
    },
    host::HostCore,
    ledger_client::clock::BootInstant,
    operator::Ledger,
    tool::{Tool, ToolRules},
};
use crate::{
    engine::{PolicyError, PolicyErrorKind},
    model::{Answer, Call, Derivation, Durability, Outcome, ToolMode, UnguardedReason},
    store::Store,
};
use std::{future::Future, sync::Arc};

#[cfg(feature = "shadow")]
use {crate::runtime::shadow::Shadow, std::time::Duration};

/// A host that guards tool calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Semel {
    core: Arc<HostCore>,
    tools: Arc<ToolRules>,
    /// The observers of tools in shadow mode, if there are such tools.
    #[cfg(feature = "shadow")]
    shadow: Option<Arc<Shadow>>,
}

impl Semel {
    /// Returns a builder for a host with its ledger in `store`.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>) -> SemelBuilder {
        SemelBuilder::new(store)
    }

    pub(super) fn new(
        core: HostCore,
        tools: ToolRules,
        #[cfg(feature = "shadow")] shadow: Option<Arc<Shadow>>,
    ) -> Self {
        Self {
            core: Arc::new(core),
            tools: Arc::new(tools),
            #[cfg(feature = "shadow")]
            shadow,
        }
    }

    /// Guards `call`: runs the tool through `run` if the operation that it means has not been sent, and answers with the
    /// recorded state otherwise. `run` is called again only after an attempt that had no effect, or where the policy
    /// permits to send the same again, as often as the tool's [`ToolAllowance`] permits.
    ///
    /// A caller that drops the returned future while the tool runs leaves the operation in doubt.
    ///
    /// [`ToolAllowance`]: crate::guard::ToolAllowance
    ///
    /// # Errors
    ///
    /// If the ledger cannot be reached (the tool did not run), or no policy is set up for the tool.
    pub async fn call<Run, Running>(&self, call: Call, mut run: Run) -> Result<Answer, CallError>
    where
        Run: FnMut(Ticket) -> Running,
        Running: Future<Output = Outcome>,
    {
        let mut step = self.begin(call).await?;
        loop {
            match step {
                CallStep::Answered(answered) => {
                    let (answer, delivery) = answered.into_parts();
                    // The caller of this function gets the answer as its return value, so it is delivered.
                    match delivery {
                        Some(delivery) if delivery.ends_operation() => {
                            self.core.delivery_marks.write_in_background(delivery);
                        }
                        // What is undone later can only be done again if this mark outlives the program.
                        Some(delivery) => delivery.acknowledge().await,
                        None => {}
                    }
                    return Ok(answer);
                }
                CallStep::Run(tool_run) => {
                    let (ticket, mode) = tool_run.into_parts();
                    step = mode.report(run(ticket).await).await?;
                }
            }
        }
    }

    /// Begins a call for a caller that runs the tool itself: returns whether to run it, or its answer.
    ///
    /// # Errors
    ///
    /// As [`Semel::call`].
    pub async fn begin(&self, call: Call) -> Result<CallStep, CallError> {
        self.open(call, CallOpening::Claim).await
    }

    /// As [`Semel::begin`], for a call that was made before the outcome of `generation` of its operation was delivered.
    /// That outcome is a pending delivery to this call too, as if the call had waited for it. Where outcomes last until
    /// delivery, the call would otherwise begin another operation, only because it was read late.
    ///
    /// # Errors
    ///
    /// As [`Semel::call`].
    pub async fn begin_before_delivery(
        &self,
        call: Call,
        generation: u32,
    ) -> Result<CallStep, CallError> {
        self.open(call, CallOpening::ClaimBeforeDelivery { generation })
            .await
    }

    /// Resumes a call that was suspended ([`ToolRun::suspend`]): returns whether to run its next round, or the answer
    /// where no attempt waits under this continuation. It must be the very same call; a next round is part of the same
    /// attempt, and has the same key.
    ///
    /// [`ToolRun::suspend`]: crate::runtime::ToolRun::suspend
    ///
    /// # Errors
    ///
    /// As [`Semel::call`].
    pub async fn resume(
        &self,
        call: Call,
        continuation: impl Into<String>,
    ) -> Result<CallStep, CallError> {
        let continuation = continuation.into();
        self.open(call, CallOpening::Resume { continuation }).await
    }

    async fn open(&self, call: Call, opening: CallOpening) -> Result<CallStep, CallError> {
        let begun = BootInstant::now();
        let tool = self.tools.find(call.tool()).cloned();
        // The limits on arguments are for policies, and a tool without a guard has none to ask.
        if let Some(tool) = &tool {
            match tool.mode {
                ToolMode::Enforce => {}
                ToolMode::Shadow => return Ok(self.run_in_shadow(tool, &call, &opening)),
                ToolMode::Off => return Ok(run::run_unguarded(&call, UnguardedReason::Off)),
            }
        }
        if let Err(error) = check_arguments(&call) {
            let reason = format!("the arguments cannot be used: {error}");
            return Ok(run::refuse_call(call.tool(), reason));
        }
        let Some(tool) = tool else {
            return Err(CallError::NoPolicy {
                tool: call.tool().to_owned(),
            });
        };
        match tool.policy.derive(&call) {
            Err(error) => Ok(run::refuse_call(call.tool(), refusal_reason(error))),
            Ok(Derivation::Pass) => Ok(run::run_unguarded(&call, UnguardedReason::Policy)),
            Ok(Derivation::Refuse(reason)) => Ok(run::refuse_call(call.tool(), reason)),
            Ok(Derivation::Once(operation)) => {
                self.core
                    .guard_call(tool, call, *operation, begun, opening)
                    .await
            }
        }
    }

    #[cfg(feature = "shadow")]
    fn run_in_shadow(&self, tool: &Arc<Tool>, call: &Call, opening: &CallOpening) -> CallStep {
        let shadow = self.shadow.as_ref();
        match shadow.and_then(|shadow| shadow.observe(Arc::clone(tool), call, opening)) {
            Some(observed) => run::run_observed(call, observed),
            None => run::run_unguarded(call, UnguardedReason::Shadow),
        }
    }

    /// Without the feature, no host with a tool in shadow mode opens.
    #[cfg(not(feature = "shadow"))]
    fn run_in_shadow(&self, _: &Arc<Tool>, call: &Call, _: &CallOpening) -> CallStep {
        run::run_unguarded(call, UnguardedReason::Shadow)
    }

    /// Waits until all calls in shadow mode are recorded, at most so long, and returns true if they are.
    /// For a process that is about to end: unrecorded observations are lost, and nothing else.
    #[cfg(feature = "shadow")]
    pub async fn wait_for_observations(&self, at_most: Duration) -> bool {
        match &self.shadow {
            Some(shadow) => shadow.wait_until_recorded(at_most).await,
            None => true,
        }
    }

    /// Returns the failures that an acknowledged write of the ledger survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.core.ledger.store().durability()
    }

    /// Returns the ledger, as its operator reads and changes it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.core.ledger.clone(), self.core.keys.clone())
    }
}

/// Returns the reason for a refused call. A policy's own refusal addresses the model; any other failure is the policy's,
/// and its message names it.
fn refusal_reason(error: PolicyError) -> String {
    match error.kind {
        PolicyErrorKind::Refused { message } => message,
        _ => error.to_string(),
    }
}
