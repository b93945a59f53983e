//! Whether the gateway serves, and what it counts: pages for whoever runs it. Nothing of a call is told.

use crate::metrics::Metrics;
use hyper::StatusCode;
use semel::{
    ledger::StateLabel,
    store::{Query, Store, StoreError},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long the ledger may take to answer.
const LEDGER_WITHIN: Duration = Duration::from_secs(2);

/// The most operations that are counted: a larger number calls for a person as loudly. The help of the gauges says so, too.
const COUNTED_MAX: usize = 10_000;

/// What is looked at.
#[derive(Debug)]
pub struct Health {
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    is_ending: AtomicBool,
}

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The status of the response.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Whether the process lives: `/healthz`. It tells nothing, and is for everybody.
    Lives,
    /// Whether it takes calls: `/readyz`. It tells nothing else, and is for everybody.
    Ready,
    /// What is counted: `/metrics`. For those who may come in.
    Metrics,
}

impl Which {
    /// The page at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Lives),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }

    /// Whether it is only for those who may come in.
    #[must_use]
    pub fn is_private(self) -> bool {
        self == Self::Metrics
    }
}

impl Health {
    /// Of the gateway that counts here, and keeps its ledger there.
    #[must_use]
    pub fn of(metrics: Arc<Metrics>, store: Arc<dyn Store>) -> Self {
        Self {
            metrics,
            store,
            is_ending: AtomicBool::new(false),
        }
    }

    /// It takes no more calls, so that whoever sends some sends them elsewhere.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// The page.
    pub async fn page(&self, which: Which) -> Page {
        match which {
            Which::Lives => plain(StatusCode::OK, "ok"),
            Which::Ready if self.is_ending.load(Ordering::Acquire) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "ending")
            }
            Which::Ready => {
                match tokio::time::timeout(LEDGER_WITHIN, self.standing(StateLabel::Held, 1)).await
                {
                    Ok(Ok(_)) => plain(StatusCode::OK, "ready"),
                    Ok(Err(_)) | Err(_) => plain(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the ledger does not answer",
                    ),
                }
            }
            Which::Metrics => self.metrics().await,
        }
    }

    async fn metrics(&self) -> Page {
        let counted = async {
            let in_doubt = self.standing(StateLabel::InDoubt, COUNTED_MAX).await?;
            Ok::<_, StoreError>((
                in_doubt,
                self.standing(StateLabel::Held, COUNTED_MAX).await?,
            ))
        };
        // What is not known stays as it was.
        if let Ok(Ok((in_doubt, held))) = tokio::time::timeout(LEDGER_WITHIN, counted).await {
            self.metrics.stand(in_doubt, held);
        }
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Page {
            status: StatusCode::OK,
            kind,
            text: self.metrics.page(),
        }
    }

    /// How many operations are in this state, up to a number.
    async fn standing(&self, state: StateLabel, most: usize) -> Result<usize, StoreError> {
        let mut query = Query {
            states: vec![state],
            limit: most.min(1_000),
            ..Query::default()
        };
        let mut count = 0;
        loop {
            let page = self.store.list(&query).await?;
            count = most.min(count + page.keys.len());
            query.after = page.keys.last().copied();
            if !page.more || count >= most || query.after.is_none() {
                return Ok(count);
            }
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Page {
    Page {
        status,
        kind: "text/plain; charset=utf-8",
        text: format!("{text}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semel::store::MemoryStore;

    #[tokio::test]
    async fn it_is_ready_until_it_ends_and_lives_on_until_then() {
        let health = Health::of(Arc::default(), Arc::new(MemoryStore::new()));
        assert_eq!(health.page(Which::Ready).await.status, StatusCode::OK);
        let metrics = health.page(Which::Metrics).await.text;
        assert!(metrics.contains("semel_in_doubt 0"));
        assert!(
            metrics.contains(&format!("counted up to {COUNTED_MAX}")),
            "{metrics}"
        );
        health.end();
        assert_eq!(
            health.page(Which::Ready).await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(health.page(Which::Lives).await.status, StatusCode::OK);
        assert!(Which::Metrics.is_private() && !Which::Lives.is_private());
    }
}
