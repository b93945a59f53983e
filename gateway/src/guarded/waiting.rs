//! Who waits for a guarded call, and for how long: its client, until it cancels or goes; this side, until the server has
//! had its time. Neither end stops an effect that is on its way, so both leave the operation to what its server answers, or
//! in doubt.

use crate::{
    link::{Exchange, Lost, Upstream},
    wire::{Id, Members, Message, method},
};
use semel_config::{OnCancel, ToolSetup};
use serde_json::json;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The requests under way whose answers count once they are taken, by connection and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<(u64, Id), UnderWay>>>);

#[derive(Debug)]
struct UnderWay {
    nobody_waits: CancellationToken,
    /// Whether it may take effect, so that its server is not told lightly that nobody waits.
    may_take_effect: bool,
}

impl Calls {
    /// A guarded call is under way.
    pub(super) fn add(&self, exchange: &Exchange, id: Id) {
        self.put(exchange, id, true);
    }

    /// A question about one is.
    pub(super) fn add_question(&self, exchange: &Exchange, id: Id) {
        self.put(exchange, id, false);
    }

    fn put(&self, exchange: &Exchange, id: Id, may_take_effect: bool) {
        let under_way = UnderWay {
            nobody_waits: exchange.nobody_waits.clone(),
            may_take_effect,
        };
        self.open().insert((exchange.caller.number, id), under_way);
    }

    pub(super) fn remove(&self, exchange: &Exchange, id: &Id) {
        self.open().remove(&(exchange.caller.number, id.clone()));
    }

    /// Whether the message cancels one of these calls. Its effect may be on its way, so the server is told only where the
    /// tool's operator says so: the call comes to its end, and what it came to is recorded for whoever repeats it.
    pub(super) fn cancel(&self, message: &Message, exchange: &Exchange) -> bool {
        if message.method() != Some(method::CANCELLED) {
            return false;
        }
        let id = message
            .body()
            .and_then(|params| Id::read(Members::read(params).ok()?.get("requestId")?));
        let Some(id) = id else { return false };
        let calls = self.open();
        let under_way = calls.get(&(exchange.caller.number, id));
        under_way
            .inspect(|under_way| under_way.nobody_waits.cancel())
            .is_some_and(|under_way| under_way.may_take_effect)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(u64, Id), UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a tool's server is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long it may take to answer.
    answer_within: Duration,
    /// Whether it is told when nobody waits any longer.
    forwards: bool,
}

impl Patience {
    pub(super) fn of(setup: &ToolSetup) -> Self {
        Self {
            answer_within: setup.answer_within,
            forwards: setup.on_cancel == OnCancel::Forward,
        }
    }

    /// Sends the request, and waits for its response. Where none comes in time, one may still come.
    pub(super) async fn ask(
        &self,
        below: &Arc<dyn Upstream>,
        request: Message,
        exchange: &Exchange,
    ) -> (Result<Message, Lost>, Option<Asking>) {
        let mut asking = Asking::begin(Arc::clone(below), request, exchange.clone());
        let too_late = tokio::time::sleep(self.answer_within);
        tokio::pin!(too_late);
        let mut forwards = self.forwards;
        loop {
            tokio::select! {
                biased;
                response = &mut asking.response => return (response, None),
                () = &mut too_late => break,
                () = exchange.nobody_waits.cancelled(), if forwards => {
                    forwards = false;
                    asking.stop("the client cancelled the call").await;
                }
            }
        }
        let reason = format!(
            "the server did not answer within {}",
            spelt(self.answer_within)
        );
        if self.forwards {
            asking.stop(&reason).await;
        }
        (Err(Lost { reason, sent: true }), Some(asking))
    }
}

/// A request that is on its way, for whoever waits for its response.
pub(super) struct Asking {
    below: Arc<dyn Upstream>,
    id: Option<Id>,
    exchange: Exchange,
    pub(super) response: Pin<Box<dyn Future<Output = Result<Message, Lost>> + Send>>,
}

impl Asking {
    fn begin(below: Arc<dyn Upstream>, request: Message, exchange: Exchange) -> Self {
        let (to, with) = (Arc::clone(&below), exchange.clone());
        let id = request.id().cloned();
        let response = Box::pin(async move { to.ask(request, &with).await });
        Self {
            below,
            id,
            exchange,
            response,
        }
    }

    /// Tells the server that nobody waits for the response any longer.
    pub(super) async fn stop(&mut self, reason: &str) {
        stop(&self.below, self.id.as_ref(), &self.exchange, reason).await;
    }
}

/// Sends a request of the gateway's own, and waits for its response until then; none: it came too late.
pub(super) async fn ask_until(
    until: Instant,
    below: &Arc<dyn Upstream>,
    request: Message,
    exchange: &Exchange,
) -> Option<Result<Message, Lost>> {
    let id = request.id().cloned();
    if let Ok(response) = timeout_at(until, below.ask(request, exchange)).await {
        return Some(response);
    }
    stop(below, id.as_ref(), exchange, "it takes too long").await;
    None
}

/// Tells the server that nobody waits for its response any longer.
async fn stop(below: &Arc<dyn Upstream>, id: Option<&Id>, exchange: &Exchange, reason: &str) {
    let Some(id) = id else { return };
    let reason = json!(reason);
    let params = format!(r#"{{"requestId":{},"reason":{reason}}}"#, id.to_json());
    below
        .pass(Message::notification(method::CANCELLED, &params), exchange)
        .await;
}

fn spelt(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1_000 == 0 => format!("{} s", duration.as_secs()),
        ms => format!("{ms} ms"),
    }
}
