//! One guarded call, from its request to the acknowledged delivery of its answer.

use super::{
    ToolGuard, answer::ResponseBuilder, catalog::ToolInfo, deliver::PendingDelivery, delivery_log,
    elicitation, late_response::LateResponses, model_text::TextSubject, new_request_id, outcome,
    tasks, timeout::ResponseTimeout,
};
use crate::{
    layer::{RequestContext, Upstream},
    wire::{ErrorCode, JsonMembers, Message, ProtocolError, RequestId, meta},
};
use semel::{
    json::{JsonDocument, JsonLimits},
    model::{Answer, Call, NextStep, Outcome},
    runtime::{CallError, CallStep, DeliverableAnswer, Ticket, ToolRun},
};
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The delay before another call where the ledger could not be used, in milliseconds.
const LEDGER_RETRY_MS: u64 = 5_000;

/// A parsed request of `tools/call`.
struct ToolCallRequest {
    id: RequestId,
    message: Message,
    params: JsonMembers,
    tool: String,
    arguments: JsonDocument,
}

/// Guards the call of this request, and answers it.
pub(super) async fn run_call(
    guard: &Arc<ToolGuard>,
    below: &Arc<dyn Upstream>,
    late: &LateResponses,
    message: Message,
    context: &RequestContext,
) {
    let Some(id) = message.id().cloned() else {
        return;
    };
    let request = match ToolCallRequest::parse(id.clone(), message) {
        Ok(request) => request,
        Err(error) => return send(context, error.response(Some(&id))).await,
    };
    let own_meta = request.params.object("_meta").unwrap_or_default();
    if let Some(prober) = &guard.prober {
        prober.register(guard, below, context, &own_meta);
    }
    let tool = guard
        .catalog
        .find_tool(&request.tool, below, context, &own_meta)
        .await;
    // Only the newer protocol version repeats arguments in headers.
    if context.repeats_arguments {
        let agreement = tool
            .header_parameters
            .check_agreement(request.arguments.value(), &context.headers);
        if let Err(error) = agreement {
            return send(context, error.response(Some(&id))).await;
        }
    }
    let call = GuardedCall {
        guard,
        below,
        late,
        context,
        tool_name: format!("{}{}", guard.prefix, request.tool),
        tool,
        has_result_types: own_meta.get(meta::PROTOCOL_VERSION).is_some(),
        request: &request,
    };
    call.run().await;
}

async fn send(context: &RequestContext, message: Message) {
    // A disconnected client reads nothing, and the call has nothing left to do.
    let _ = context.client.send(message).await;
}

impl ToolCallRequest {
    fn parse(id: RequestId, message: Message) -> Result<Self, ProtocolError> {
        let invalid = |what: String| ProtocolError::new(ErrorCode::InvalidParams, what);
        let params = message
            .body()
            .ok_or_else(|| invalid("the call has no parameters: name a tool".to_owned()))?;
        let params = JsonMembers::read(params)
            .map_err(|error| invalid(format!("the parameters cannot be read: {error}")))?;
        let tool = params
            .text("name")
            .ok_or_else(|| invalid("the call names no tool: write its `name`".to_owned()))?;
        let arguments = params.get("arguments").unwrap_or("{}");
        let arguments = JsonDocument::parse(arguments, &JsonLimits::default())
            .map_err(|error| invalid(format!("the arguments cannot be used: {error}")))?;
        Ok(Self {
            id,
            message,
            params,
            tool,
            arguments,
        })
    }

    /// Returns the request to send: the client's, with what the ticket adds.
    fn with_ticket(&self, ticket: &Ticket, is_repeat: bool) -> Result<Message, serde_json::Error> {
        // Under the same id a late response to the first request would pass for the response to the
        // repeat.
        let message = if is_repeat {
            self.message.with_id(&new_request_id())
        } else {
            self.message.clone()
        };
        let has_own_arguments = ticket.arguments_json != self.arguments.text();
        if ticket.metadata.is_empty() && !has_own_arguments {
            return Ok(message);
        }
        let mut params = self.params.clone();
        if has_own_arguments {
            // Byte by byte what the client wrote, but for the key.
            let text = RawValue::from_string(ticket.arguments_json.clone())?;
            params.set("arguments", &text)?;
        }
        let mut own_meta = params.object("_meta")?;
        for (name, value) in &ticket.metadata {
            own_meta.set(name, value)?;
        }
        if !own_meta.is_empty() {
            params.set("_meta", &own_meta)?;
        }
        Ok(message.with_body(&serde_json::to_string(&params)?))
    }
}

