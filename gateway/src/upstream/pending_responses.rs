//! Who waits for which response of one connection.

use crate::{
    layer::{NoResponse, RequestContext},
    wire::{ErrorCode, Message, ProtocolError, RequestId},
};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, mem};
use tokio::sync::oneshot;

/// The receiver of a response.
#[derive(Debug)]
pub(super) enum ResponseWaiter {
    /// It goes to the client as it is.
    Passes(RequestContext),
    /// A layer above wants it.
    Asked(oneshot::Sender<Message>),
}

/// The requests that a connection has not answered; once it is lost, none can be added.
#[derive(Debug, Default)]
pub(super) struct PendingResponses(Mutex<PendingState>);

#[derive(Debug, Default)]
struct PendingState {
    requests: HashMap<RequestId, ResponseWaiter>,
    is_lost: bool,
}

/// Why a request cannot be sent.
pub(super) enum RegisterError {
    /// Nobody reads it.
    Lost,
    /// A request of its id is not answered yet.
    SameId,
}

impl PendingResponses {
    /// Has `waiter` wait for the response to `id`, before the request is sent.
    pub(super) fn add(&self, id: RequestId, waiter: ResponseWaiter) -> Result<(), RegisterError> {
        let mut state = self.state();
        if state.is_lost {
            return Err(RegisterError::Lost);
        }
        if state.requests.contains_key(&id) {
            return Err(RegisterError::SameId);
        }
        state.requests.insert(id, waiter);
        Ok(())
    }

    /// Removes and returns the receiver of the response to `id`. `None` if there is none, or it was answered.
    pub(super) fn take(&self, id: &RequestId) -> Option<ResponseWaiter> {
        self.state().requests.remove(id)
    }

    /// Reports to all receivers that no response will come.
    pub(super) async fn lose(&self, reason: &str) {
        let requests = {
            let mut state = self.state();
            state.is_lost = true;
            mem::take(&mut state.requests)
        };
        // A layer's own request ends as its sender is dropped.
        for (id, waiter) in requests {
            if let ResponseWaiter::Passes(context) = waiter {
                answer_lost(
                    &id,
                    &context,
                    &NoResponse {
                        reason: reason.to_owned(),
                        sent: true,
                    },
                )
                .await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, PendingState> {
        self.0.lock()
    }
}

/// Answers a request to which no response will come.
pub(super) async fn answer_lost(id: &RequestId, context: &RequestContext, lost: &NoResponse) {
    let what = if lost.sent {
        "whether the request took effect is not known"
    } else {
        "the request was not sent"
    };
    let fault = ProtocolError::new(ErrorCode::Unanswered, format!("{lost}: {what}"));
    // A disconnected client reads no response.
    let _ = context.client.send(fault.response(Some(id))).await;
}
