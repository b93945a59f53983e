//! Watching tools instead of guarding them: what a guard would have answered is decided and recorded apart, and the call
//! knows nothing of it.
//!
//! A watched call runs at once, with its arguments unchanged and without a key. Beside it an
//! observer does all that a guard does, on shadow records: it derives, claims, receives the
//! outcome, judges and settles. Observers have a thread of their own, so that an observer that is
//! held up (by a slow or broken ledger, a policy that loops, too many calls) delays no call; each
//! ends after a time limit, and its call is counted as failed by the guard.
//!
//! The observer of a later call claims only after the observers of calls that ended before: their
//! results are in the ledger then, as they would have been for a guarded caller.
//!
//! Absent: probes, which would reach the systems behind tools, and reruns.

mod observer;
mod tallies;

use crate::model::{Call, Outcome};
use crate::runtime::{call::delivery::Delivery, call::driver::Opening, semel::Semel, tool::Tool};
use observer::Observer;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
pub(crate) use tallies::put as put_tally;
use tallies::{Seen, Tallies};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot, watch};

/// The most calls watched at once. Further calls run all the same, and are counted as unobserved.
const OBSERVERS_MAX: u32 = 1_024;

/// The longest wait of an observer for another caller's attempt before it reports that the call
/// would have waited.
const WAIT_MS: u64 = 250;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The watching part of a host.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// The host that decides what would have been, on shadow records.
    semel: Semel,
    tallies: Tallies,
    room: Arc<Semaphore>,
    /// The observers of calls that have ended.
    finishing: Mutex<Vec<Finishing>>,
    /// Set once the ledger's shadow scheme is known to be this host's.
    agreed: OnceCell<()>,
    /// The queue of the observers' thread; `None` without such a thread, and nothing is observed.
    jobs: Option<mpsc::UnboundedSender<Job>>,
}

/// An observer of a call that has ended.
#[derive(Debug, Clone)]
struct Finishing(watch::Receiver<()>);

/// A watched call: its caller reports the outcome.
#[derive(Debug)]
pub(crate) struct Watched {
    shadow: Arc<Shadow>,
    came_to: oneshot::Sender<Came>,
    taken: oneshot::Sender<()>,
    done: watch::Receiver<()>,
}

/// The end of a watched call.
#[derive(Debug)]
enum Came {
    /// An outcome.
    To(Outcome),
    /// Its tool accepted, and goes on elsewhere.
    Elsewhere {
        continuation: String,
        at_most: Duration,
    },
}

impl Watched {
    /// Reports the outcome of the call to the observer, without waiting. The observer also needs
    /// the acknowledgement of its delivery.
    pub(crate) fn came_to(self, outcome: Outcome) -> Delivery {
        self.came(Came::To(outcome))
    }

    /// Reports that the tool accepted and continues elsewhere.
    pub(crate) fn goes_on(self, continuation: String, at_most: Duration) {
        drop(self.came(Came::Elsewhere {
            continuation,
            at_most,
        }));
    }

    fn came(self, came: Came) -> Delivery {
        self.shadow.finishing().push(Finishing(self.done));
        // An observer that has given up hears nothing any more.
        let _ = self.came_to.send(came);
        Delivery::of_watched(self.taken)
    }
}

impl Shadow {
    /// Returns the watcher of a host, given one that decides on shadow records.
    pub(crate) fn new(semel: Semel) -> Arc<Self> {
        Arc::new(Self {
            semel,
            tallies: Tallies::default(),
            room: Arc::new(Semaphore::new(OBSERVERS_MAX as usize)),
            finishing: Mutex::default(),
            agreed: OnceCell::new(),
            jobs: work_apart(),
        })
    }

    /// Has the call watched, if there is room. It waits for nothing.
    pub(crate) fn watch(
        self: &Arc<Self>,
        tool: &Arc<Tool>,
        call: &Call,
        opening: &Opening,
    ) -> Option<Watched> {
        let watched = self.try_to_watch(tool, call, opening);
        if watched.is_none() {
            self.tallies.note(call.tool(), Seen::UNOBSERVED);
        }
        watched
    }

    fn try_to_watch(
        self: &Arc<Self>,
        tool: &Arc<Tool>,
        call: &Call,
        opening: &Opening,
    ) -> Option<Watched> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let (came_to, hears) = oneshot::channel();
        let (taken, hears_taken) = oneshot::channel();
        let (working, done) = watch::channel(());
        let observer = Observer {
            shadow: Arc::clone(self),
            tool: Arc::clone(tool),
            call: Arc::new(call.clone()),
            opening: opening.clone(),
            earlier: self.finishing().clone(),
            hears,
            hears_taken,
        };
        let job = async move {
            observer.work(working).await;
            drop(place);
        };
        self.jobs.as_ref()?.send(Box::pin(job)).ok()?;
        Some(Watched {
            shadow: Arc::clone(self),
            came_to,
            taken,
            done,
        })
    }

    /// The observers of calls that have ended. Those that have ended themselves are forgotten.
    fn finishing(&self) -> MutexGuard<'_, Vec<Finishing>> {
        let mut finishing = self
            .finishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        finishing.retain(|Finishing(done)| done.has_changed().is_ok());
        finishing
    }

    /// Waits until all watched calls are recorded, at most so long, and returns whether they are.
    pub(crate) async fn settled(&self, at_most: Duration) -> bool {
        let all = self.room.acquire_many(OBSERVERS_MAX);
        tokio::time::timeout(at_most, all).await.is_ok()
    }
}

/// A tool as its observer guards it.
pub(crate) fn as_watched(tool: &Tool) -> Tool {
    let mut tool = tool.clone();
    let allowance = &mut tool.allowance;
    allowance.wait_ms = allowance.wait_ms.min(WAIT_MS);
    allowance.reruns = 0;
    allowance.open_without_ledger = false;
    tool
}

/// Starts a thread that runs the observers' jobs until their last sender is gone and all are done.
fn work_apart() -> Option<mpsc::UnboundedSender<Job>> {
    let (send, mut jobs) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime
        .inspect_err(|error| tracing::warn!(%error, "semel.shadow cannot work"))
        .ok()?;
    let work = move || {
        runtime.block_on(async {
            while let Some(job) = jobs.recv().await {
                tokio::spawn(job);
            }
        });
    };
    thread::Builder::new()
        .name("semel-shadow".to_owned())
        .spawn(work)
        .ok()?;
    Some(send)
}
