//! What is looked at from time to time while a ledger is open: whether its server still keeps what it acknowledges, and
//! whether news of changes still come.

use super::{
    checks::LedgerState, endpoint::Endpoint, pool::ConnectionPool, session::Session,
    subscriber::ChangeSubscriber,
};
use semel_core::model::Durability;
use semel_store::{ServerError, ServerReport};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

/// The interval between checks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The result of the latest check.
#[derive(Debug)]
pub(super) struct ServerHealth(Mutex<LedgerState>);

impl ServerHealth {
    pub(super) fn of(finding: LedgerState) -> Self {
        Self(Mutex::new(finding))
    }

    pub(super) fn durability(&self) -> Durability {
        self.finding().durability
    }

    pub(super) fn report(&self) -> ServerReport {
        self.finding().report.clone()
    }

    fn finding(&self) -> MutexGuard<'_, LedgerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, finding: LedgerState) {
        *self.finding() = finding;
    }
}

/// Looks until the store is gone.
pub(super) async fn watch(
    place: Arc<Endpoint>,
    pool: Weak<ConnectionPool>,
    subscriber: Weak<ChangeSubscriber>,
    standing: Arc<ServerHealth>,
) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (Some(pool), Some(subscriber)) = (pool.upgrade(), subscriber.upgrade()) else {
            return;
        };
        subscriber.listen(&place).await;
        // A new session each time: settings that were changed since do not show in one that set its own.
        match Session::open(&place, Arc::new(|_| {})).await {
            Ok(session) => {
                standing.set(session.finding.clone());
                pool.refuse(None);
            }
            // The next caller finds out.
            Err(ServerError::Unreachable { .. }) => {}
            Err(fault) => pool.refuse(Some(fault)),
        }
    }
}
