//! One guarded call, from its request to the word that its answer was taken.

use super::{
    Guard, answer::Reader, catalog::Known, handing::Lasting, late::LateAnswers,
    model_text::TextSubject, outcome, own_id, rounds, taking, tasks, waiting::Patience,
};
use crate::{
    link::{Exchange, Upstream},
    wire::{Fault, FaultCode, Id, Members, Message, meta},
};
use semel::{
    json::{self, JsonLimits},
    model::{Answer, Call, NextStep, Outcome},
    runtime::{Answered, Begun, CallError, Started, Ticket},
};
use serde_json::{Map, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// After how long it makes sense to call again where the ledger could not be used, in milliseconds.
const LEDGER_AWAY_MS: u64 = 5_000;

/// A request of `tools/call`, read.
struct Asked {
    id: Id,
    request: Message,
    params: Members,
    tool: String,
    arguments: Value,
}

/// Guards the call of this request, and answers it.
pub(super) async fn run(
    guard: &Arc<Guard>,
    below: &Arc<dyn Upstream>,
    late: &LateAnswers,
    request: Message,
    exchange: &Exchange,
) {
    let Some(id) = request.id().cloned() else {
        return;
    };
    let asked = match Asked::read(id.clone(), request) {
        Ok(asked) => asked,
        Err(fault) => {
            return exchange
                .client
                .put(fault.response(Some(&id)))
                .await
                .unwrap_or_default();
        }
    };
    let own = asked.params.object("_meta").unwrap_or_default();
    if let Some(probes) = &guard.probes {
        probes.remember(guard, below, exchange, &own);
    }
    let has_result_types = own.get(meta::PROTOCOL_VERSION).is_some();
    let known = guard.catalog.tool(&asked.tool, below, exchange, &own).await;
    if exchange.repeats_arguments
        && let Err(fault) = known.parameters.agree(&asked.arguments, &exchange.headers)
    {
        return exchange
            .client
            .put(fault.response(Some(&id)))
            .await
            .unwrap_or_default();
    }
    let tool = format!("{}{}", guard.prefix, asked.tool);
    Running {
        guard,
        below,
        late,
        exchange,
        asked: &asked,
        tool,
        known,
        has_result_types,
    }
    .run()
    .await;
}

impl Asked {
    fn read(id: Id, request: Message) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::new(FaultCode::InvalidParams, what);
        let params = request
            .body()
            .ok_or_else(|| wrong("the call has no parameters: name a tool".to_owned()))?;
        let params = Members::read(params)
            .map_err(|error| wrong(format!("the parameters cannot be read: {error}")))?;
        let tool = params
            .text("name")
            .ok_or_else(|| wrong("the call names no tool: write its `name`".to_owned()))?;
        let arguments = params.get("arguments").unwrap_or("{}");
        let arguments = json::parse(arguments, &JsonLimits::default())
            .map_err(|fault| wrong(format!("the arguments cannot be used: {fault}")))?;
        Ok(Self {
            id,
            request,
            params,
            tool,
            arguments,
        })
    }

    /// The request as it is to be sent: untouched but for what the ticket adds.
    fn with(
        &self,
        ticket: &Ticket,
        sent_arguments: &Map<String, Value>,
        is_repeat: bool,
    ) -> Result<Message, serde_json::Error> {
        // Under its own id a late response to what was sent before would be taken for the response to this.
        let request = if is_repeat {
            self.request.with_id(&own_id())
        } else {
            self.request.clone()
        };
        if ticket.metadata.is_empty() && ticket.arguments == *sent_arguments {
            return Ok(request);
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
        Ok(request.with_body(&serde_json::to_string(&params)?))
    }
}

/// What one call has at hand.
struct Running<'a> {
    guard: &'a Arc<Guard>,
    below: &'a Arc<dyn Upstream>,
    late: &'a LateAnswers,
    exchange: &'a Exchange,
    asked: &'a Asked,
    /// The tool, as the client names it.
    tool: String,
    known: Arc<Known>,
    /// Whether results say of what type they are.
    has_result_types: bool,
}

/// Under what a call waits whose server is not done.
struct Waits {
    continuation: String,
    at_most: Duration,
    is_task: bool,
}

