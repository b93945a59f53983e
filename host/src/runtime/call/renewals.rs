//! Renews the leases of a host, each a few times within its length, for as long as it is held.
//!
//! One task of a runtime renews all of its leases: most calls are over before their first renewal is due, and a task of
//! its own for each would be the dearest part of a call that never needs one.

use crate::runtime::ledger_client::{LedgerClient, LedgerError};
use crate::{
    ledger::{Command, Fence},
    model::StoreKey,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::{self, Handle},
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The leases that a host renews.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renewals(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    /// A watch for each runtime with a renewal task: when a runtime ends, so do its tasks and their
    /// leases.
    watches: HashMap<runtime::Id, Watch>,
}

#[derive(Debug)]
struct Watch {
    /// The leases by the time of their next renewal; a number separates those due at the same
    /// moment.
    leases: BTreeMap<Due, Renewed>,
    /// When the watcher looks next, whether or not what it then looked for is still held.
    looks_at: Instant,
    /// Rings when something is due earlier.
    bell: Arc<Notify>,
}

impl Watch {
    fn from(first: Instant) -> Self {
        Self {
            leases: BTreeMap::new(),
            looks_at: first,
            bell: Arc::default(),
        }
    }
}

type Due = (Instant, u64);

/// A lease to be renewed.
#[derive(Debug, Clone)]
pub(crate) struct Renewed {
    pub(crate) table: LedgerClient,
    pub(crate) key: StoreKey,
    pub(crate) fence: Fence,
    pub(crate) every: Duration,
}

/// A lease is renewed until this is dropped.
#[derive(Debug)]
pub(crate) struct Renewal {
    renewals: Renewals,
    runtime: runtime::Id,
    /// As it was begun.
    due: Due,
}

impl Renewals {
    /// Renews a lease from now on.
    pub(crate) fn begin(&self, lease: Renewed) -> Renewal {
        let here = Handle::current();
        let runtime = here.id();
        let due = Instant::now() + lease.every;
        let mut open = self.open();
        open.last += 1;
        let number = open.last;
        let is_watched = open.watches.contains_key(&runtime);
        let watch = open
            .watches
            .entry(runtime)
            .or_insert_with(|| Watch::from(due));
        watch.leases.insert((due, number), lease);
        if !is_watched {
            here.spawn(
                Watcher {
                    renewals: self.clone(),
                    runtime,
                }
                .watch(Arc::clone(&watch.bell)),
            );
        } else if due < watch.looks_at {
            watch.bell.notify_one();
        }
        Renewal {
            renewals: self.clone(),
            runtime,
            due: (due, number),
        }
    }

    fn forget(&self, runtime: runtime::Id, begun: Due) {
        let mut open = self.open();
        let Some(watch) = open.watches.get_mut(&runtime) else {
            return;
        };
        if watch.leases.remove(&begun).is_none() {
            // It was renewed since, as only those are that last for seconds.
            watch.leases.retain(|(_, number), _| *number != begun.1);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics between two states that make sense.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.renewals.forget(self.runtime, self.due);
    }
}

/// The task that watches the leases of a runtime.
struct Watcher {
    renewals: Renewals,
    runtime: runtime::Id,
}

impl Watcher {
    async fn watch(self, bell: Arc<Notify>) {
        while let Some(next) = self.renew_what_is_due() {
            tokio::select! {
                () = sleep_until(next) => {}
                () = bell.notified() => {}
            }
        }
    }

    /// Begins the renewals that are due, and returns when the next is. `None`: there is nothing
    /// left to watch, and the next lease starts another watcher.
    fn renew_what_is_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut open = self.renewals.open();
        let watch = open.watches.get_mut(&self.runtime)?;
        while let Some(entry) = watch
            .leases
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let ((_, number), lease) = entry.remove_entry();
            let due = (now + lease.every, number);
            tokio::spawn(renew(
                self.renewals.clone(),
                self.runtime,
                due,
                lease.clone(),
            ));
            watch.leases.insert(due, lease);
        }
        match watch.leases.first_key_value().map(|(due, _)| due.0) {
            Some(next) => {
                watch.looks_at = next;
                Some(next)
            }
            None => {
                open.watches.remove(&self.runtime);
                None
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The runtime ends, or everything is done.
        let gone = self.renewals.open().watches.remove(&self.runtime);
        // Its leases may hold the last word of a store, which must not be spoken under the lock.
        drop(gone);
    }
}

/// Each renewal is carried out even where its lease ends meanwhile.
async fn renew(renewals: Renewals, runtime: runtime::Id, due: Due, lease: Renewed) {
    match lease
        .table
        .apply(lease.key, &Command::Renew { fence: lease.fence })
        .await
    {
        Ok(_) => {}
        Err(LedgerError::Refused(refusal)) => {
            tracing::debug!(%refusal, "semel.lease ended");
            renewals.forget(runtime, due);
        }
        Err(error) => tracing::warn!(%error, "semel.lease could not be renewed"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::{
        ledger::{AttemptRecord, Entry, KnownEffect, RecordTime, State},
        model::Nonce,
        store::{MemoryStore, Retention, Store},
    };
    use semel_conformance::{fresh_version, key, operation};
    use semel_store::fresh_nonce;

    const EVERY: Duration = Duration::from_secs(5);

    async fn lease(store: &Arc<dyn Store>, number: u32) -> Renewed {
        let mut entry = operation("acme", State::Started);
        let fence = Fence {
            number: 1,
            nonce: fresh_nonce().unwrap(),
        };
        if let Entry::Operation(record) = Arc::make_mut(&mut entry) {
            record.attempts.push(AttemptRecord {
                fence,
                generation: 1,
                series: 1,
                started: RecordTime::ThisWrite,
                known: KnownEffect::Open,
                outcome: None,
                reason: None,
                facts: Vec::new(),
                suspended: false,
            });
        }
        store
            .create(
                key(number),
                &entry,
                fresh_version(),
                Retention::UntilRemoved,
            )
            .await
            .unwrap();
        Renewed {
            table: LedgerClient::new(Arc::clone(store)),
            key: key(number),
            fence,
            every: EVERY,
        }
    }

    async fn version(store: &Arc<dyn Store>, number: u32) -> Nonce {
        store.get(key(number)).await.unwrap().0.unwrap().version
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_until_it_is_dropped_and_then_nobody_watches() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let renewals = Renewals::default();
        let held = renewals.begin(lease(&store, 1).await);
        let other = renewals.begin(lease(&store, 2).await);
        let begun = [version(&store, 1).await, version(&store, 2).await];
        drop(other);
        tokio::time::sleep(EVERY + Duration::from_secs(1)).await;
        let renewed = version(&store, 1).await;
        assert_ne!(renewed, begun[0]);
        assert_eq!(version(&store, 2).await, begun[1], "it was given up before");
        tokio::time::sleep(EVERY).await;
        assert_ne!(version(&store, 1).await, renewed, "again and again");
        drop(held);
        tokio::time::sleep(EVERY).await;
        assert!(renewals.open().watches.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_lease_is_renewed_in_its_own_time() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let renewals = Renewals::default();
        let long = renewals.begin(Renewed {
            every: EVERY * 10,
            ..lease(&store, 1).await
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let short = renewals.begin(lease(&store, 2).await);
        let begun = [version(&store, 1).await, version(&store, 2).await];
        tokio::time::sleep(EVERY + Duration::from_secs(1)).await;
        assert_eq!(version(&store, 1).await, begun[0]);
        assert_ne!(version(&store, 2).await, begun[1]);
        drop((long, short));
    }

    #[test]
    fn a_runtime_that_ends_leaves_the_next_one_to_watch_for_itself() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let renewals = Renewals::default();
        for number in 0..2 {
            let runtime = runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let held = renewals.begin(lease(&store, number).await);
                let begun = version(&store, number).await;
                tokio::time::sleep(EVERY * 2).await;
                assert_ne!(version(&store, number).await, begun);
                std::mem::forget(held);
            });
        }
        assert!(
            renewals.open().watches.is_empty(),
            "the watchers went with their runtimes"
        );
    }
}
