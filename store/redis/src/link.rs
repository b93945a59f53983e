//! The connections to the servers, and the known state of the servers.
//!
//! A connection belongs to one server process, so each new one is checked before its first use. A failover
//! is detected before any request goes to the new primary.
//!
//! **Moving buckets.** A node of a cluster rejects a request whose keys belong to another node (`MOVED`)
//! or are moving (`TRYAGAIN`, `ASK`). Then the topology is read again, and the request is repeated at the
//! right node, within the time limit of a move. `ASK` is not followed but waited out. The importing node
//! rejects every script with a key that has not arrived yet, and a record that is to be created, or an
//! empty list, never arrives.
//!
//! INVARIANT: no request is executed twice. After a lost connection or a timeout its result is *unknown*,
//! and it is not repeated. The only repeats here are of scripts that certainly did nothing: the server did
//! not know the script, or rejected it because of its keys, or the script found another epoch.

use super::{
    endpoint::{CONNECT_TIMEOUT, Endpoint},
    error,
    inspect::{self, LedgerState},
    record::Bucket,
    script::{EPOCH_ENDED, Script},
    topology::ClusterTopology,
};
use parking_lot::RwLock;
use redis::{Cmd, RedisError, Value};
use semel_core::model::Durability;
use semel_store::{Backoff, Clock, ServerError, ServerReport, SharedError, StoreError};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// The interval between checks of an idle server.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The pauses between failed checks.
const PROBE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// The time limit for a bucket to move to another node, and the pause between reads of the
/// topology.
const RELOCATION_TIMEOUT: Duration = Duration::from_secs(5);
const RELOCATION_PAUSE: Duration = Duration::from_millis(20);

/// The most checks of a changing cluster in one probe.
const PROBES_MAX: u32 = 3;

/// The most epochs of the ledger that may end during one command.
const EPOCHS_MAX: usize = 3;

/// The time since which a request waits for a moving bucket.
#[derive(Default)]
pub(super) struct RelocationWait(Option<Instant>);

/// The state of the servers at one check.
pub(super) struct TopologyView {
    pub(super) topology: Arc<ClusterTopology>,
    state: Result<LedgerState, ServerError>,
}

impl TopologyView {
    fn is_usable(&self) -> bool {
        self.state.is_ok() && !self.topology.is_lost()
    }

    pub(super) fn ledger_state(&self) -> Result<&LedgerState, StoreError> {
        self.state
            .as_ref()
            .map_err(|error| StoreError::not_executed(error.clone()))
    }
}

/// A failed check, and the pause after it.
struct FailedProbe {
    at: Instant,
    pause: Duration,
    error: ServerError,
}

/// The connections of a store.
pub(super) struct ServerLink {
    endpoint: Arc<Endpoint>,
    clock: Option<Arc<dyn Clock>>,
    view: RwLock<Arc<TopologyView>>,
    /// Locked during a check of the servers: other callers wait for its result.
    last_failure: tokio::sync::Mutex<Option<FailedProbe>>,
}

