//! Requests of a newer client that a server of the older era has not answered yet, and what it asks back meanwhile.
//!
//! What the server asks becomes the answer of the request; its client answers by repeating the request, which then waits for the
//! server's own response under its new id.

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

/// The time that a question waits for its answer.
const QUESTION_MAX: Duration = Duration::from_secs(10 * 60);

/// The most questions that wait at once.
const QUESTIONS_MAX: usize = 1_000;

/// A request that the server has not answered.
#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) method: String,
    /// The progress token, as it was written.
    pub(super) token: Option<String>,
    pub(super) wants_log: bool,
    tenant: Tenant,
    /// The number of the caller's connection.
    caller: u64,
    /// Cancelled once its response is no longer awaited, though its server may continue.
    cancellation: CancellationToken,
    /// Cancelled once the server's response has come, or none will.
    pub(super) over: CancellationToken,
    state: Mutex<PendingCallState>,
}

#[derive(Debug, Default)]
struct PendingCallState {
    /// The id under which the response is awaited, and its client.
    waits: Option<(RequestId, Arc<dyn Client>)>,
    /// The unanswered questions of the server: a name, the id of its request, and the question itself.
    asked: Vec<(String, RequestId, Value)>,
    names: u64,
    /// A response that arrived while no client waited for it.
    response: Option<Message>,
    /// Has other requests wait during which the server could ask back.
    turn: Option<OwnedSemaphorePermit>,
    /// True once it is on its way to the server.
    is_sent: bool,
    /// True if it is still in progress but no longer awaited.
    is_given_up: bool,
}

impl PendingCall {
    pub(super) fn new(
        request: &Message,
        params: &JsonMembers,
        context: &RequestContext,
    ) -> Arc<Self> {
        let own = translation::meta_members(params);
        let waits = request
            .id()
            .cloned()
            .map(|id| (id, Arc::clone(&context.client)));
        Arc::new(Self {
            method: request.method().unwrap_or_default().to_owned(),
            token: own.get("progressToken").map(str::to_owned),
            wants_log: own.get(meta::LOG_LEVEL).is_some(),
            tenant: context.caller.tenant.clone(),
            caller: context.caller.number,
            cancellation: context.cancellation.clone(),
            over: CancellationToken::new(),
            state: Mutex::new(PendingCallState {
                waits,
                ..PendingCallState::default()
            }),
        })
    }

    /// Keeps the turn until the server's response has come.
    pub(super) fn keep(&self, turn: OwnedSemaphorePermit) {
        self.state().turn = Some(turn);
    }

    /// Returns whether a question of the server now belongs to this request.
    pub(super) fn has_turn(&self) -> bool {
        self.state().turn.is_some()
    }

    /// Returns whether the request of this connection and id waits for the response.
    pub(super) fn is_awaited_as(&self, caller: u64, id: &RequestId) -> bool {
        self.caller == caller
            && self
                .state()
                .waits
                .as_ref()
                .is_some_and(|(awaited, _)| awaited == id)
    }

    /// From now on it is on its way; not if it was cancelled before.
    pub(super) fn send(&self) -> bool {
        let goes = !self.is_over();
        self.state().is_sent = goes;
        goes
    }

    /// Returns whether it is on its way to the server.
    pub(super) fn is_sent(&self) -> bool {
        self.state().is_sent
    }

    /// The server was told that nobody waits, unless what is on its way there must come to its end: it sends no response.
    pub(super) fn cancelled(&self) {
        if !self.cancellation.is_cancelled() {
            self.end();
        }
    }

    /// No response will come.
    fn end(&self) {
        self.state().turn = None;
        self.over.cancel();
    }

    /// Nobody waits for it any longer: others go on, though the server may still be at it.
    pub(super) fn release(&self) {
        let mut state = self.state();
        (state.turn, state.is_given_up) = (None, true);
    }

    /// Returns whether the server may still process it although no client waits for it.
    pub(super) fn is_given_up(&self) -> bool {
        !self.is_over() && self.state().is_given_up
    }

