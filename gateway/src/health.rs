//! Health check and metrics over HTTP: `/healthz`, `/readyz` and `/metrics`. None of them shows
//! anything of a call.

use crate::metrics::Metrics;
use hyper::StatusCode;
use semel::{
    ledger::StateLabel,
    store::{EntryQuery, Store, StoreError},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// The timeout of the ledger's answer.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The most operations that a gauge counts: a larger number calls for a person as loudly. The help
/// of the gauges names it too.
const COUNTED_MAX: usize = 10_000;

/// The most operations in one page of a listing.
const LISTED_MAX: usize = 1_000;

/// The health check of one gateway.
#[derive(Debug)]
pub struct HealthCheck {
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    is_shutting_down: AtomicBool,
}

/// A response of the health check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HealthPage {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

/// An address of the health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthEndpoint {
    /// `/healthz`: the process is alive. Open to every client, because it shows nothing.
    Liveness,
    /// `/readyz`: the gateway takes calls. Open to every client, because it shows nothing else.
    Readiness,
    /// `/metrics`: the counts. Authenticated clients only.
    Metrics,
}

impl HealthEndpoint {
    /// Returns the endpoint at this path.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Liveness),
            "/readyz" => Some(Self::Readiness),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    pub(crate) fn needs_authentication(self) -> bool {
        self == Self::Metrics
    }
}

impl HealthCheck {
    /// Checks the gateway that counts in `metrics` and keeps its ledger in `store`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, store: Arc<dyn Store>) -> Self {
        Self {
            metrics,
            store,
            is_shutting_down: AtomicBool::new(false),
        }
    }

    /// Reports the gateway as not ready from now on, so that a load balancer sends no more calls.
    pub fn begin_shutdown(&self) {
        self.is_shutting_down.store(true, Ordering::Release);
    }

    /// Returns the response of an endpoint.
    pub(crate) async fn respond(&self, endpoint: HealthEndpoint) -> HealthPage {
        match endpoint {
            HealthEndpoint::Liveness => plain_page(StatusCode::OK, "ok"),
            HealthEndpoint::Readiness => self.readiness().await,
            HealthEndpoint::Metrics => self.metrics_page().await,
        }
    }

    async fn readiness(&self) -> HealthPage {
        if self.is_shutting_down.load(Ordering::Acquire) {
            return plain_page(StatusCode::SERVICE_UNAVAILABLE, "shutting down");
        }
        // Any query would do: the gateway takes no calls without its ledger.
        match timeout(LEDGER_TIMEOUT, self.count_operations(StateLabel::Held, 1)).await {
            Ok(Ok(_)) => plain_page(StatusCode::OK, "ready"),
            Ok(Err(_)) | Err(_) => plain_page(
                StatusCode::SERVICE_UNAVAILABLE,
                "the ledger does not answer",
            ),
        }
    }

    async fn metrics_page(&self) -> HealthPage {
        // A ledger that does not answer leaves the gauges as they are: the other metrics are still
        // worth reading.
        if let Ok(Ok((in_doubt, held))) = timeout(LEDGER_TIMEOUT, self.count_unresolved()).await {
            self.metrics.set_unresolved(in_doubt, held);
        }
        HealthPage {
            status: StatusCode::OK,
            content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text: self.metrics.encode_text(),
        }
    }

    /// Counts the operations in doubt and those held.
    async fn count_unresolved(&self) -> Result<(usize, usize), StoreError> {
        let in_doubt = self
            .count_operations(StateLabel::InDoubt, COUNTED_MAX)
            .await?;
        let held = self.count_operations(StateLabel::Held, COUNTED_MAX).await?;
        Ok((in_doubt, held))
    }

    /// Counts the operations in a state, up to `count_max`.
    async fn count_operations(
        &self,
        state: StateLabel,
        count_max: usize,
    ) -> Result<usize, StoreError> {
        let mut query = EntryQuery {
            states: vec![state],
            limit: count_max.min(LISTED_MAX),
            ..EntryQuery::default()
        };
        let mut count = 0;
        loop {
            let page = self.store.list(&query).await?;
            count = count_max.min(count + page.keys.len());
            // An empty page has no key to continue after.
            query.after = page.keys.last().copied();
            if !page.more || count >= count_max || query.after.is_none() {
                return Ok(count);
            }
        }
    }
}

fn plain_page(status: StatusCode, text: &str) -> HealthPage {
    HealthPage {
        status,
        content_type: "text/plain; charset=utf-8",
        text: format!("{text}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semel::store::MemoryStore;

    #[tokio::test]
    async fn it_is_ready_until_it_ends_and_lives_on_until_then() {
        let health = HealthCheck::new(Arc::default(), Arc::new(MemoryStore::new()));
        assert_eq!(
            health.respond(HealthEndpoint::Readiness).await.status,
            StatusCode::OK
        );
        let metrics = health.respond(HealthEndpoint::Metrics).await.text;
        assert!(metrics.contains("semel_in_doubt 0"));
        assert!(
            metrics.contains(&format!("counted up to {COUNTED_MAX}")),
            "{metrics}"
        );
        health.begin_shutdown();
        assert_eq!(
            health.respond(HealthEndpoint::Readiness).await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(
            health.respond(HealthEndpoint::Liveness).await.status,
            StatusCode::OK
        );
        assert!(
            HealthEndpoint::Metrics.needs_authentication()
                && !HealthEndpoint::Liveness.needs_authentication()
        );
    }
}
