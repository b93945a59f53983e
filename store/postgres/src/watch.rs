//! The periodic checks of an open ledger: of the server's durability, and of the notifications.

use super::{
    checks::LedgerState, endpoint::Endpoint, pool::ConnectionPool, session::Session,
    subscriber::ChangeSubscriber,
};
use parking_lot::Mutex;
use semel_core::model::Durability;
use semel_store::{ServerError, ServerReport};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// The interval between checks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The result of the latest successful check.
#[derive(Debug)]
pub(super) struct ServerHealth(Mutex<LedgerState>);

impl ServerHealth {
    pub(super) fn new(state: LedgerState) -> Self {
        Self(Mutex::new(state))
    }

    pub(super) fn durability(&self) -> Durability {
        self.0.lock().durability
    }

    pub(super) fn report(&self) -> ServerReport {
        self.0.lock().report.clone()
    }

    fn update(&self, state: LedgerState) {
        *self.0.lock() = state;
    }
}

/// Checks the server at intervals, until the store is dropped.
pub(super) async fn watch_server(
    endpoint: Arc<Endpoint>,
    pool: Weak<ConnectionPool>,
    subscriber: Weak<ChangeSubscriber>,
    health: Arc<ServerHealth>,
) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let Some(subscriber) = subscriber.upgrade() else {
            return;
        };
        subscriber.listen(&endpoint).await;
        // A new session for each check: an old one does not show settings that were changed since, because it
        // has set its own.
        match Session::open(&endpoint, Arc::new(|_| {})).await {
            Ok(session) => {
                health.update(session.state.clone());
                pool.set_refusal(None);
            }
            // The next command finds out by itself. A server that restarts needs no refusal.
            Err(ServerError::Unreachable { .. }) => {}
            Err(error) => pool.set_refusal(Some(error)),
        }
    }
}