impl ServerLink {
    pub(super) async fn open(
        endpoint: Arc<Endpoint>,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self, ServerError> {
        let topology = Arc::new(ClusterTopology::discover(&endpoint, None).await?);
        let state = inspect::inspect_ledger(&topology, &endpoint).await?;
        let view = RwLock::new(Arc::new(TopologyView {
            topology,
            state: Ok(state),
        }));
        Ok(Self {
            endpoint,
            clock,
            view,
            last_failure: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the time for the scripts; `None` for the server's own.
    pub(super) fn clock_ms(&self) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.now().wall_ms)
    }

    /// Returns the time as a script's argument. An absent time is an empty argument, because the arguments
    /// are positional.
    pub(super) fn clock_argument(&self) -> String {
        self.clock_ms()
            .map_or_else(String::new, |now| now.to_string())
    }

    /// Returns the server's state at the last check, or `None` if it cannot be used.
    pub(super) fn report(&self) -> Option<ServerReport> {
        self.current_view()
            .state
            .as_ref()
            .ok()
            .map(|state| state.report.clone())
    }

    /// Returns the failures that an acknowledged write survives, by the last check.
    pub(super) fn durability(&self) -> Durability {
        match &self.current_view().state {
            Ok(state) => state.durability,
            Err(_) => Durability::Unverified,
        }
    }

    fn current_view(&self) -> Arc<TopologyView> {
        Arc::clone(&self.view.read())
    }

    /// Returns the state of usable servers, and checks them first if necessary.
    pub(super) async fn usable_view(&self) -> Result<Arc<TopologyView>, StoreError> {
        let seen = self.current_view();
        if seen.is_usable() {
            return Ok(seen);
        }
        // No command is sent yet, so its error is *not executed*.
        self.probe(&seen, false)
            .await
            .map_err(StoreError::not_executed)
    }

    /// Runs a script on a bucket. It repeats the script where that certainly did nothing: it found another
    /// epoch of the ledger, or the bucket is on another node. The answer comes with the ledger's state for
    /// which it holds.
    pub(super) async fn run_script(
        &self,
        script: &Script,
        bucket: Bucket,
        fill: impl Fn(&mut Cmd, &LedgerState),
    ) -> Result<Result<(Value, LedgerState), RedisError>, StoreError> {
        let mut epochs = 0;
        let mut waited = RelocationWait::default();
        while epochs < EPOCHS_MAX {
            let view = self.usable_view().await?;
            let state = view.ledger_state()?;
            match script
                .run(view.topology.for_bucket(bucket), |command| {
                    fill(command, state)
                })
                .await
            {
                Ok(Value::Int(EPOCH_ENDED)) => {
                    epochs += 1;
                    self.confirm_new_epoch(&view).await?;
                }
                Err(error) if error::is_elsewhere(&error) => {
                    self.wait_for_relocation(&view, &mut waited, error).await?
                }
                Err(error) if error::is_another_role(&error) => {
                    // The caller gets the rejection, and the next command checks the server's new role.
                    self.invalidate(&view, view.topology.for_bucket(bucket).server_error(&error));
                    return Ok(Err(error));
                }
                answer => return Ok(answer.map(|value| (value, state.clone()))),
            }
        }
        Err(bucket_flushed())
    }

    /// Blocks all commands until the next check. A server that has become a replica may have lost acknowledged
    /// writes when it is a primary again.
    fn invalidate(&self, seen: &Arc<TopologyView>, error: ServerError) {
        let mut view = self.view.write();
        if Arc::ptr_eq(&view, seen) {
            *view = Arc::new(TopologyView {
                topology: Arc::clone(&seen.topology),
                state: Err(error),
            });
        }
    }

    /// Waits for a moving bucket, and reads the topology again once it has moved.
    pub(super) async fn wait_for_relocation(
        &self,
        seen: &Arc<TopologyView>,
        waited: &mut RelocationWait,
        error: RedisError,
    ) -> Result<(), StoreError> {
        let is_first = waited.0.is_none();
        if waited.0.get_or_insert_with(Instant::now).elapsed() > RELOCATION_TIMEOUT {
            let message = format!(
                "a part of the ledger has not finished its move to another server ({error}): see `redis-cli --cluster check`, and repair it with `redis-cli --cluster fix`"
            );
            return Err(StoreError::NotExecuted(SharedError::with_message(
                message, error,
            )));
        }
        let has_moved = error.code() == Some("MOVED");
        // A move takes some time, and so does its spread through the cluster.
        if !is_first || !has_moved {
            tokio::time::sleep(RELOCATION_PAUSE).await;
        }
        if has_moved {
            self.probe(seen, true)
                .await
                .map_err(StoreError::not_executed)?;
        }
        Ok(())
    }

    /// Checks that the ledger began a new epoch. If the marker still has the known one, then the bucket itself
    /// lost it.
    pub(super) async fn confirm_new_epoch(
        &self,
        seen: &Arc<TopologyView>,
    ) -> Result<(), StoreError> {
        let found = self
            .probe(seen, true)
            .await
            .map_err(StoreError::not_executed)?;
        if found.ledger_state()?.epoch == seen.ledger_state()?.epoch {
            Err(bucket_flushed())
        } else {
            Ok(())
        }
    }

    /// Checks the server, by a new connection if the last was lost, unless another task did since
    /// `seen`. Shortly after failed checks, only a caller that insists checks again.
    async fn probe(
        &self,
        seen: &Arc<TopologyView>,
        insists: bool,
    ) -> Result<Arc<TopologyView>, ServerError> {
        let mut failure = self.last_failure.lock().await;
        let current = self.current_view();
        // Another caller may have checked during the wait for the lock.
        if !Arc::ptr_eq(&current, seen) && current.is_usable() {
            return Ok(current);
        }
        if let Some(failed) = failure
            .as_ref()
            .filter(|failed| !insists && failed.at.elapsed() < failed.pause)
        {
            return Err(failed.error.clone());
        }
        let result = self.probe_until_stable(&current).await;
        *failure = result.as_ref().err().map(|error| {
            let pause = PROBE_BACKOFF.pause_after(failure.as_ref().map(|last| last.pause));
            FailedProbe {
                at: Instant::now(),
                pause,
                error: error.clone(),
            }
        });
        result
    }

    /// Checks the servers, and repeats that while a cluster changes.
    async fn probe_until_stable(
        &self,
        current: &TopologyView,
    ) -> Result<Arc<TopologyView>, ServerError> {
        let begun = Instant::now();
        let mut result = self.probe_once(current).await;
        for _ in 1..PROBES_MAX {
            if result.is_ok()
                || !current.topology.is_cluster()
                || begun.elapsed() >= CONNECT_TIMEOUT
            {
                break;
            }
            tokio::time::sleep(RELOCATION_PAUSE).await;
            result = self.probe_once(current).await;
        }
        result
    }

    async fn probe_once(&self, current: &TopologyView) -> Result<Arc<TopologyView>, ServerError> {
        // The topology of a cluster may change without a lost connection.
        let must_discover = current.topology.is_cluster() || current.topology.is_lost();
        let topology = if must_discover {
            Arc::new(ClusterTopology::discover(&self.endpoint, Some(&current.topology)).await?)
        } else {
            Arc::clone(&current.topology)
        };
        let state = inspect::inspect_ledger(&topology, &self.endpoint).await;
        let view = Arc::new(TopologyView {
            topology,
            state: state.clone(),
        });
        *self.view.write() = Arc::clone(&view);
        state.map(|_| view)
    }
}

fn bucket_flushed() -> StoreError {
    StoreError::not_executed(
        "a part of the ledger was flushed, and its acknowledged writes are gone: run `semel ledger init`, which begins another incarnation of the ledger",
    )
}

/// Checks the servers at intervals, until the store is dropped.
pub(super) async fn watch_server(link: Weak<ServerLink>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(link) = link.upgrade() else { return };
        let seen = link.current_view();
        if let Err(error) = link.probe(&seen, true).await {
            tracing::warn!(%error, "the ledger cannot be used");
        }
    }
}
