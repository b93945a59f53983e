//! Watching tools instead of guarding them: what a guard would have answered is decided and recorded apart, and the call
//! knows nothing of it.
//!
//! A watched call runs at once, with its arguments as they are and no key. Beside it an observer does all that a guard
//! does, on shadow records: it derives, claims, hears what the tool came to, judges and settles. Observers have a thread
//! of their own, so that nothing that keeps them (a slow or broken ledger, a policy that loops, too many calls) keeps
//! anybody else; each ends after a time, and its call is counted as one that the guard would have failed.
//!
//! A later call's observer claims only after those of calls that had ended before: their word is in the ledger
//! then, as it would have been before a guarded caller got his answer.
//!
//! Absent: probes, which would reach the systems behind tools, and reruns.

mod observer;
mod tallies;

use super::{delivery::Delivery, driver::Opening, semel::Semel, tool::Tool};
use crate::model::{Call, Outcome};
use observer::Observer;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
pub(super) use tallies::put as put_tally;
use tallies::{Seen, Tallies};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot, watch};

/// How many calls are watched at the same time. More run all the same, and are counted as unobserved.
const OBSERVERS_MAX: u32 = 1_024;

/// How long an observer waits for another caller's attempt before it says that the call would have waited.
const WAIT_MS: u64 = 250;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The watching part of a host.
#[derive(Debug)]
pub(super) struct Shadow {
    /// The host that decides what would have been, on shadow records.
    semel: Semel,
    tallies: Tallies,
    room: Arc<Semaphore>,
    /// The observers of calls that have ended.
    finishing: Mutex<Vec<Finishing>>,
    /// Whether the ledger's shadow keys are made as this host makes them.
    agreed: OnceCell<()>,
    /// Where observers work; none: there is no such thread, and nothing is observed.
    jobs: Option<mpsc::UnboundedSender<Job>>,
}

/// An observer whose call has ended.
#[derive(Debug, Clone)]
struct Finishing(watch::Receiver<()>);

/// A call that is being watched: its caller says what it came to.
#[derive(Debug)]
pub(super) struct Watched {
    shadow: Arc<Shadow>,
    came_to: oneshot::Sender<Came>,
    taken: oneshot::Sender<()>,
    done: watch::Receiver<()>,
}

/// What became of a watched call.
#[derive(Debug)]
enum Came {
    /// It came to this.
    To(Outcome),
    /// Its tool accepted, and goes on elsewhere.
    Elsewhere {
        continuation: String,
        at_most: Duration,
    },
}

impl Watched {
    /// Tells the observer what the call came to. It waits for nothing. The observer wants to hear, too, whether the
    /// outcome was taken.
    pub(super) fn came_to(self, outcome: Outcome) -> Delivery {
        self.came(Came::To(outcome))
    }

    /// Tells the observer that the tool accepted and goes on elsewhere.
    pub(super) fn goes_on(self, continuation: String, at_most: Duration) {
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
    /// What watches for a host, given one that decides on shadow records.
    pub(super) fn new(semel: Semel) -> Arc<Self> {
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
    pub(super) fn watch(
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

    /// Waits until all that was watched is recorded, for so long at the most, and says whether it is.
    pub(super) async fn settled(&self, at_most: Duration) -> bool {
        let all = self.room.acquire_many(OBSERVERS_MAX);
        tokio::time::timeout(at_most, all).await.is_ok()
    }
}

/// A tool as its observer guards it.
pub(super) fn as_watched(tool: &Tool) -> Tool {
    let mut tool = tool.clone();
    let allowance = &mut tool.allowance;
    allowance.wait_ms = allowance.wait_ms.min(WAIT_MS);
    allowance.reruns = 0;
    allowance.open_without_ledger = false;
    tool
}

/// A thread that does what it is sent, until nobody can send more and all is done.
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
