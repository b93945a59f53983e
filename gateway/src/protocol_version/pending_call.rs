//! Calls of newer clients that an older server has not answered, and the questions that it asks
//! meanwhile.
//!
//! A newer client gets the questions as the response to its call. It answers by repeating the call,
//! which then waits for the server's own response under its new id.

use super::translation;
use crate::{
    layer::{CallerIdentity, Client, Confirmation, Disconnected, RequestContext},
    wire::{JsonMembers, Message, MessageKind, RequestId, meta},
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use semel::model::Tenant;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// The time for which a question waits for its answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The most calls with questions that wait at once.
const QUESTIONS_MAX: usize = 1_000;

/// A request that the server has not answered.
#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) method: String,
    /// The progress token, as it was written.
    pub(super) progress_token: Option<String>,
    pub(super) wants_log: bool,
    tenant: Tenant,
    /// The number of the caller's connection.
    caller: u64,
    /// Cancelled once its response is no longer awaited. The server may continue.
    cancellation: CancellationToken,
    /// Cancelled once the server's response has come, or none will.
    pub(super) over: CancellationToken,
    state: Mutex<PendingCallState>,
}

#[derive(Debug, Default)]
struct PendingCallState {
    /// The id under which a client waits for the response, and that client.
    waiting: Option<(RequestId, Arc<dyn Client>)>,
    /// The unanswered questions of the server.
    questions: Vec<ServerQuestion>,
    question_count: u64,
    /// A response that arrived while no client waited for it.
    response: Option<Message>,
    /// While it is held, no other request is sent during which the server could ask back.
    turn: Option<OwnedSemaphorePermit>,
    is_sent: bool,
    /// True if it is still in progress but no longer awaited.
    is_given_up: bool,
}

/// A question of the server.
#[derive(Debug)]
struct ServerQuestion {
    /// The name under which the client answers it.
    name: String,
    /// The id of the server's request.
    id: RequestId,
    json: Value,
}

impl PendingCall {
    pub(super) fn new(
        request: &Message,
        params: &JsonMembers,
        context: &RequestContext,
    ) -> Arc<Self> {
        let own_meta = translation::meta_members(params);
        let waiting = request
            .id()
            .map(|id| (id.clone(), Arc::clone(&context.client)));
        Arc::new(Self {
            method: request.method().unwrap_or_default().to_owned(),
            progress_token: own_meta.get("progressToken").map(str::to_owned),
            wants_log: own_meta.get(meta::LOG_LEVEL).is_some(),
            tenant: context.caller.tenant.clone(),
            caller: context.caller.number,
            cancellation: context.cancellation.clone(),
            over: CancellationToken::new(),
            state: Mutex::new(PendingCallState {
                waiting,
                ..PendingCallState::default()
            }),
        })
    }

    /// Keeps the turn until the server's response has come.
    pub(super) fn keep_turn(&self, turn: OwnedSemaphorePermit) {
        self.state().turn = Some(turn);
    }

    /// Returns true if a question of the server now belongs to this call.
    pub(super) fn has_turn(&self) -> bool {
        self.state().turn.is_some()
    }

    /// Returns true if a request of this connection and id waits for the response.
    pub(super) fn is_awaited_as(&self, caller: u64, id: &RequestId) -> bool {
        let state = self.state();
        let awaited = state.waiting.as_ref().map(|(awaited, _)| awaited);
        self.caller == caller && awaited == Some(id)
    }

    /// Marks the call as sent. Returns false if it was cancelled before, and must not be sent.
    pub(super) fn mark_sent(&self) -> bool {
        let is_open = !self.is_over();
        self.state().is_sent = is_open;
        is_open
    }

    pub(super) fn is_sent(&self) -> bool {
        self.state().is_sent
    }

    /// Ends the call after its cancellation was sent: the server sends no response then. The layer
    /// below keeps a call whose cancellation token was cancelled, because its outcome is recorded.
    pub(super) fn cancel(&self) {
        if !self.cancellation.is_cancelled() {
            self.end();
        }
    }

