//! Timeouts and cancellation of guarded calls. The client may cancel or disconnect, and the gateway
//! stops waiting after `answer_within`. Neither stops an effect that is on its way: the operation's
//! outcome is what the server answers, or it is in doubt.

use crate::{
    layer::{NoResponse, RequestContext, Upstream},
    wire::{Message, RequestId, method},
};
use parking_lot::Mutex;
use semel_config::{OnCancel, ToolSetup};
use serde_json::json;
use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The calls in progress, and requests about tasks, by connection and id.
#[derive(Debug, Clone, Default)]
pub(super) struct CallsInProgress(Arc<Mutex<HashMap<(u64, RequestId), CallInProgress>>>);

#[derive(Debug)]
struct CallInProgress {
    cancellation: CancellationToken,
    /// The request may take effect, so its cancellation is not simply forwarded.
    may_take_effect: bool,
}

impl CallsInProgress {
    /// Adds a guarded call.
    pub(super) fn add_call(&self, context: &RequestContext, id: RequestId) {
        self.add(context, id, true);
    }

    /// Adds a request about a task.
    pub(super) fn add_task_request(&self, context: &RequestContext, id: RequestId) {
        self.add(context, id, false);
    }

    fn add(&self, context: &RequestContext, id: RequestId, may_take_effect: bool) {
        let call = CallInProgress {
            cancellation: context.cancellation.clone(),
            may_take_effect,
        };
        self.0.lock().insert((context.caller.number, id), call);
    }

    pub(super) fn remove(&self, context: &RequestContext, id: &RequestId) {
        self.0.lock().remove(&(context.caller.number, id.clone()));
    }

    /// Notes a cancellation of one of these requests. Returns whether the message goes no further:
    /// the effect of a guarded call may be on its way, so its server hears of the cancellation only
    /// where the operator says so. The call runs to its end, and a repeat gets the recorded
    /// outcome.
    pub(super) fn intercept_cancel(&self, message: &Message, context: &RequestContext) -> bool {
        if message.method() != Some(method::CANCELLED) {
            return false;
        }
        let Some(id) = message.cancelled_id() else {
            return false;
        };
        let calls = self.0.lock();
        let Some(call) = calls.get(&(context.caller.number, id)) else {
            return false;
        };
        call.cancellation.cancel();
        call.may_take_effect
    }
}

/// The timeout of a tool's server.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseTimeout {
    answer_within: Duration,
    /// Forwards the end of waiting to the server as a cancellation.
    forwards_cancel: bool,
}

impl ResponseTimeout {
    pub(super) fn from_setup(setup: &ToolSetup) -> Self {
        Self {
            answer_within: setup.answer_within,
            forwards_cancel: setup.on_cancel == OnCancel::Forward,
        }
    }

    /// Sends the request, and waits for its response. After the timeout, also returns the request:
    /// its response may still come.
    pub(super) async fn request(
        &self,
        below: &Arc<dyn Upstream>,
        request: Message,
        context: &RequestContext,
    ) -> (Result<Message, NoResponse>, Option<PendingRequest>) {
        let mut pending = PendingRequest::send(Arc::clone(below), request, context.clone());
        let timeout = tokio::time::sleep(self.answer_within);
        tokio::pin!(timeout);
        let mut forwards_cancel = self.forwards_cancel;
        loop {
            tokio::select! {
                // A response that is there counts, even if the timeout is over too.
                biased;
                response = &mut pending.response => return (response, None),
                () = &mut timeout => break,
                () = context.cancellation.cancelled(), if forwards_cancel => {
                    forwards_cancel = false;
                    pending.cancel("the client cancelled the call").await;
                }
            }
        }
        let reason = format!(
            "the server did not answer within {}",
            format_duration(self.answer_within)
        );
        // By default the server goes on: a cancelled effect is harder to find out than a late
        // response.
        if self.forwards_cancel {
            pending.cancel(&reason).await;
        }
        (Err(NoResponse { reason, sent: true }), Some(pending))
    }
}

/// A request without a response so far.
pub(super) struct PendingRequest {
    below: Arc<dyn Upstream>,
    id: Option<RequestId>,
    context: RequestContext,
    pub(super) response: Pin<Box<dyn Future<Output = Result<Message, NoResponse>> + Send>>,
}

impl PendingRequest {
    fn send(below: Arc<dyn Upstream>, request: Message, context: RequestContext) -> Self {
        let id = request.id().cloned();
        let response = Box::pin({
            let below = Arc::clone(&below);
            let context = context.clone();
            async move { below.request(request, &context).await }
        });
        Self {
            below,
            id,
            context,
            response,
        }
    }

    /// Sends a cancellation of the request to the server.
    pub(super) async fn cancel(&mut self, reason: &str) {
        send_cancel(&self.below, self.id.as_ref(), &self.context, reason).await;
    }
}

/// Sends a request of the gateway's own, and waits for its response. Returns `None` after the
/// deadline.
pub(super) async fn request_until(
    deadline: Instant,
    below: &Arc<dyn Upstream>,
    request: Message,
    context: &RequestContext,
) -> Option<Result<Message, NoResponse>> {
    let id = request.id().cloned();
    if let Ok(response) = timeout_at(deadline, below.request(request, context)).await {
        return Some(response);
    }
    send_cancel(below, id.as_ref(), context, "the request took too long").await;
    None
}

async fn send_cancel(
    below: &Arc<dyn Upstream>,
    id: Option<&RequestId>,
    context: &RequestContext,
    reason: &str,
) {
    // A message without an id cannot be cancelled.
    let Some(id) = id else { return };
    let reason = json!(reason);
    let params = format!(r#"{{"requestId":{},"reason":{reason}}}"#, id.to_json());
    let cancel = Message::notification(method::CANCELLED, &params);
    below.forward(cancel, context).await;
}

fn format_duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1_000 == 0 => format!("{} s", duration.as_secs()),
        ms => format!("{ms} ms"),
    }
}
