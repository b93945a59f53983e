//! Responses that come after the timeout (`answer_within`). The call was answered as in doubt, but
//! the server's own response is the truth about it. So the gateway waits for it in the background
//! and records it, and a repeat of the call gets it.

use super::{elicitation, outcome, tasks, timeout::PendingRequest};
use crate::wire::Message;
use semel::runtime::LateRecorder;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

/// The time after which a late response is given up, and its server is asked to cancel.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(1);

/// The most late responses of one server that are waited for at once. Beyond that, requests are
/// cancelled.
const WAITING_MAX: usize = 256;

/// The late responses of one connection.
#[derive(Debug, Clone)]
pub(super) struct LateResponses {
    permits: Arc<Semaphore>,
    /// Cancelled once the connection closes: no more responses come.
    closed: CancellationToken,
}

/// Returns the permits for the late responses of one server.
pub(super) fn new_permits() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(WAITING_MAX))
}

impl LateResponses {
    pub(super) fn new(permits: Arc<Semaphore>) -> Self {
        Self {
            permits,
            closed: CancellationToken::new(),
        }
    }

    /// Stops waiting for responses.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Waits for the response in the background, and records it. Without a use for it, or a permit,
    /// the request is cancelled.
    pub(super) fn spawn_wait(&self, mut request: PendingRequest, late: Option<LateRecorder>) {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let closed = self.closed.clone();
        tokio::spawn(async move {
            let (Ok(_permit), Some(late)) = (permit, late) else {
                request.cancel("the request timed out").await;
                return;
            };
            // Once the connection is closed there is nothing left to wait for, or to cancel.
            let _ = closed
                .run_until_cancelled(record_when_answered(request, late))
                .await;
        });
    }
}

async fn record_when_answered(mut request: PendingRequest, late: LateRecorder) {
    match timeout(GIVEN_UP_AFTER, &mut request.response).await {
        Ok(Ok(response)) => record(&response, late).await,
        // The connection ended: the response will never be known.
        Ok(Err(_)) => {}
        Err(_) => request.cancel("the request took too long").await,
    }
}

async fn record(response: &Message, late: LateRecorder) {
    let is_unfinished = elicitation::continuation_of_response(response).is_some()
        || tasks::task_of_response(response).is_some();
    if is_unfinished {
        tracing::warn!(
            "after its timeout a call led to a question or a task: no client waits for it any longer"
        );
        return;
    }
    match late.record_outcome(outcome::from_response(response)).await {
        Ok(()) => tracing::info!("semel.late response recorded"),
        Err(error) => tracing::warn!(%error, "semel.late response could not be recorded"),
    }
}
