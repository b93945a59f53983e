//! Who waits for which response of one connection.

use crate::{
    link::{Exchange, Lost},
    wire::{Fault, FaultCode, Id, Message},
};
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// What is done with a response.
#[derive(Debug)]
pub(super) enum Waiter {
    /// It goes to the client as it is.
    Passes(Exchange),
    /// A layer above wants it.
    Asked(oneshot::Sender<Message>),
}

/// The requests that a connection has not answered; once it is lost, none can be added.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: HashMap<Id, Waiter>,
    is_lost: bool,
}

/// Why a request cannot be sent.
pub(super) enum NotSent {
    /// Nobody reads it.
    Lost,
    /// A request of its id is not answered yet.
    SameId,
}

impl Waiting {
    /// Has `waiter` wait for the response to `id`, before the request is sent.
    pub(super) fn add(&self, id: Id, waiter: Waiter) -> Result<(), NotSent> {
        let mut state = self.state();
        if state.is_lost {
            return Err(NotSent::Lost);
        }
        if state.requests.contains_key(&id) {
            return Err(NotSent::SameId);
        }
        state.requests.insert(id, waiter);
        Ok(())
    }

    /// Who waits for the response to `id`; none: nobody asked, or it was answered.
    pub(super) fn take(&self, id: &Id) -> Option<Waiter> {
        self.state().requests.remove(id)
    }

    /// Tells all who wait that nothing will come.
    pub(super) async fn lose(&self, reason: &str) {
        let requests = {
            let mut state = self.state();
            state.is_lost = true;
            mem::take(&mut state.requests)
        };
        // Who asked sees that the sender is dropped.
        for (id, waiter) in requests {
            if let Waiter::Passes(exchange) = waiter {
                answer_lost(
                    &id,
                    &exchange,
                    &Lost {
                        reason: reason.to_owned(),
                        sent: true,
                    },
                )
                .await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a request to which no response will come.
pub(super) async fn answer_lost(id: &Id, exchange: &Exchange, lost: &Lost) {
    let what = if lost.sent {
        "whether the request took effect is not known"
    } else {
        "the request was not sent"
    };
    let fault = Fault::new(FaultCode::Unanswered, format!("{lost}: {what}"));
    // There is nobody else to tell.
    let _ = exchange.client.put(fault.response(Some(id))).await;
}