/// The state of one guarded call.
struct GuardedCall<'a> {
    guard: &'a Arc<ToolGuard>,
    below: &'a Arc<dyn Upstream>,
    late: &'a LateResponses,
    context: &'a RequestContext,
    request: &'a ToolCallRequest,
    /// The tool, as the client names it.
    tool_name: String,
    tool: Arc<ToolInfo>,
    /// Results declare their type.
    has_result_types: bool,
}

/// The suspension of a call that the server has not finished.
struct CallSuspension {
    continuation: String,
    time_limit: Duration,
    is_task: bool,
}

impl CallSuspension {
    /// Returns the suspension that a response asks for, if it does.
    fn from_response(response: &Message) -> Option<Self> {
        if let Some(continuation) = elicitation::continuation_of_response(response) {
            return Some(Self {
                continuation,
                time_limit: elicitation::ANSWER_TIMEOUT,
                is_task: false,
            });
        }
        let task = tasks::task_of_response(response)?;
        Some(Self {
            continuation: tasks::task_continuation(&task.id),
            time_limit: task.ttl,
            is_task: true,
        })
    }
}

/// The requests that one call has sent.
#[derive(Default)]
struct SendHistory {
    count: u32,
    /// The server's response to the last request.
    last_response: Option<Message>,
}

