//! Shadow mode, a dry run of the guard: a call runs without a guard, and an observer decides and records what a guard would
//! have answered.
//!
//! An observed call runs at once, with its arguments unchanged and without a key. Its observer does all that a guard does,
//! on shadow records: it derives, claims, receives the outcome, judges and settles. Each observer ends after a time limit,
//! and its call is counted as failed by the guard then.
//!
//! The observer of a later call claims only after the observers of calls that ended before: their results are in the
//! ledger then, as they would have been for a guarded caller.
//!
//! Absent: probes, which would reach the systems behind tools, and reruns.

mod observer;
mod tallies;

use crate::guard::ToolAllowance;
use crate::model::{Call, PolicyDescription};
use crate::runtime::{
    call::driver::CallOpening,
    call::observed::{ObservedCall, UnfinishedObservers},
    host::HostCore,
    tool::Tool,
};
use observer::CallObserver;
use std::{future::Future, pin::Pin, sync::Arc, thread, time::Duration};
use tallies::{Observation, TallyBuffer};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot, watch};

/// The most calls that are observed at once. Further calls run all the same, and are counted as unobserved.
const OBSERVERS_MAX: u32 = 1_024;

/// The longest wait of an observer for another caller's attempt before it reports that the call
/// would have waited.
const WAIT_MS: u64 = 250;

type ObserverJob = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The observers of a host.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// The parts that guarded calls share, on shadow records.
    core: Arc<HostCore>,
    policies: Vec<PolicyDescription>,
    tallies: TallyBuffer,
    /// A permit for each observer.
    room: Arc<Semaphore>,
    unfinished: UnfinishedObservers,
    /// Set once the ledger's shadow scheme is known to be this host's.
    agreed: OnceCell<()>,
    /// The queue of the observers' thread, or `None` where there is no such thread, and no call is observed.
    jobs: Option<mpsc::UnboundedSender<ObserverJob>>,
}

impl Shadow {
    pub(crate) fn new(core: HostCore, policies: Vec<PolicyDescription>) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::new(core),
            policies,
            tallies: TallyBuffer::default(),
            room: Arc::new(Semaphore::new(OBSERVERS_MAX as usize)),
            unfinished: UnfinishedObservers::default(),
            agreed: OnceCell::new(),
            jobs: start_thread(),
        })
    }

    /// Starts an observer of the call, if there is room, and waits for nothing.
    pub(crate) fn observe(
        self: &Arc<Self>,
        tool: Arc<Tool>,
        call: &Call,
        opening: &CallOpening,
    ) -> Option<ObservedCall> {
        let observed = self.start_observer(tool, call, opening);
        if observed.is_none() {
            self.tallies.add(call.tool(), Observation::UNOBSERVED);
        }
        observed
    }

    fn start_observer(
        self: &Arc<Self>,
        tool: Arc<Tool>,
        call: &Call,
        opening: &CallOpening,
    ) -> Option<ObservedCall> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let (ended, end) = oneshot::channel();
        let (delivered, delivery) = oneshot::channel();
        let (recording, recorded) = watch::channel(());
        let observer = CallObserver {
            shadow: Arc::clone(self),
            tool,
            call: Arc::new(call.clone()),
            opening: opening.clone(),
            earlier: self.unfinished.list(),
            end,
            delivery,
        };
        let job = async move {
            observer.run(recording).await;
            drop(permit);
        };
        self.jobs.as_ref()?.send(Box::pin(job)).ok()?;
        Some(ObservedCall {
            ended,
            delivered,
            unfinished: self.unfinished.clone(),
            recorded,
        })
    }

    /// Waits until all observed calls are recorded, at most so long, and returns true if they are.
    pub(crate) async fn wait_until_recorded(&self, at_most: Duration) -> bool {
        let all = self.room.acquire_many(OBSERVERS_MAX);
        tokio::time::timeout(at_most, all).await.is_ok()
    }
}

/// Restricts the permissions of a tool to what its observer may do.
pub(crate) fn restrict_allowance(allowance: &mut ToolAllowance) {
    allowance.wait_ms = allowance.wait_ms.min(WAIT_MS);
    allowance.reruns = 0;
    allowance.open_without_ledger = false;
}

/// Starts a thread that runs the observers' jobs until their last sender is gone and all are done.
///
/// A thread of their own, not the caller's runtime: a decision of a policy is synchronous, and a slow one would delay the
/// calls that share a worker with it, which are all calls in a current-thread runtime. Nor the blocking pool: an observer
/// waits for the tool and for the acknowledgement of the delivery, and would occupy a thread of the pool for all that
/// time.
fn start_thread() -> Option<mpsc::UnboundedSender<ObserverJob>> {
    let (sender, mut jobs) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .inspect_err(|error| tracing::warn!(%error, "semel.shadow cannot work"))
        .ok()?;
    let run_jobs = move || {
        runtime.block_on(async {
            while let Some(job) = jobs.recv().await {
                tokio::spawn(job);
            }
        });
    };
    thread::Builder::new()
        .name("semel-shadow".to_owned())
        .spawn(run_jobs)
        .inspect_err(|error| tracing::warn!(%error, "semel.shadow cannot work"))
        .ok()?;
    Some(sender)
}
