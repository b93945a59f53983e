//! One guarded call, from its request to the word that its answer was taken.

use super::{Guard, answer, outcome};
use crate::{
    link::{Exchange, Upstream},
    wire::{Fault, FaultCode, Id, Members, Message},
};
use semel::{
    json::{self, JsonLimits},
    runtime::{Answered, Begun, CallError, Delivery, Started, Ticket},
    words::{Answer, Call, Next},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A request of `tools/call`, read.
struct Asked {
    id: Id,
    request: Message,
    params: Members,
    tool: String,
    arguments: Value,
}

/// Guards the call of this request, and answers it.
pub(super) async fn run(guard: &Guard, below: &Arc<dyn Upstream>, request: Message, exchange: &Exchange) {
    let Some(id) = request.id().cloned() else { return };
    match Asked::read(id.clone(), request) {
        Ok(asked) => Running { guard, below, exchange, asked: &asked }.run().await,
        Err(fault) => exchange.client.put(fault.response(Some(&id))).await.unwrap_or_default(),
    }
}

impl Asked {
    fn read(id: Id, request: Message) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::new(FaultCode::InvalidParams, what);
        let params = request.body().ok_or_else(|| wrong("the call has no parameters: name a tool".to_owned()))?;
        let params = Members::read(params).map_err(|error| wrong(format!("the parameters cannot be read: {error}")))?;
        let tool = params.text("name").ok_or_else(|| wrong("the call names no tool: write its `name`".to_owned()))?;
        let arguments = params.get("arguments").unwrap_or("{}");
        let arguments = json::parse(arguments, &JsonLimits::default())
            .map_err(|fault| wrong(format!("the arguments cannot be used: {fault}")))?;
        Ok(Self { id, request, params, tool, arguments })
    }

    /// The request as it is to be sent: untouched but for what the ticket adds.
    fn with(&self, ticket: &Ticket, sent_arguments: &Map<String, Value>) -> Result<Message, serde_json::Error> {
        if ticket.metadata.is_empty() && ticket.arguments == *sent_arguments {
            return Ok(self.request.clone());
        }
        let mut params = self.params.clone();
        if ticket.arguments != *sent_arguments {
            params.set("arguments", &ticket.arguments)?;
        }
        let mut meta = params.object("_meta")?;
        for (name, value) in &ticket.metadata {
            meta.set(name, value)?;
        }
        if !meta.is_empty() {
            params.set("_meta", &meta)?;
        }
        Ok(self.request.with_body(&serde_json::to_string(&params)?))
    }
}

/// What one call has at hand.
struct Running<'a> {
    guard: &'a Guard,
    below: &'a Arc<dyn Upstream>,
    exchange: &'a Exchange,
    asked: &'a Asked,
}

impl Running<'_> {
    async fn run(&self) {
        let meta = self.asked.params.object("_meta").unwrap_or_default();
        let known = self.guard.catalog.tool(&self.asked.tool, self.below, self.exchange, &meta).await;
        let call = match self.call(&known.hints) {
            Ok(call) => call,
            Err(fault) => return self.put(fault.response(Some(&self.asked.id))).await,
        };
        let arguments = call.arguments().clone();
        let mut own = None;
        let mut begun = self.guard.semel.begin(call).await;
        loop {
            match begun {
                Ok(Begun::Run(started)) => match self.send(*started, &arguments, &mut own).await {
                    Some(next) => begun = next,
                    None => return,
                },
                Ok(Begun::Answered(answered)) => {
                    return self.tell(*answered, own.as_ref(), known.has_output_schema).await;
                }
                Err(error) => return self.put(self.failed(&error, known.has_output_schema)).await,
            }
        }
    }

    fn call(&self, hints: &super::catalog::Hints) -> Result<Call, Fault> {
        let name = format!("{}{}", self.guard.prefix, self.asked.tool);
        let call = Call::new(name, self.asked.arguments.clone())
            .map_err(|fault| Fault::new(FaultCode::InvalidParams, fault.to_string()))?;
        let caller = &self.exchange.caller;
        let call = call.for_tenant(caller.tenant.clone()).with_fact("server", Value::from(self.guard.server.as_str()));
        let call = caller.run.clone().into_iter().fold(call, Call::in_run);
        Ok(hints.facts().fold(call, |call, (name, value)| call.with_fact(name, value)))
    }

    /// Sends the call once, and says how it goes on; none: nobody wanted to know, and it is answered already.
    async fn send(
        &self,
        started: Started,
        arguments: &Map<String, Value>,
        own: &mut Option<Message>,
    ) -> Option<Result<Begun, CallError>> {
        let (exchange, matters) = (self.exchange.clone(), started.matters());
        let exchange = Exchange { headers: started.ticket.headers.clone().into(), ..exchange };
        let request = match self.asked.with(&started.ticket, arguments) {
            Ok(request) => request,
            Err(error) => {
                let unsent = semel::words::Outcome::not_sent(format!("the request cannot be written: {error}"));
                return Some(started.go_on(unsent).await);
            }
        };
        if !matters {
            self.below.pass(request, &exchange).await;
            return None;
        }
        let response = self.below.ask(request, &exchange).await;
        let came_to = match &response {
            Ok(response) => outcome::of_response(response),
            Err(lost) => outcome::of_loss(lost.clone()),
        };
        *own = response.ok();
        Some(started.go_on(came_to).await)
    }

    /// Writes the answer, and says that it was taken where that may be believed.
    async fn tell(&self, answered: Answered, own: Option<&Message>, has_output_schema: bool) {
        let (answer, delivery) = answered.into_parts();
        let response = answer::response(&self.asked.id, &answer, own, has_output_schema);
        if self.exchange.nobody_waits.is_cancelled() {
            return;
        }
        let was_written = self.exchange.client.deliver(response).await.is_ok();
        if let Some(delivery) = delivery.filter(|_| was_written && self.counts_as_taken()) {
            Delivery::taken(delivery).await;
        }
    }

    /// Whether what was written now is believed to be received.
    fn counts_as_taken(&self) -> bool {
        let name = format!("{}{}", self.guard.prefix, self.asked.tool);
        let within = self.guard.config.tool(&name).taken_within;
        let in_time = within.is_some_and(|within| self.exchange.began.elapsed() <= within);
        in_time && !self.exchange.nobody_waits.is_cancelled()
    }

    /// The tool did not run, for a reason that is not the call's.
    fn failed(&self, error: &CallError, has_output_schema: bool) -> Message {
        let answer = Answer::Refused { reason: error.to_string(), next: Next::CallAgain { after_ms: None } };
        answer::response(&self.asked.id, &answer, None, has_output_schema)
    }

    async fn put(&self, message: Message) {
        // A client that has gone gets nothing.
        self.exchange.client.put(message).await.unwrap_or_default();
    }
}
