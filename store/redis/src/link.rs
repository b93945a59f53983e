//! The connections to the servers, what is known of the servers behind them, and what is done when either changes.
//!
//! A connection belongs to one server process. So each new one is checked before its first use: a
//! node that took over from another is detected before anything is asked of it.
//!
//! **Buckets that move.** In a cluster a request is turned away, before any of it is carried out,
//! where its keys belong to another node (`MOVED`) or are moving (`TRYAGAIN`, `ASK`). Then the
//! topology is read again, and the request is repeated at the right node, for as long as a bucket
//! may take to move. `ASK` is not followed but waited out: the node that takes a slot over turns
//! away every script with a key that is not there yet, and a record that is to be created, or a
//! list that is empty, never is.
//!
//! INVARIANT: nothing is sent twice. A request with a lost connection, or without an answer in
//! time, is *unknown*; only what certainly was not carried out is asked again, here: a script that
//! the server did not know or turned away because its keys belong elsewhere, or that found another
//! incarnation of the ledger than the host knew.

use super::{
    endpoint::{CONNECT_TIMEOUT, Endpoint},
    error,
    inspect::{self, LedgerState},
    nodes::ClusterTopology,
    record::Bucket,
    script::{LIFE_ENDED, Script},
};
use redis::{Cmd, RedisError, Value};
use semel_core::model::Durability;
use semel_store::{Backoff, Clock, ServerError, ServerReport, SharedError, StoreError};
use std::{
    sync::{Arc, PoisonError, RwLock, Weak},
    time::{Duration, Instant},
};

/// The interval between checks of an idle server.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The pauses between failed checks.
const PROBE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));

/// The time limit for a bucket to move to another node, and the pause between reads of the
/// topology.
const MOVING_AT_MOST: Duration = Duration::from_secs(5);
const MOVING_PAUSE: Duration = Duration::from_millis(20);

/// The checks of a changing cluster before it is given up.
const LOOKS: u32 = 3;

/// The most incarnations of the ledger that may end during one command.
const LIVES: usize = 3;

/// Since when a request waits for what moves.
#[derive(Default)]
pub(super) struct RelocationWait(Option<Instant>);

/// The known state of the servers at a time.
pub(super) struct TopologyView {
    pub(super) nodes: Arc<ClusterTopology>,
    finding: Result<LedgerState, ServerError>,
}

impl TopologyView {
    fn is_fine(&self) -> bool {
        self.finding.is_ok() && !self.nodes.is_lost()
    }

    pub(super) fn finding(&self) -> Result<&LedgerState, StoreError> {
        self.finding
            .as_ref()
            .map_err(|error| StoreError::not_executed(error.clone()))
    }
}

/// A look that failed.
struct FailedProbe {
    at: Instant,
    pause: Duration,
    fault: ServerError,
}

/// The connections of a store.
pub(super) struct ServerLink {
    place: Arc<Endpoint>,
    clock: Option<Arc<dyn Clock>>,
    view: RwLock<Arc<TopologyView>>,
    /// Held during a check of the server: other callers wait for its result.
    looking: tokio::sync::Mutex<Option<FailedProbe>>,
}

impl ServerLink {
    pub(super) async fn open(
        place: Arc<Endpoint>,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self, ServerError> {
        let nodes = Arc::new(ClusterTopology::find(&place, None).await?);
        let finding = inspect::inspect(&nodes, &place).await?;
        let view = RwLock::new(Arc::new(TopologyView {
            nodes,
            finding: Ok(finding),
        }));
        Ok(Self {
            place,
            clock,
            view,
            looking: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn place(&self) -> &Endpoint {
        &self.place
    }

    /// The time that scripts go by, where it is not the server's.
    pub(super) fn clock_ms(&self) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.now().wall_ms)
    }

    /// The same as an argument of a script. None would be no argument at all, and all that follow would be taken for others.
    pub(super) fn clock_argument(&self) -> String {
        self.clock_ms()
            .map_or_else(String::new, |now| now.to_string())
    }

    /// Returns the server's state at the last check, or `None` if it cannot be used.
    pub(super) fn report(&self) -> Option<ServerReport> {
        self.seen()
            .finding
            .as_ref()
            .ok()
            .map(|finding| finding.report.clone())
    }

    /// Returns the failures that an acknowledged write survives, by the last check.
    pub(super) fn durability(&self) -> Durability {
        match &self.seen().finding {
            Ok(finding) => finding.durability,
            Err(_) => Durability::Unverified,
        }
    }

    fn seen(&self) -> Arc<TopologyView> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A view of a server that may be used.
    pub(super) async fn view(&self) -> Result<Arc<TopologyView>, StoreError> {
        let seen = self.seen();
        if seen.is_fine() {
            return Ok(seen);
        }
        // Nothing was asked yet.
        self.probe(&seen, false)
            .await
            .map_err(StoreError::not_executed)
    }

    /// Runs a script on a bucket, and again where it certainly did nothing: it found another life of the ledger than was
    /// known, or the bucket lies elsewhere. With the answer goes what was known of the servers.
    pub(super) async fn run(
        &self,
        script: &Script,
        bucket: Bucket,
        fill: impl Fn(&mut Cmd, &LedgerState),
    ) -> Result<Result<(Value, LedgerState), RedisError>, StoreError> {
        let mut lives = 0;
        let mut waited = RelocationWait::default();
        while lives < LIVES {
            let view = self.view().await?;
            let finding = view.finding()?;
            match script
                .run(view.nodes.of(bucket), |call| fill(call, finding))
                .await
            {
                Ok(Value::Int(LIFE_ENDED)) => {
                    lives += 1;
                    self.life_ended(&view).await?;
                }
                Err(error) if error::is_elsewhere(&error) => {
                    self.went_elsewhere(&view, &mut waited, error).await?
                }
                Err(error) if error::is_another_role(&error) => {
                    self.distrust(&view, view.nodes.of(bucket).fault(&error));
                    return Ok(Err(error));
                }
                answer => return Ok(answer.map(|value| (value, finding.clone()))),
            }
        }
        Err(part_is_gone())
    }

    /// Nothing more is asked before the servers were looked at: one that follows another now may come back without what it
    /// acknowledged.
    fn distrust(&self, seen: &Arc<TopologyView>, fault: ServerError) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&view, seen) {
            *view = Arc::new(TopologyView {
                nodes: Arc::clone(&seen.nodes),
                finding: Err(fault),
            });
        }
    }