impl GuardedCall<'_> {
    async fn run(&self) {
        let call = match self.build_call() {
            Ok(call) => call,
            Err(error) => return self.send(error.response(Some(&self.request.id))).await,
        };
        let mut begun = self.begin(&call).await;
        let mut history = SendHistory::default();
        loop {
            match begun {
                Ok(CallStep::Run(started)) => {
                    match self.run_started(*started, &call, &mut history).await {
                        Some(next) => begun = next,
                        None => return,
                    }
                }
                Ok(CallStep::Answered(answered)) => {
                    let own_response = history.last_response.as_ref();
                    return self.answer(*answered, own_response, &call).await;
                }
                Err(error) => {
                    return self.send(self.response(&error_answer(&error), None)).await;
                }
            }
        }
    }

    async fn begin(&self, call: &Call) -> Result<CallStep, CallError> {
        let identity = delivery_log::call_identity(call);
        let pending = self
            .guard
            .delivery_log
            .pending_generation(&identity, self.context.began)
            .await;
        let semel = &self.guard.semel;
        if let Some(continuation) = elicitation::continuation_of_request(&self.request.params) {
            return semel.resume(call.clone(), continuation).await;
        }
        match pending {
            Some(generation) => semel.begin_before_delivery(call.clone(), generation).await,
            None => semel.begin(call.clone()).await,
        }
    }

    fn build_call(&self) -> Result<Call, ProtocolError> {
        let call = Call::new(self.tool_name.as_str(), self.request.arguments.clone())
            .map_err(|error| ProtocolError::new(ErrorCode::InvalidParams, error.to_string()))?;
        let caller = &self.context.caller;
        let mut call = call
            .for_tenant(caller.tenant.clone())
            .with_fact("server", self.guard.server.as_str());
        if let Some(run) = caller.run.clone() {
            call = call.in_run(run);
        }
        let tool_facts: Vec<_> = self.tool.facts(call.arguments()).collect();
        for (name, value) in tool_facts {
            call = call.with_fact(name, value);
        }
        if self.guard.is_trusted {
            call = call.with_fact("server.trusted", true);
        }
        if self.request.tool != self.tool_name {
            // Policies know the tool by the server's name for it.
            call = call.with_fact("server.tool", self.request.tool.as_str());
        }
        Ok(call)
    }

    /// Sends the call, and returns how it continues, or `None` if it is answered.
    async fn run_started(
        &self,
        started: ToolRun,
        call: &Call,
        history: &mut SendHistory,
    ) -> Option<Result<CallStep, CallError>> {
        if let Some((header, _)) = started.ticket.headers.first()
            && !self.guard.has_headers
        {
            let reason = no_headers_reason(header, &self.guard.server);
            return self.refuse_unsent(started, reason).await;
        }
        let is_repeat = history.count > 0;
        let request = self.request.with_ticket(&started.ticket, is_repeat);
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                let reason = format!("the request cannot be written: {error}");
                return self.refuse_unsent(started, reason).await;
            }
        };
        let context = self.context_with_headers(&started.ticket);
        if !started.needs_outcome() {
            // Nothing is recorded of this call, so its response goes to the client unread.
            self.guard.metrics.count_answer(&self.tool_name, "passed");
            self.below.forward(request, &context).await;
            return None;
        }
        // Counted before the response: a request without one may have been received too.
        history.count += 1;
        let timeout = ResponseTimeout::from_setup(self.guard.config.tool(&self.tool_name));
        let sent_at = Instant::now();
        let (response, pending) = timeout.request(self.below, request, &context).await;
        if let Some(pending) = pending {
            // The response may still come, and then it replaces the doubt in the ledger.
            self.late.spawn_wait(pending, started.late_recorder());
        }
        self.guard.metrics.observe_upstream(sent_at.elapsed());
        if let Ok(response) = &response
            && let Some(suspension) = CallSuspension::from_response(response)
        {
            return self.suspend(started, call, suspension, response).await;
        }
        let outcome = match &response {
            Ok(response) => outcome::from_response(response),
            Err(no_response) => outcome::from_no_response(no_response.clone()),
        };
        history.last_response = response.ok();
        Some(started.report(outcome).await)
    }

    /// The client's context with the headers of the request to send.
    fn context_with_headers(&self, ticket: &Ticket) -> RequestContext {
        let mut headers = self.context.headers.to_vec();
        // The ticket may have changed arguments, and its own headers come last so that they win.
        self.tool
            .header_parameters
            .set_headers(&ticket.arguments, &mut headers);
        ticket.put_headers(&mut headers);
        RequestContext {
            headers: headers.into(),
            ..self.context.clone()
        }
    }

    /// Suspends the operation that the server accepted and has not finished, and answers with the
    /// server's response.
    async fn suspend(
        &self,
        started: ToolRun,
        call: &Call,
        suspension: CallSuspension,
        response: &Message,
    ) -> Option<Result<CallStep, CallError>> {
        let continuation = suspension.continuation;
        if suspension.is_task {
            // Before the client can learn of the task and ask for it.
            self.guard.tasks.insert(&continuation, call);
        }
        let suspended = started
            .suspend(continuation.clone(), suspension.time_limit)
            .await;
        let answered = match suspended {
            Ok(answered) => answered,
            Err(error) => return Some(Err(error)),
        };
        // The operation may have been settled meanwhile: then the answer is another one, and the
        // question is void.
        if let Answer::Running {
            about,
            continuation: Some(recorded),
            ..
        } = &answered.answer
            && *recorded == continuation
        {
            let key = about.key.clone();
            self.guard
                .questions
                .insert(key, continuation, response.clone());
        }
        self.answer(answered, Some(response), call).await;
        None
    }

    /// Settles a call that cannot be sent with the present configuration, and refuses it: calling
    /// again changes nothing.
    async fn refuse_unsent(
        &self,
        started: ToolRun,
        reason: String,
    ) -> Option<Result<CallStep, CallError>> {
        if let Err(error) = started.finish(Outcome::not_sent(reason.clone())).await {
            return Some(Err(error));
        }
        let answer = Answer::Refused {
            reason,
            next: NextStep::AskAPerson,
        };
        self.send(self.response(&answer, None)).await;
        None
    }

    /// Delivers the answer to the client.
    async fn answer(
        &self,
        answered: DeliverableAnswer,
        own_response: Option<&Message>,
        call: &Call,
    ) {
        let (answer, delivery) = answered.into_parts();
        self.guard
            .metrics
            .count_answer(&self.tool_name, answer.word());
        if self.context.cancellation.is_cancelled() {
            // The client cancelled: the protocol allows no response, and the outcome is recorded
            // for a repeat.
            return;
        }
        let question = self.open_question(&answer, call);
        let own_response = match &answer {
            Answer::Running { .. } => question.as_ref(),
            _ => own_response,
        };
        let generation = answer.about().map_or(0, |about| about.generation);
        let pending = delivery.map(|delivery| PendingDelivery {
            generation,
            delivery,
        });
        let response = self.response(&answer, own_response);
        // Without an acknowledgement the delivery stays pending, and a repeat of the call gets the
        // outcome.
        let _is_acknowledged = self
            .guard
            .deliver_response(response, call, pending, self.context)
            .await;
    }

    /// The server's question that a suspended operation waits for, to be put again to a client that
    /// repeats the call.
    fn open_question(&self, answer: &Answer, call: &Call) -> Option<Message> {
        let Answer::Running {
            about,
            continuation: Some(continuation),
            ..
        } = answer
        else {
            return None;
        };
        self.guard.tasks.insert_if_task(continuation, call);
        self.guard.questions.get(&about.key, continuation)
    }

    fn response(&self, answer: &Answer, own_response: Option<&Message>) -> Message {
        // Only a model without a result has to search for the effect.
        let lookup_tools = match answer {
            Answer::Executed { .. } | Answer::Replayed { .. } => Vec::new(),
            _ => self.guard.lookup_tools(&self.request.tool),
        };
        let builder = ResponseBuilder {
            id: &self.request.id,
            subject: TextSubject {
                tool: &self.tool_name,
                lookup_tools: &lookup_tools,
            },
            has_output_schema: self.tool.has_output_schema,
            has_result_types: self.has_result_types,
        };
        builder.response(answer, own_response)
    }

    async fn send(&self, message: Message) {
        send(self.context, message).await;
    }
}