    /// Returns whether the server's response has arrived.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Remembers a question of the server.
    pub(super) fn ask(&self, request: &Message) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let params = request
            .body()
            .and_then(|params| serde_json::from_str::<Value>(params).ok());
        let mut state = self.state();
        state.names += 1;
        let name = format!("question-{}", state.names);
        let question = match params {
            Some(params) => json!({ "method": request.method(), "params": params }),
            None => json!({ "method": request.method() }),
        };
        state.asked.push((name, id, question));
    }

    /// Returns the questions as the request's answer, and its client. `None` if no client waits, or there is no
    /// question.
    fn questions(&self, place: &str) -> Option<(Message, Arc<dyn Client>)> {
        let mut state = self.state();
        if state.asked.is_empty() {
            return None;
        }
        let (id, client) = state.waits.take()?;
        // A client may never answer, and other requests continue meanwhile.
        state.turn = None;
        let asked: Map<_, _> = state
            .asked
            .iter()
            .map(|(name, _, question)| (name.clone(), question.clone()))
            .collect();
        let result = json!({ "resultType": "input_required", "inputRequests": asked, "requestState": place });
        Some((
            Message::response(Some(&id), "result", &result.to_string()),
            client,
        ))
    }

    /// Takes the answers to questions: what to send to the server.
    pub(super) fn answers(&self, given: &JsonMembers) -> Vec<Message> {
        let mut state = self.state();
        let mut answers = Vec::new();
        state.asked.retain(|(name, id, _)| match given.get(name) {
            Some(answer) => {
                answers.push(Message::response(Some(id), "result", answer));
                false
            }
            None => true,
        });
        answers
    }

    /// Gives all questions up: what to send to the server.
    fn abandon_questions(&self) -> Vec<Message> {
        let error =
            json!({ "code": -32_603, "message": "the client did not answer in time" }).to_string();
        let asked = std::mem::take(&mut self.state().asked);
        asked
            .iter()
            .map(|(_, id, _)| Message::response(Some(id), "error", &error))
            .collect()
    }

    /// Registers a client for the response, or returns a response that has already arrived.
    fn wait(&self, id: &RequestId, client: &Arc<dyn Client>) -> Option<Message> {
        let mut state = self.state();
        match state.response.take() {
            Some(response) => Some(response.with_id(id)),
            None => {
                state.waits = Some((id.clone(), Arc::clone(client)));
                None
            }
        }
    }

    /// Translates the server's response and returns it with its client. `None` if no client waits now.
    fn respond(&self, response: &Message) -> Option<(Message, Arc<dyn Client>)> {
        let mut state = self.state();
        let response = translation::upgrade_response(&self.method, response);
        state.turn = None;
        self.over.cancel();
        state.asked.clear();
        match state.waits.take() {
            Some((id, client)) => Some((response.with_id(&id), client)),
            None => {
                state.response = Some(response);
                None
            }
        }
    }

    /// Returns the client that waits for the response now.
    pub(super) fn client(&self) -> Option<Arc<dyn Client>> {
        self.state()
            .waits
            .as_ref()
            .map(|(_, client)| Arc::clone(client))
    }

    fn state(&self) -> MutexGuard<'_, PendingCallState> {
        self.state.lock()
    }
}

/// The client of one request, as the server sees it. Messages that are no response go to the connection's client.
#[derive(Debug)]
pub(super) struct PendingCallClient {
    pub(super) call: Arc<PendingCall>,
    pub(super) besides: Arc<dyn Client>,
}

impl Drop for PendingCallClient {
    /// An abandoned request gets no response from the layer below: its turn ends all the same.
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
            return self.besides.deliver(message, confirmation).await;
        }
        let (response, client) = self.call.respond(&message).ok_or(Disconnected)?;
        client.deliver(response, confirmation).await
    }
}

/// The requests whose clients are asked something, by the places that only these clients know.
#[derive(Debug, Default)]
pub(super) struct QuestionRegistry(Mutex<HashMap<String, (Arc<PendingCall>, Instant)>>);

/// The match between a repeated request and the open questions.
pub(super) enum QuestionMatch {
    /// The questions are no longer open, or belong to another client.
    Unknown,
    /// It belongs to this one.
    Belongs(Arc<PendingCall>),
}

impl QuestionRegistry {
    /// Asks the client of the call what its server has asked.
    pub(super) async fn ask(&self, call: &Arc<PendingCall>) {
        let Some(place) = random_place() else { return };
        let Some((questions, client)) = call.questions(&place) else {
            return;
        };
        self.open()
            .insert(place, (Arc::clone(call), Instant::now()));
        // A client that has gone may come back with its answer.
        let _ = client.send(questions).await;
    }

    /// Finds what a repeated request answers.
    pub(super) fn answer(
        &self,
        place: &str,
        caller: &CallerIdentity,
        method: Option<&str>,
    ) -> QuestionMatch {
        let mut open = self.open();
        let fits = |call: &PendingCall| {
            call.tenant == caller.tenant && Some(call.method.as_str()) == method
        };
        if !open.get(place).is_some_and(|(call, _)| fits(call)) {
            return QuestionMatch::Unknown;
        }
        open.remove(place)
            .map_or(QuestionMatch::Unknown, |(call, _)| {
                QuestionMatch::Belongs(call)
            })
    }

    /// Has the repeated request wait for the response; asks what was left open; or answers at once.
    pub(super) async fn wait(
        &self,
        call: &Arc<PendingCall>,
        id: &RequestId,
        client: &Arc<dyn Client>,
    ) {
        match call.wait(id, client) {
            Some(response) => client.send(response).await.unwrap_or_default(),
            None => self.ask(call).await,
        }
    }

    /// Gives up what waits for too long, or is too much: what to send to servers.
    pub(super) fn abandon_old_questions(&self) -> Vec<Message> {
        let mut open = self.open();
        let mut old: Vec<_> = open
            .iter()
            .map(|(place, (_, since))| (*since, place.clone()))
            .collect();
        old.sort();
        let too_many = old.len().saturating_sub(QUESTIONS_MAX);
        let is_old = |at: usize, since: &Instant| at < too_many || since.elapsed() > QUESTION_MAX;
        let goes = old
            .iter()
            .enumerate()
            .filter(|(at, (since, _))| is_old(*at, since));
        let gone: Vec<_> = goes
            .filter_map(|(_, (_, place))| open.remove(place))
            .collect();
        gone.iter()
            .flat_map(|(call, _)| call.abandon_questions())
            .collect()
    }

    /// Returns whether there is no open question.
    pub(super) fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, (Arc<PendingCall>, Instant)>> {
        self.0.lock()
    }
}

/// 128 random bits: a client that does not know them cannot answer in another's place.
fn random_place() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns whether the message is a question to a client.
pub(super) fn is_question(message: &Message) -> bool {
    let asks = |(method, _): &(&str, &str)| message.method() == Some(*method);
    message.kind() == MessageKind::Request && translation::ASKED_BACK.iter().any(asks)
}
