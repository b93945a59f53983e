//! Renews the leases of a host, each a few times within its length, for as long as it is held.
//!
//! One task of a tokio runtime renews all leases of that runtime. Most calls are over before their first renewal is due,
//! so a task for each call would be the most expensive part of a call that never needs one.

use crate::runtime::ledger_client::{LedgerClient, error::LedgerError};
use crate::{
    ledger::{Command, Fence},
    model::StoreKey,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime::{self, Handle},
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The leases that a host renews.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseRenewals(Arc<Mutex<RenewalTable>>);

#[derive(Debug, Default)]
struct RenewalTable {
    /// The number of the last lease.
    last: u64,
    /// A schedule for each runtime with a renewal task: when a runtime ends, so do its tasks and their leases.
    schedules: HashMap<runtime::Id, RenewalSchedule>,
}

/// The leases of one runtime.
#[derive(Debug)]
struct RenewalSchedule {
    /// The leases by the time of their next renewal.
    leases: BTreeMap<DueTime, RenewedLease>,
    /// The time at which the renewal task wakes next, even if no lease is due then.
    wakes_at: Instant,
    /// Wakes the task earlier.
    wake: Arc<Notify>,
}

impl RenewalSchedule {
    fn new(first: Instant) -> Self {
        Self {
            leases: BTreeMap::new(),
            wakes_at: first,
            wake: Arc::default(),
        }
    }
}

/// The time of a renewal, and the lease's number, which separates leases due at the same instant.
type DueTime = (Instant, u64);

/// A lease to be renewed.
#[derive(Debug, Clone)]
pub(crate) struct RenewedLease {
    pub(crate) ledger: LedgerClient,
    pub(crate) key: StoreKey,
    pub(crate) fence: Fence,
    pub(crate) every: Duration,
}

/// A lease is renewed until this value is dropped.
#[derive(Debug)]
pub(crate) struct ActiveRenewal {
    renewals: LeaseRenewals,
    runtime: runtime::Id,
    /// The time of the first renewal, under which the schedule has the lease until then.
    first_due: DueTime,
}

impl LeaseRenewals {
    /// Renews a lease from now on.
    pub(crate) fn start(&self, lease: RenewedLease) -> ActiveRenewal {
        let here = Handle::current();
        let runtime = here.id();
        let due = Instant::now() + lease.every;
        let mut table = self.0.lock();
        table.last += 1;
        let number = table.last;
        let has_task = table.schedules.contains_key(&runtime);
        let schedule = table
            .schedules
            .entry(runtime)
            .or_insert_with(|| RenewalSchedule::new(due));
        schedule.leases.insert((due, number), lease);
        if !has_task {
            let task = RenewalTask {
                renewals: self.clone(),
                runtime,
            };
            here.spawn(task.run(Arc::clone(&schedule.wake)));
        } else if due < schedule.wakes_at {
            schedule.wake.notify_one();
        }
        ActiveRenewal {
            renewals: self.clone(),
            runtime,
            first_due: (due, number),
        }
    }

    fn stop(&self, runtime: runtime::Id, due: DueTime) {
        let mut table = self.0.lock();
        let Some(schedule) = table.schedules.get_mut(&runtime) else {
            return;
        };
        if schedule.leases.remove(&due).is_none() {
            // The lease was renewed since, and is due at another time. Only calls of several seconds pay for the search.
            schedule.leases.retain(|(_, number), _| *number != due.1);
        }
    }
}

impl Drop for ActiveRenewal {
    fn drop(&mut self) {
        self.renewals.stop(self.runtime, self.first_due);
    }
}

/// The task that renews the leases of a runtime.
struct RenewalTask {
    renewals: LeaseRenewals,
    runtime: runtime::Id,
}

impl RenewalTask {
    async fn run(self, wake: Arc<Notify>) {
        while let Some(next) = self.renew_due_leases() {
            tokio::select! {
                () = sleep_until(next) => {}
                () = wake.notified() => {}
            }
        }
    }

    /// Begins the renewals that are due, and returns the time of the next. `None` ends the task: no lease is left, and
    /// the next one starts another task.
    fn renew_due_leases(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut table = self.renewals.0.lock();
        let schedule = table.schedules.get_mut(&self.runtime)?;
        while let Some(entry) = schedule.leases.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, number), lease) = entry.remove_entry();
            let due = (now + lease.every, number);
            // In a task of its own, so that a slow ledger delays no other lease.
            tokio::spawn(renew_lease(
                self.renewals.clone(),
                self.runtime,
                due,
                lease.clone(),
            ));
            schedule.leases.insert(due, lease);
        }
        match schedule.leases.first_key_value().map(|(due, _)| due.0) {
            Some(next) => {
                schedule.wakes_at = next;
                Some(next)
            }
            None => {
                table.schedules.remove(&self.runtime);
                None
            }
        }
    }
}

impl Drop for RenewalTask {
    fn drop(&mut self) {
        let removed = self.renewals.0.lock().schedules.remove(&self.runtime);
        // Outside the lock: a lease may hold the last handle of a store, and closing a store takes time.
        drop(removed);
    }
}

/// Renews a lease once. The write is carried out even if the call ends during it.
async fn renew_lease(
    renewals: LeaseRenewals,
    runtime: runtime::Id,
    due: DueTime,
    lease: RenewedLease,
) {
    let renew = Command::Renew { fence: lease.fence };
    match lease.ledger.apply(lease.key, &renew).await {
        Ok(_) => {}
        Err(LedgerError::Refused(refusal)) => {
            tracing::debug!(%refusal, "semel.lease ended");
            renewals.stop(runtime, due);
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
        runtime::ledger_client::entries::EntryClient,
        store::{MemoryStore, Retention, Store},
    };
    use semel_conformance::{fresh_version, key, operation};
    use semel_store::fresh_nonce;

    const EVERY: Duration = Duration::from_secs(5);

    async fn lease(store: &Arc<dyn Store>, number: u32) -> RenewedLease {
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
        RenewedLease {
            ledger: LedgerClient::new(EntryClient::new(Arc::clone(store))),
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
        let renewals = LeaseRenewals::default();
        let held = renewals.start(lease(&store, 1).await);
        let other = renewals.start(lease(&store, 2).await);
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
        assert!(renewals.0.lock().schedules.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_lease_is_renewed_in_its_own_time() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let renewals = LeaseRenewals::default();
        let long = renewals.start(RenewedLease {
            every: EVERY * 10,
            ..lease(&store, 1).await
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let short = renewals.start(lease(&store, 2).await);
        let begun = [version(&store, 1).await, version(&store, 2).await];
        tokio::time::sleep(EVERY + Duration::from_secs(1)).await;
        assert_eq!(version(&store, 1).await, begun[0]);
        assert_ne!(version(&store, 2).await, begun[1]);
        drop((long, short));
    }

    #[test]
    fn a_runtime_that_ends_leaves_the_next_one_to_watch_for_itself() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let renewals = LeaseRenewals::default();
        for number in 0..2 {
            let runtime = runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let held = renewals.start(lease(&store, number).await);
                let begun = version(&store, number).await;
                tokio::time::sleep(EVERY * 2).await;
                assert_ne!(version(&store, number).await, begun);
                std::mem::forget(held);
            });
        }
        assert!(
            renewals.0.lock().schedules.is_empty(),
            "the watchers went with their runtimes"
        );
    }
}