    /// Waits for a bucket that moves, and finds out where it lies.
    pub(super) async fn went_elsewhere(
        &self,
        seen: &Arc<TopologyView>,
        waited: &mut RelocationWait,
        error: RedisError,
    ) -> Result<(), StoreError> {
        let is_first = waited.0.is_none();
        if waited.0.get_or_insert_with(Instant::now).elapsed() > MOVING_AT_MOST {
            let message = format!(
                "a part of the ledger does not come to the end of its way to another server ({error}): see `redis-cli --cluster check`, and mend it with `redis-cli --cluster fix`"
            );
            return Err(StoreError::NotExecuted(SharedError::with_message(
                message, error,
            )));
        }
        let has_moved = error.code() == Some("MOVED");
        // What moves takes its time, and so do the servers to hear of it.
        if !is_first || !has_moved {
            tokio::time::sleep(MOVING_PAUSE).await;
        }
        if has_moved {
            self.probe(seen, true)
                .await
                .map_err(StoreError::not_executed)?;
        }
        Ok(())
    }

    /// Looks which life the ledger has now. If it is the one that was known, then a part of the ledger lacks it.
    pub(super) async fn life_ended(&self, seen: &Arc<TopologyView>) -> Result<(), StoreError> {
        let found = self
            .probe(seen, true)
            .await
            .map_err(StoreError::not_executed)?;
        if found.finding()?.life == seen.finding()?.life {
            Err(part_is_gone())
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
        let mut failure = self.looking.lock().await;
        let current = self.seen();
        if !Arc::ptr_eq(&current, seen) && current.is_fine() {
            return Ok(current);
        }
        if let Some(failed) = failure
            .as_ref()
            .filter(|failed| !insists && failed.at.elapsed() < failed.pause)
        {
            return Err(failed.fault.clone());
        }
        let looked = self.probe_until_stable(&current).await;
        *failure = looked.as_ref().err().map(|fault| {
            let pause = PROBE_BACKOFF.pause_after(failure.as_ref().map(|last| last.pause));
            FailedProbe {
                at: Instant::now(),
                pause,
                fault: fault.clone(),
            }
        });
        looked
    }

    /// Where a cluster changes during its check, all is checked again.
    async fn probe_until_stable(
        &self,
        current: &TopologyView,
    ) -> Result<Arc<TopologyView>, ServerError> {
        let begun = Instant::now();
        let mut looked = self.probe_once(current).await;
        for _ in 1..LOOKS {
            if looked.is_ok() || !current.nodes.is_cluster() || begun.elapsed() >= CONNECT_TIMEOUT {
                break;
            }
            tokio::time::sleep(MOVING_PAUSE).await;
            looked = self.probe_once(current).await;
        }
        looked
    }

    async fn probe_once(&self, current: &TopologyView) -> Result<Arc<TopologyView>, ServerError> {
        let nodes = match current.nodes.is_cluster() || current.nodes.is_lost() {
            true => Arc::new(ClusterTopology::find(&self.place, Some(&current.nodes)).await?),
            false => Arc::clone(&current.nodes),
        };
        let finding = inspect::inspect(&nodes, &self.place).await;
        let view = Arc::new(TopologyView {
            nodes,
            finding: finding.clone(),
        });
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&view);
        finding.map(|_| view)
    }
}

fn part_is_gone() -> StoreError {
    StoreError::not_executed(
        "a part of the ledger was flushed, and what was acknowledged there is gone: run `semel ledger init`, which begins another life of the ledger",
    )
}

/// Looks from time to time until the store is gone.
pub(super) async fn watch(link: Weak<ServerLink>) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(link) = link.upgrade() else { return };
        let seen = link.seen();
        if let Err(fault) = link.probe(&seen, true).await {
            tracing::warn!(%fault, "the ledger cannot be used");
        }
    }
}
