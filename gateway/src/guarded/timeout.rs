//! Timeouts and cancellation of guarded calls. The client may cancel or disconnect, and the gateway stops waiting after
//! `answer_within`. Neither stops an effect that is on its way: the operation's outcome is what the server answers, or it is in
//! doubt.

use crate::{
    link::{Exchange, Lost, Upstream},
    wire::{Id, Members, Message, method},
};
use parking_lot::Mutex;
use semel_config::{OnCancel, ToolSetup};
use serde_json::json;
use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The calls in progress, and requests about tasks, by connection and id.
#[derive(Debug, Clone, Default)]
pub(super) struct CallsInProgress(Arc<Mutex<HashMap<(u64, Id), CallInProgress>>>);

#[derive(Debug)]
struct CallInProgress {
    cancellation: CancellationToken,
    /// The request may take effect, so its cancellation is not simply forwarded.
    may_take_effect: bool,
}

impl CallsInProgress {
    /// Adds a guarded call.
    pub(super) fn add_call(&self, exchange: &Exchange, id: Id) {
        self.add(exchange, id, true);
    }

    /// Adds a request about a task.
    pub(super) fn add_task_request(&self, exchange: &Exchange, id: Id) {
        self.add(exchange, id, false);
    }

    fn add(&self, exchange: &Exchange, id: Id, may_take_effect: bool) {
        let call = CallInProgress {
            cancellation: exchange.nobody_waits.clone(),
            may_take_effect,
        };
        self.0.lock().insert((exchange.caller.number, id), call);
    }

    pub(super) fn remove(&self, exchange: &Exchange, id: &Id) {
        self.0.lock().remove(&(exchange.caller.number, id.clone()));
    }

    /// Notes a cancellation of one of these requests. Returns whether the message goes no further: the effect of a guarded call
    /// may be on its way, so its server hears of the cancellation only where the operator says so. The call runs to its
    /// end, and a repeat gets the recorded outcome.
    pub(super) fn intercept_cancel(&self, message: &Message, exchange: &Exchange) -> bool {
        let Some(id) = cancelled_id(message) else {
            return false;
        };
        let calls = self.0.lock();
        let Some(call) = calls.get(&(exchange.caller.number, id)) else {
            return false;
        };
        call.cancellation.cancel();
        call.may_take_effect
    }
}

/// The id of the request that a message cancels.
fn cancelled_id(message: &Message) -> Option<Id> {
    if message.method() != Some(method::CANCELLED) {
        return None;
    }
    let params = Members::read(message.body()?).ok()?;
    Id::read(params.get("requestId")?)
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

    /// Sends the request, and waits for its response. After the timeout, also returns the request, whose response may
    /// still come.
    pub(super) async fn request(
        &self,
        below: &Arc<dyn Upstream>,
        request: Message,
        exchange: &Exchange,
    ) -> (Result<Message, Lost>, Option<PendingRequest>) {
        let mut pending = PendingRequest::send(Arc::clone(below), request, exchange.clone());
        let timeout = tokio::time::sleep(self.answer_within);
        tokio::pin!(timeout);
        let mut forwards_cancel = self.forwards_cancel;
        loop {
            tokio::select! {
                // A response that is there counts, even if the timeout is over too.
                biased;
                response = &mut pending.response => return (response, None),
                () = &mut timeout => break,
                () = exchange.nobody_waits.cancelled(), if forwards_cancel => {
                    forwards_cancel = false;
                    pending.cancel("the client cancelled the call").await;
                }
            }
        }
        let reason = format!(
            "the server did not answer within {}",
            format_duration(self.answer_within)
        );
        if self.forwards_cancel {
            pending.cancel(&reason).await;
        }
        (Err(Lost { reason, sent: true }), Some(pending))
    }
}

/// A request without a response so far.
pub(super) struct PendingRequest {
    below: Arc<dyn Upstream>,
    id: Option<Id>,
    exchange: Exchange,
    pub(super) response: Pin<Box<dyn Future<Output = Result<Message, Lost>> + Send>>,
}

impl PendingRequest {
    fn send(below: Arc<dyn Upstream>, request: Message, exchange: Exchange) -> Self {
        let id = request.id().cloned();
        let response = Box::pin({
            let below = Arc::clone(&below);
            let exchange = exchange.clone();
            async move { below.ask(request, &exchange).await }
        });
        Self {
            below,
            id,
            exchange,
            response,
        }
    }

    /// Sends a cancellation of the request to the server.
    pub(super) async fn cancel(&mut self, reason: &str) {
        send_cancel(&self.below, self.id.as_ref(), &self.exchange, reason).await;
    }
}

/// Sends a request of the gateway's own, and waits for its response. Returns `None` after the deadline.
pub(super) async fn request_until(
    deadline: Instant,
    below: &Arc<dyn Upstream>,
    request: Message,
    exchange: &Exchange,
) -> Option<Result<Message, Lost>> {
    let id = request.id().cloned();
    if let Ok(response) = timeout_at(deadline, below.ask(request, exchange)).await {
        return Some(response);
    }
    send_cancel(below, id.as_ref(), exchange, "the request took too long").await;
    None
}

async fn send_cancel(
    below: &Arc<dyn Upstream>,
    id: Option<&Id>,
    exchange: &Exchange,
    reason: &str,
) {
    let Some(id) = id else { return };
    let reason = json!(reason);
    let params = format!(r#"{{"requestId":{},"reason":{reason}}}"#, id.to_json());
    let cancel = Message::notification(method::CANCELLED, &params);
    below.pass(cancel, exchange).await;
}

fn format_duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1_000 == 0 => format!("{} s", duration.as_secs()),
        ms => format!("{ms} ms"),
    }
}
