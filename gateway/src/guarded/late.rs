//! Answers that come after `answer_within`. The call was answered that its effect is unknown, and its server's own word is the
//! truth about it: it is waited for in the background, and recorded, so that whoever repeats the call gets it.

use super::{outcome, rounds, tasks, waiting::Asking};
use crate::wire::Message;
use semel::runtime::Late;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long such an answer is waited for. Then its server is told that nobody does any longer.
const WAITED_FOR: Duration = Duration::from_hours(1);

/// How many are waited for at once, of one server. Of more, none is.
const AT_ONCE: usize = 256;

/// The answers that one connection still waits for.
#[derive(Debug, Clone)]
pub(super) struct LateAnswers {
    room: Arc<Semaphore>,
    /// Cancelled once none will come.
    closed: CancellationToken,
}

/// Room for those of one server.
pub(super) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl LateAnswers {
    pub(super) fn within(room: Arc<Semaphore>) -> Self {
        Self {
            room,
            closed: CancellationToken::new(),
        }
    }

    /// Waits for no more of them.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Has the answer to what was asked waited for, and recorded. Where nobody wants to know, or too many are waited for, its
    /// server is told that nobody does.
    pub(super) fn wait_for(&self, mut asking: Asking, late: Option<Late>) {
        let (room, closed) = (
            Arc::clone(&self.room).try_acquire_owned(),
            self.closed.clone(),
        );
        tokio::spawn(async move {
            match room.ok().zip(late) {
                Some((_room, late)) => closed
                    .run_until_cancelled(waited_for(asking, late))
                    .await
                    .unwrap_or_default(),
                None => asking.stop("its time is over").await,
            }
        });
    }
}

async fn waited_for(mut asking: Asking, late: Late) {
    match timeout(WAITED_FOR, &mut asking.response).await {
        Ok(Ok(response)) => record(&response, late).await,
        // It will never be known.
        Ok(Err(_)) => {}
        Err(_) => asking.stop("it took too long").await,
    }
}

async fn record(response: &Message, late: Late) {
    if rounds::asks(response).is_some() || tasks::made_by(response).is_some() {
        tracing::warn!(
            "a server asked something back, or made a task of a call, after its time: nobody is there for it"
        );
        return;
    }
    match late.came_to(outcome::of_response(response)).await {
        Ok(()) => tracing::info!("semel.late answer recorded"),
        Err(error) => tracing::warn!(%error, "semel.late answer could not be recorded"),
    }
}
