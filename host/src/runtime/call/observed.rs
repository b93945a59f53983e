//! The connection between a call that runs unguarded and an observer that decides what a guard would have done.

use crate::{model::Outcome, runtime::call::delivery::Delivery};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};

/// The end of an observed call.
#[derive(Debug)]
pub(crate) enum ObservedEnd {
    /// The tool's outcome.
    Outcome(Outcome),
    /// The tool accepted, and continues elsewhere.
    Suspended {
        continuation: String,
        at_most: Duration,
    },
}

/// An observed call, as its caller reports to the observer.
#[derive(Debug)]
pub(crate) struct ObservedCall {
    pub(crate) ended: oneshot::Sender<ObservedEnd>,
    pub(crate) delivered: oneshot::Sender<()>,
    pub(crate) unfinished: UnfinishedObservers,
    /// Closes once the observer has recorded the call.
    pub(crate) recorded: watch::Receiver<()>,
}

impl ObservedCall {
    /// Reports the end of the call to the observer, without waiting. The observer also needs the acknowledgement of the
    /// outcome's delivery.
    pub(crate) fn report_end(self, end: ObservedEnd) -> Delivery {
        self.unfinished.add(self.recorded);
        // An observer that has reached its time limit receives nothing any more.
        let _ = self.ended.send(end);
        Delivery::to_observer(self.delivered)
    }
}

/// The observers of calls that have ended. A later call is observed after them.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnfinishedObservers(Arc<Mutex<Vec<watch::Receiver<()>>>>);

impl UnfinishedObservers {
    fn add(&self, observer: watch::Receiver<()>) {
        let mut observers = self.0.lock();
        observers.retain(is_unfinished);
        observers.push(observer);
    }

    pub(crate) fn list(&self) -> Vec<watch::Receiver<()>> {
        let mut observers = self.0.lock();
        observers.retain(is_unfinished);
        observers.clone()
    }
}

fn is_unfinished(observer: &watch::Receiver<()>) -> bool {
    observer.has_changed().is_ok()
}
