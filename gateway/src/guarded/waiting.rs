//! Who waits for a guarded call, and for how long: its client, until it cancels or goes; this side, until the server has
//! had its time. Neither end stops an effect that is on its way, so both leave the operation to what its server answers, or
//! in doubt.

use crate::{
    link::{Exchange, Lost, Upstream},
    wire::{Id, Members, Message, method},
};
use semel::config::{OnCancel, ToolSetup};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// The guarded calls under way, by connection and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Mutex<HashMap<(u64, Id), CancellationToken>>>);

impl Calls {
    pub(super) fn add(&self, exchange: &Exchange, id: Id) {
        self.open().insert((exchange.caller.number, id), exchange.nobody_waits.clone());
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
        let id = message.body().and_then(|params| Id::read(Members::read(params).ok()?.get("requestId")?));
        let Some(id) = id else { return false };
        let calls = self.open();
        let under_way = calls.get(&(exchange.caller.number, id));
        under_way.inspect(|nobody_waits| nobody_waits.cancel()).is_some()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(u64, Id), CancellationToken>> {
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
        Self { answer_within: setup.answer_within, forwards: setup.on_cancel == OnCancel::Forward }
    }

    /// Sends the request, and waits for its response.
    pub(super) async fn ask(
        &self,
        below: &Arc<dyn Upstream>,
        request: Message,
        exchange: &Exchange,
    ) -> Result<Message, Lost> {
        let id = request.id().cloned();
        let asking = below.ask(request, exchange);
        let too_late = tokio::time::sleep(self.answer_within);
        tokio::pin!(asking, too_late);
        let mut forwards = self.forwards;
        loop {
            tokio::select! {
                biased;
                response = &mut asking => return response,
                () = &mut too_late => break,
                () = exchange.nobody_waits.cancelled(), if forwards => {
                    forwards = false;
                    stop(below, id.as_ref(), exchange, "the client cancelled the call").await;
                }
            }
        }
        let reason = format!("the server did not answer within {}", spelt(self.answer_within));
        stop(below, id.as_ref(), exchange, &reason).await;
        Err(Lost { reason, sent: true })
    }
}

/// Tells the server that nobody waits for its response any longer.
async fn stop(below: &Arc<dyn Upstream>, id: Option<&Id>, exchange: &Exchange, reason: &str) {
    let Some(id) = id else { return };
    let reason = json!(reason);
    let params = format!(r#"{{"requestId":{},"reason":{reason}}}"#, id.to_json());
    below.pass(Message::notification(method::CANCELLED, &params), exchange).await;
}

fn spelt(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1_000 == 0 => format!("{} s", duration.as_secs()),
        ms => format!("{ms} ms"),
    }
}