impl Waits {
    fn by(response: &Message) -> Option<Self> {
        if let Some(continuation) = rounds::asks(response) {
            return Some(Self {
                continuation,
                at_most: rounds::ANSWERED_WITHIN,
                is_task: false,
            });
        }
        let task = tasks::made_by(response)?;
        Some(Self {
            continuation: tasks::continuation(&task.id),
            at_most: task.ttl,
            is_task: true,
        })
    }
}

/// What this call sent.
#[derive(Default)]
struct Sent {
    times: u32,
    /// What the server answered to the last of it.
    answer: Option<Message>,
}

impl Running<'_> {
    async fn run(&self) {
        let call = match self.call() {
            Ok(call) => call,
            Err(fault) => return self.put(fault.response(Some(&self.asked.id))).await,
        };
        let owed = self
            .guard
            .taking
            .owed(&taking::equal(&call), self.exchange.began)
            .await;
        let mut sent = Sent::default();
        let semel = &self.guard.semel;
        let mut begun = match (rounds::continues(&self.asked.params), owed) {
            (Some(continuation), _) => semel.resume(call.clone(), continuation).await,
            (None, Some(generation)) => semel.begin_owed(call.clone(), generation).await,
            (None, None) => semel.begin(call.clone()).await,
        };
        loop {
            match begun {
                Ok(Begun::Run(started)) => match self.send(*started, &call, &mut sent).await {
                    Some(next) => begun = next,
                    None => return,
                },
                Ok(Begun::Answered(answered)) => {
                    return self.tell(*answered, sent.answer.as_ref(), &call).await;
                }
                Err(error) => return self.put(self.response(&failed(&error), None)).await,
            }
        }
    }

    fn call(&self) -> Result<Call, Fault> {
        let call = Call::new(self.tool.as_str(), self.asked.arguments.clone())
            .map_err(|fault| Fault::new(FaultCode::InvalidParams, fault.to_string()))?;
        let caller = &self.exchange.caller;
        let call = call
            .for_tenant(caller.tenant.clone())
            .with_fact("server", Value::from(self.guard.server.as_str()));
        let call = caller.run.clone().into_iter().fold(call, Call::in_run);
        let trusted = self
            .guard
            .is_trusted
            .then(|| ("server.trusted", Value::from(true)));
        // Its own name for the tool, where the client knows it by another one.
        let own_name = (self.asked.tool != self.tool)
            .then(|| ("server.tool", Value::from(self.asked.tool.as_str())));
        let known: Vec<_> = self.known.facts(call.arguments()).collect();
        let facts = known.into_iter().chain(trusted).chain(own_name);
        Ok(facts.fold(call, |call, (name, value)| call.with_fact(name, value)))
    }

    /// Sends the call once, and says how it goes on; none: it is answered already.
    async fn send(
        &self,
        started: Started,
        call: &Call,
        sent: &mut Sent,
    ) -> Option<Result<Begun, CallError>> {
        if let Some(header) = started
            .ticket
            .headers
            .first()
            .filter(|_| !self.guard.has_headers)
        {
            let reason = nowhere(&header.0, &self.guard.server);
            return self.unsent(started, reason).await;
        }
        let request = match self
            .asked
            .with(&started.ticket, call.arguments(), sent.times > 0)
        {
            Ok(request) => request,
            Err(error) => {
                return self
                    .unsent(started, format!("the request cannot be written: {error}"))
                    .await;
            }
        };
        let mut headers = self.exchange.headers.to_vec();
        self.known
            .parameters
            .put(&started.ticket.arguments, &mut headers);
        started.ticket.put_headers(&mut headers);
        let exchange = Exchange {
            headers: headers.into(),
            ..self.exchange.clone()
        };
        if !started.matters() {
            self.guard.metrics.count_answer(&self.tool, "passed");
            self.below.pass(request, &exchange).await;
            return None;
        }
        sent.times += 1;
        let patience = Patience::of(self.guard.config.tool(&self.tool));
        let sent_at = Instant::now();
        let (response, asking) = patience.ask(self.below, request, &exchange).await;
        if let Some(asking) = asking {
            self.late.wait_for(asking, started.late());
        }
        self.guard.metrics.observe_upstream(sent_at.elapsed());
        if let Ok(response) = &response
            && let Some(waits) = Waits::by(response)
        {
            return self.suspend(started, call, waits, response).await;
        }
        let came_to = match &response {
            Ok(response) => outcome::of_response(response),
            Err(lost) => outcome::of_loss(lost.clone()),
        };
        sent.answer = response.ok();
        Some(started.go_on(came_to).await)
    }

    /// The server accepted, and is not done: what it said is the answer, and the operation waits.
    async fn suspend(
        &self,
        started: Started,
        call: &Call,
        waits: Waits,
        response: &Message,
    ) -> Option<Result<Begun, CallError>> {
        if waits.is_task {
            self.guard.tasks.keep(&waits.continuation, call);
        }
        let answered = match started
            .suspend(waits.continuation.clone(), waits.at_most)
            .await
        {
            Ok(answered) => answered,
            Err(error) => return Some(Err(error)),
        };
        if let Answer::Running {
            about,
            continuation: Some(waiting),
            ..
        } = &answered.answer
            && *waiting == waits.continuation
        {
            self.guard
                .questions
                .keep(about.key.clone(), waits.continuation, response.clone());
        }
        self.tell(answered, Some(response), call).await;
        None
    }

    /// The call cannot be sent as it is set up, and calling again would change nothing.
    async fn unsent(&self, started: Started, reason: String) -> Option<Result<Begun, CallError>> {
        if let Err(error) = started.finish(Outcome::not_sent(reason.clone())).await {
            return Some(Err(error));
        }
        let answer = Answer::Refused {
            reason,
            next: NextStep::AskAPerson,
        };
        self.put(self.response(&answer, None)).await;
        None
    }

    /// Writes the answer, and says that it was taken where that may be believed.
    async fn tell(&self, answered: Answered, own: Option<&Message>, call: &Call) {
        let (answer, delivery) = answered.into_parts();
        self.guard.metrics.count_answer(&self.tool, answer.word());
        if self.exchange.nobody_waits.is_cancelled() {
            return;
        }
        // What its server asked is asked again of whoever makes the call anew.
        let question = match &answer {
            Answer::Running {
                about,
                continuation: Some(waits),
                ..
            } => {
                self.guard.tasks.note(waits, call);
                self.guard.questions.get(&about.key, waits)
            }
            _ => None,
        };
        let own = if matches!(answer, Answer::Running { .. }) {
            question.as_ref()
        } else {
            own
        };
        let generation = answer.about().map_or(0, |about| about.generation);
        let lasting = delivery.map(|delivery| Lasting {
            generation,
            delivery,
        });
        self.guard
            .hand_over(self.response(&answer, own), call, lasting, self.exchange)
            .await;
    }

    fn response(&self, answer: &Answer, own: Option<&Message>) -> Message {
        // Only whoever must look for an effect is told where.
        let lookup_tools = match answer {
            Answer::Executed { .. } | Answer::Replayed { .. } => Vec::new(),
            _ => self.guard.look_with(&self.asked.tool),
        };
        let subject = TextSubject {
            tool: &self.tool,
            lookup_tools: &lookup_tools,
        };
        let (has_output_schema, has_result_types) =
            (self.known.has_output_schema, self.has_result_types);
        Reader {
            id: &self.asked.id,
            subject,
            has_output_schema,
            has_result_types,
        }
        .response(answer, own)
    }

    async fn put(&self, message: Message) {
        // A client that has gone gets nothing.
        self.exchange.client.put(message).await.unwrap_or_default();
    }
}

fn nowhere(header: &str, server: &str) -> String {
    format!(
        "the tool's policy puts its key into the header `{header}`, and what is sent to the server `{server}` has no \
         headers: say in its settings where else the key goes"
    )
}

/// The tool did not run, for a reason that is not the call's.
fn failed(error: &CallError) -> Answer {
    let next = match error {
        CallError::Ledger(_) => NextStep::CallAgain {
            after_ms: Some(LEDGER_AWAY_MS),
        },
        CallError::NoPolicy(_) | CallError::Internal(_) => NextStep::AskAPerson,
    };
    Answer::Refused {
        reason: error.to_string(),
        next,
    }
}
