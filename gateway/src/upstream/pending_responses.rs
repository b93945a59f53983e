//! The requests of one connection that have no response yet.

use crate::{
    layer::{NoResponse, RequestContext},
    wire::{ErrorCode, Message, ProtocolError, RequestId},
};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::HashMap, mem};
use tokio::sync::oneshot;

/// The receiver of a response.
#[derive(Debug)]
pub(super) enum ResponseReceiver {
    /// The client of the request.
    Client(RequestContext),
    /// A layer above.
    Layer(oneshot::Sender<Message>),
}

/// The requests without a response. Once the connection is lost, none can be added.
#[derive(Debug, Default)]
pub(super) struct PendingResponses(Mutex<PendingState>);

#[derive(Debug, Default)]
struct PendingState {
    receivers: HashMap<RequestId, ResponseReceiver>,
    is_lost: bool,
}

/// A request that cannot be sent.
pub(super) enum RegisterError {
    /// The connection is lost.
    Lost,
    /// A request with this id has no response yet.
    DuplicateId,
}

impl PendingResponses {
    /// Registers the receiver of the response to `id`, before the request is sent.
    pub(super) fn register(
        &self,
        id: RequestId,
        receiver: ResponseReceiver,
    ) -> Result<(), RegisterError> {
        let mut state = self.state();
        if state.is_lost {
            return Err(RegisterError::Lost);
        }
        if state.receivers.contains_key(&id) {
            return Err(RegisterError::DuplicateId);
        }
        state.receivers.insert(id, receiver);
        Ok(())
    }

    /// Removes and returns the receiver of the response to `id`, or `None` if no request of this id
    /// is pending.
    pub(super) fn take_receiver(&self, id: &RequestId) -> Option<ResponseReceiver> {
        self.state().receivers.remove(id)
    }

    /// Reports to all receivers that no response will come.
    pub(super) async fn fail_all(&self, reason: &str) {
        let receivers = {
            let mut state = self.state();
            state.is_lost = true;
            mem::take(&mut state.receivers)
        };
        let no_response = NoResponse {
            reason: reason.to_owned(),
            sent: true,
        };
        for (id, receiver) in receivers {
            match receiver {
                ResponseReceiver::Client(context) => {
                    respond_no_response(&id, &context, &no_response).await;
                }
                // The layer notices that its sender is dropped.
                ResponseReceiver::Layer(_) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, PendingState> {
        self.0.lock()
    }
}

/// Answers a request to which no response will come.
pub(super) async fn respond_no_response(
    id: &RequestId,
    context: &RequestContext,
    no_response: &NoResponse,
) {
    let error = ProtocolError::new(ErrorCode::Unanswered, no_response.reason_with_effect());
    // A disconnected client reads nothing.
    let _ = context.client.send(error.response(Some(id))).await;
}