    /// Ends a call to which no response will come.
    fn end(&self) {
        self.state().turn = None;
        self.over.cancel();
    }

    /// Lets other calls take the turn. The server may still process this one.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.turn = None;
        state.is_given_up = true;
    }

    /// Returns true if the server may still process it although no client waits for it.
    pub(super) fn is_given_up(&self) -> bool {
        !self.is_over() && self.state().is_given_up
    }

    /// Returns true once the server's response has come, or none will.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Adds a question of the server.
    pub(super) fn add_question(&self, request: &Message) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let params = request
            .body()
            .and_then(|params| serde_json::from_str::<Value>(params).ok());
        let json = match params {
            Some(params) => json!({ "method": request.method(), "params": params }),
            None => json!({ "method": request.method() }),
        };
        let mut state = self.state();
        state.question_count += 1;
        let name = format!("question-{}", state.question_count);
        state.questions.push(ServerQuestion { name, id, json });
    }

    /// Returns the response with all questions, and its client. `None` if no client waits, or there
    /// is no question.
    fn take_question_response(&self, request_state: &str) -> Option<(Message, Arc<dyn Client>)> {
        let mut state = self.state();
        if state.questions.is_empty() {
            return None;
        }
        let (id, client) = state.waiting.take()?;
        // A client may never answer, so other calls take the turn meanwhile.
        state.turn = None;
        let questions: Map<_, _> = state
            .questions
            .iter()
            .map(|question| (question.name.clone(), question.json.clone()))
            .collect();
        let result = json!({
            "resultType": "input_required",
            "inputRequests": questions,
            "requestState": request_state,
        });
        let response = Message::response(Some(&id), "result", &result.to_string());
        Some((response, client))
    }

    /// Removes the questions that have an answer, and returns the responses for the server.
    pub(super) fn take_answers(&self, answers: &JsonMembers) -> Vec<Message> {
        let mut responses = Vec::new();
        self.state()
            .questions
            .retain(|question| match answers.get(&question.name) {
                Some(answer) => {
                    responses.push(Message::response(Some(&question.id), "result", answer));
                    false
                }
                None => true,
            });
        responses
    }

    /// Removes all questions, and returns the error responses for the server.
    fn abandon_questions(&self) -> Vec<Message> {
        let error =
            json!({ "code": -32_603, "message": "the client did not answer in time" }).to_string();
        let questions = std::mem::take(&mut self.state().questions);
        questions
            .iter()
            .map(|question| Message::response(Some(&question.id), "error", &error))
            .collect()
    }

    /// Returns a response that has already arrived, or registers a client for it.
    fn take_response_or_wait(&self, id: &RequestId, client: &Arc<dyn Client>) -> Option<Message> {
        let mut state = self.state();
        let response = state.response.take();
        if response.is_none() {
            state.waiting = Some((id.clone(), Arc::clone(client)));
        }
        response.map(|response| response.with_id(id))
    }

    /// Translates the server's response, and returns it with its client. `None` if no client waits
    /// now: the response is kept for the client that repeats the call.
    fn finish(&self, response: &Message) -> Option<(Message, Arc<dyn Client>)> {
        let mut state = self.state();
        let response = translation::upgrade_response(&self.method, response);
        // The server has answered, so it asks nothing more for this call.
        state.turn = None;
        self.over.cancel();
        state.questions.clear();
        match state.waiting.take() {
            Some((id, client)) => Some((response.with_id(&id), client)),
            None => {
                state.response = Some(response);
                None
            }
        }
    }

    /// Returns the client that waits for the response now.
    pub(super) fn client(&self) -> Option<Arc<dyn Client>> {
        let state = self.state();
        let (_, client) = state.waiting.as_ref()?;
        Some(Arc::clone(client))
    }

    fn state(&self) -> MutexGuard<'_, PendingCallState> {
        self.state.lock()
    }
}