fn no_headers_reason(header: &str, server: &str) -> String {
    format!(
        "the tool's policy puts its key into the header `{header}`, but requests to the server `{server}` have no headers: \
         name another place for the key in the policy's settings"
    )
}

/// Returns the answer for a call that did not run, for a reason that is not the call's.
fn error_answer(error: &CallError) -> Answer {
    let next = match error {
        CallError::Ledger(_) => NextStep::CallAgain {
            after_ms: Some(LEDGER_RETRY_MS),
        },
        CallError::NoPolicy { .. } | CallError::Policy(_) | CallError::Internal(_) => {
            NextStep::AskAPerson
        }
    };
    Answer::Refused {
        reason: error.to_string(),
        next,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_server_gets_the_arguments_as_the_client_wrote_them_with_only_the_key_put_in() {
        let text = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call", "params":{"name":"pay","arguments":{ "z":1.10, "id" : 9007199254740993,"t":"\u0041"}}}"#;
        let message = Message::read(text).unwrap();
        let id = message.id().cloned().unwrap();
        let request = ToolCallRequest::parse(id, message).unwrap();
        let call = Call::new("pay", request.arguments.clone()).unwrap();
        let mut ticket = Ticket::unguarded(&call);
        assert_eq!(request.with_ticket(&ticket, false).unwrap().text(), text);
        ticket.arguments_json = ticket.arguments_json.replace('}', r#","key":"K"}"#);
        assert_eq!(
            request.with_ticket(&ticket, false).unwrap().text(),
            text.replace(r#""\u0041"}"#, r#""\u0041","key":"K"}"#)
        );
    }

    #[test]
    fn a_number_past_the_limits_is_refused_in_words() {
        let text = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"pay","arguments":{"n":1e1000001}}}"#;
        let message = Message::read(text).unwrap();
        let refused = ToolCallRequest::parse(RequestId::Number(7), message).err();
        let refused = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            refused.contains("line 1, column 6 holds a number with an exponent beyond 1000000"),
            "{refused}"
        );
    }
}
