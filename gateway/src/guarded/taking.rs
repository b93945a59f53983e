//! Answers on their way to a client, until it is recorded that they were taken.
//!
//! A client that has read an answer may make the same call at once, and mean it. The answer is written first, and that it
//! was taken is recorded after that; so a call that comes in between waits for the record, or it would be taken for a repeat.

use semel::words::Call;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long a call waits for another one's record. A client that reads slowly must not hold up others for long.
const WAIT: Duration = Duration::from_secs(5);

/// Which calls are equal: those on behalf of one tenant, with the same tool and arguments.
type Equal = (String, String, String);

/// Of each call whose answer is on its way: since when, and what is cancelled once that is recorded.
#[derive(Debug, Default)]
pub(super) struct Taking(Mutex<HashMap<Equal, (Instant, CancellationToken)>>);

impl Taking {
    /// From now on the answer to this call is on its way, until what is returned is dropped.
    pub(super) fn begin(&self, equal: Equal) -> OnItsWay<'_> {
        let (began, recorded) = (Instant::now(), CancellationToken::new());
        self.open().insert(equal.clone(), (began, recorded.clone()));
        OnItsWay { taking: self, equal, began, recorded }
    }

    /// Waits for the record of an equal call whose answer was on its way before this one was read. Of one that was read before
    /// that, nobody can have meant it as another.
    pub(super) async fn wait(&self, equal: &Equal, read: Instant) {
        let recorded = match self.open().get(equal) {
            Some((began, recorded)) if *began <= read => recorded.clone(),
            _ => return,
        };
        // Whoever waits no longer is told what stands.
        tokio::time::timeout(WAIT, recorded.cancelled()).await.unwrap_or_default();
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Equal, (Instant, CancellationToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which calls this one is equal to.
pub(super) fn equal(call: &Call) -> Equal {
    (call.tenant().to_string(), call.tool().to_owned(), call.canonical_arguments().to_owned())
}

/// An answer that is on its way.
#[derive(Debug)]
pub(super) struct OnItsWay<'a> {
    taking: &'a Taking,
    equal: Equal,
    began: Instant,
    recorded: CancellationToken,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let mut taking = self.taking.open();
        // The same answer may be on its way to another client since.
        if taking.get(&self.equal).is_some_and(|(began, _)| *began == self.began) {
            taking.remove(&self.equal);
        }
        self.recorded.cancel();
    }
}