/// The client of one call, for the layer below.
#[derive(Debug)]
pub(super) struct PendingCallClient {
    pub(super) call: Arc<PendingCall>,
    /// The receiver of all messages except the response.
    pub(super) others: Arc<dyn Client>,
}

impl Drop for PendingCallClient {
    /// Ends the call, because the layer below drops the client of a request that it gives up.
    fn drop(&mut self) {
        self.call.end();
    }
}

#[async_trait]
impl Client for PendingCallClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if !message.is_response() {
            return self.others.deliver(message, confirmation).await;
        }
        let (response, client) = self.call.finish(&message).ok_or(Disconnected)?;
        client.deliver(response, confirmation).await
    }
}

/// The calls whose clients were asked, by the `requestState` that only these clients know.
#[derive(Debug, Default)]
pub(super) struct QuestionRegistry(Mutex<HashMap<String, (Arc<PendingCall>, Instant)>>);

/// The match between a repeated request and the open questions.
pub(super) enum QuestionMatch {
    /// The questions are no longer open, or belong to another client.
    Unknown,
    /// The request repeats this call.
    Call(Arc<PendingCall>),
}

impl QuestionRegistry {
    /// Sends the open questions of a call to its client.
    pub(super) async fn ask_client(&self, call: &Arc<PendingCall>) {
        let Some(state) = random_state() else { return };
        let Some((questions, client)) = call.take_question_response(&state) else {
            return;
        };
        let entry = (Arc::clone(call), Instant::now());
        self.open_calls().insert(state, entry);
        // A client that disconnects may answer over another connection.
        let _ = client.send(questions).await;
    }

    /// Removes and returns the call that a request of this caller repeats.
    pub(super) fn take_call(
        &self,
        request_state: &str,
        caller: &CallerIdentity,
        method: Option<&str>,
    ) -> QuestionMatch {
        let mut open = self.open_calls();
        let Some((call, _)) = open.get(request_state) else {
            return QuestionMatch::Unknown;
        };
        // Any connection of the tenant may answer, because a newer client has no session.
        if call.tenant != caller.tenant || Some(call.method.as_str()) != method {
            return QuestionMatch::Unknown;
        }
        let call = Arc::clone(call);
        open.remove(request_state);
        QuestionMatch::Call(call)
    }

    /// Lets a repeated request wait for the response of its call. The client gets the response at
    /// once if it has arrived, or the questions that are still open.
    pub(super) async fn resume_waiting(
        &self,
        call: &Arc<PendingCall>,
        id: &RequestId,
        client: &Arc<dyn Client>,
    ) {
        match call.take_response_or_wait(id, client) {
            Some(response) => {
                // A disconnected client reads nothing.
                let _ = client.send(response).await;
            }
            None => self.ask_client(call).await,
        }
    }

    /// Abandons questions that wait for too long or are too many. Returns the error responses for
    /// the server.
    pub(super) fn abandon_old_questions(&self) -> Vec<Message> {
        let mut open = self.open_calls();
        let mut by_age: Vec<_> = open
            .iter()
            .map(|(state, (_, since))| (*since, state.clone()))
            .collect();
        by_age.sort();
        let excess = by_age.len().saturating_sub(QUESTIONS_MAX);
        let mut errors = Vec::new();
        for (position, (since, state)) in by_age.iter().enumerate() {
            let is_old = position < excess || since.elapsed() > QUESTION_TIMEOUT;
            if is_old && let Some((call, _)) = open.remove(state) {
                errors.extend(call.abandon_questions());
            }
        }
        errors
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open_calls().is_empty()
    }

    fn open_calls(&self) -> MutexGuard<'_, HashMap<String, (Arc<PendingCall>, Instant)>> {
        self.0.lock()
    }
}

/// Returns 128 random bits as hexadecimal text, so that no other client can guess it.
fn random_state() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns true for a question of a server to its client.
pub(super) fn is_question(message: &Message) -> bool {
    let is_named = |(method, _): &(&str, &str)| message.method() == Some(*method);
    message.kind() == MessageKind::Request && translation::QUESTIONS.iter().any(is_named)
}
