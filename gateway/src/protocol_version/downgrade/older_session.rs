//! One session with an older server, on behalf of newer clients, which know no sessions.

use super::{
    change_listeners::{ChangeListener, ChangeListeners},
    session_client::OlderSessionClient,
};
use crate::{
    layer::{Client, ConnectError, RequestContext, Upstream},
    protocol_version::{
        pending_call::{
            PendingCall, PendingCallClient, QuestionMatch, QuestionRegistry, is_question,
        },
        probe::new_request_id,
        translation::{self, raw_json, set_member},
    },
    wire::{
        ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, RequestId, meta, method,
        version,
    },
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::sleep};

/// The time that a server may take to open a session.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The delay for further questions, so that simultaneous questions are asked together.
const FURTHER_QUESTIONS_DELAY: Duration = Duration::from_millis(10);

/// A session.
#[derive(Debug)]
pub(super) struct OlderSession {
    upstream: Arc<dyn Upstream>,
    client: OlderSessionClient,
    /// The server's result of `initialize`.
    initialize_result: JsonMembers,
    capabilities: Value,
    /// The context of the gateway's own messages.
    context: RequestContext,
    calls: Mutex<Vec<Arc<PendingCall>>>,
    questions: QuestionRegistry,
    listeners: ChangeListeners,
    log_level: Mutex<Option<String>>,
    /// True if the clients can answer questions.
    can_answer: bool,
    /// Requests during which the server may ask back take turns, so that a question belongs to the
    /// one request in progress. `None` if the transport relates questions to requests.
    turns: Option<Arc<Semaphore>>,
}

impl OlderSession {
    /// Opens the session with the capabilities in a request's metadata.
    pub(super) async fn open(
        upstream: Arc<dyn Upstream>,
        client: &OlderSessionClient,
        own_meta: &JsonMembers,
        context: &RequestContext,
    ) -> Result<Arc<Self>, ConnectError> {
        let answerable = question_capabilities(own_meta);
        let can_answer = !answerable.is_empty();
        let needs_turns = can_answer && !upstream.relates_questions();
        let context = context.without_client();
        let request = initialize_request(own_meta, answerable);
        let response = tokio::time::timeout(OPEN_TIMEOUT, upstream.request(request, &context));
        let response = response.await.map_err(|_| ConnectError::Timeout)??;
        let result = response
            .result()
            .and_then(|json| JsonMembers::read(json).ok());
        let Some(initialize_result) = result else {
            let body = response.body().unwrap_or_default().to_owned();
            return Err(ConnectError::Refused(body));
        };
        let capabilities = initialize_result
            .get("capabilities")
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let session = Arc::new(Self {
            upstream,
            client: client.clone(),
            initialize_result,
            capabilities,
            context,
            calls: Mutex::default(),
            questions: QuestionRegistry::default(),
            listeners: ChangeListeners::default(),
            log_level: Mutex::default(),
            can_answer,
            turns: needs_turns.then(|| Arc::new(Semaphore::new(1))),
        });
        client.attach(&session);
        Ok(session)
    }

    /// Reports to the server that it may send messages of its own.
    pub(super) async fn start(&self) {
        self.send_own(Message::notification(method::INITIALIZED, "{}"))
            .await;
        self.upstream.listen(&self.context).await;
    }

    /// Translates and forwards a request of a newer client, or answers it.
    pub(super) async fn forward(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let params = request.members();
        if request.asks(method::DISCOVER) {
            return respond(context, self.discover_response(request.id())).await;
        }
        if translation::is_older(&request) {
            return respond(context, translation::unknown_method(&request)).await;
        }
        if request.asks(method::LISTEN) {
            return self.add_listener(&request, context).await;
        }
        match params.text("requestState") {
            Some(state) => {
                self.answer_questions(&request, &state, &params, context)
                    .await;
            }
            None => self.send_call(request, params, context).await,
        }
    }

    async fn send_call(
        self: &Arc<Self>,
        request: Message,
        params: JsonMembers,
        context: &RequestContext,
    ) {
        let call = PendingCall::new(&request, &params, context);
        self.set_log_level(&translation::meta_members(&params))
            .await;
        let may_ask = translation::ASKING_REQUESTS
            .iter()
            .any(|method| request.asks(method));
        let request = translation::downgrade_request(&request, params);
        let client = PendingCallClient {
            call: Arc::clone(&call),
            others: Arc::new(self.client.for_call(&call)),
        };
        let context = RequestContext {
            client: Arc::new(client),
            ..context.clone()
        };
        match &self.turns {
            Some(turns) if may_ask => {
                self.add_call(Arc::clone(&call));
                self.spawn_in_turn(Arc::clone(turns), call, request, context);
            }
            _ => {
                call.mark_sent();
                self.add_call(call);
                self.upstream.forward(request, &context).await;
            }
        }
    }

    /// Sends a call once it has the turn, and keeps the turn until the call ends or is cancelled.
    fn spawn_in_turn(
        self: &Arc<Self>,
        turns: Arc<Semaphore>,
        call: Arc<PendingCall>,
        request: Message,
        context: RequestContext,
    ) {
        let session = Arc::clone(self);
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(turn) = turns.acquire_owned().await else {
                return;
            };
            if !call.mark_sent() {
                return;
            }
            call.keep_turn(turn);
            let cancellation = context.cancellation.clone();
            let over = call.over.clone();
            session.upstream.forward(request, &context).await;
            // The context holds the client whose drop ends the call, so this task must not keep it.
            drop(context);
            tokio::select! {
                () = cancellation.cancelled() => {}
                () = over.cancelled() => {}
            }
            call.give_up();
        });
    }

    fn add_call(&self, call: Arc<PendingCall>) {
        let mut calls = self.calls();
        calls.retain(|call| !call.is_over());
        calls.push(call);
    }

    /// Sets the server's log level to that in a request's metadata, if it is another one.
    async fn set_log_level(&self, own_meta: &JsonMembers) {
        if self.capabilities.get("logging").is_none() {
            return;
        }
        let Some(wanted) = own_meta.text(meta::LOG_LEVEL) else {
            return;
        };
        let is_new = {
            let mut level = self.log_level.lock();
            let is_new = level.as_ref() != Some(&wanted);
            *level = Some(wanted.clone());
            is_new
        };
        if is_new {
            let params = json!({ "level": wanted }).to_string();
            let id = new_request_id("level");
            self.send_own(Message::request(&id, method::SET_LEVEL, &params))
                .await;
        }
    }

    /// Takes a repeated request with answers to the server's questions.
    async fn answer_questions(
        self: &Arc<Self>,
        request: &Message,
        state: &str,
        params: &JsonMembers,
        context: &RequestContext,
    ) {
        let answers = params.object("inputResponses").unwrap_or_default();
        let found = self
            .questions
            .take_call(state, &context.caller, request.method());
        match (found, request.id().cloned()) {
            (QuestionMatch::Call(call), Some(id)) => {
                let session = Arc::clone(self);
                let client = Arc::clone(&context.client);
                tokio::spawn(async move {
                    session.resume_call(&call, &answers, &id, &client).await;
                });
            }
            (_, id) => {
                let message = "the server's questions are no longer open, and the request may have had an effect: \
                               repeat it without `requestState` and `inputResponses` to get its recorded outcome";
                let error = ProtocolError::new(ErrorCode::InvalidParams, message);
                respond(context, error.response(id.as_ref())).await;
            }
        }
    }

    /// Sends the client's answers to the server, once the call has the turn: the server may ask
    /// again.
    async fn resume_call(
        &self,
        call: &Arc<PendingCall>,
        answers: &JsonMembers,
        id: &RequestId,
        client: &Arc<dyn Client>,
    ) {
        if let Some(turns) = self.turns.clone()
            && let Ok(turn) = turns.acquire_owned().await
            && !call.is_over()
        {
            call.keep_turn(turn);
        }
        for answer in call.take_answers(answers) {
            self.send_own(answer).await;
        }
        self.questions.resume_waiting(call, id, client).await;
    }

    async fn add_listener(self: &Arc<Self>, request: &Message, context: &RequestContext) {
        let listener = ChangeListener::from_request(request, context, &self.capabilities);
        let Some((listener, acknowledgement)) = listener else {
            return;
        };
        // First the acknowledgement: 2026-07-28 lets no notification come before it.
        respond(context, acknowledgement).await;
        for uri in self.listeners.add(&listener) {
            self.send_subscription(method::RESOURCES_SUBSCRIBE, &uri)
                .await;
        }
        let session = Arc::clone(self);
        let cancellation = context.cancellation.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancellation.cancelled() => {}
                () = listener.ended.cancelled() => {}
            }
            for uri in session.listeners.remove(&listener) {
                session
                    .send_subscription(method::RESOURCES_UNSUBSCRIBE, &uri)
                    .await;
            }
        });
    }

    async fn send_subscription(&self, method: &str, uri: &str) {
        let params = json!({ "uri": uri }).to_string();
        self.send_own(Message::request(
            &new_request_id("resource"),
            method,
            &params,
        ))
        .await;
    }

    /// Forwards the cancellation of a request, and ends the subscription or call that it names.
    pub(super) async fn cancel_request(&self, message: &Message, context: &RequestContext) {
        let caller = context.caller.number;
        let id = message.members().get("requestId").and_then(RequestId::read);
        let mut call = None;
        if let Some(id) = &id {
            self.listeners.end(caller, id);
            call = self
                .calls()
                .iter()
                .find(|call| call.is_awaited_as(caller, id))
                .cloned();
        }
        // The server does not know a call that still waits for its turn.
        if call.as_ref().is_none_or(|call| call.is_sent()) {
            self.upstream.forward(message.clone(), context).await;
        }
        if let Some(call) = call {
            call.cancel();
        }
    }

    /// Handles a message of the server, except responses. `call` is known if the message came on
    /// that call's stream.
    pub(super) async fn receive(
        self: &Arc<Self>,
        message: Message,
        call: Option<&Arc<PendingCall>>,
    ) {
        match message.kind() {
            MessageKind::Request => self.ask_client(&message, call).await,
            MessageKind::Notification => self.forward_notification(message, call).await,
            // A response to a message of the gateway's own.
            MessageKind::Result | MessageKind::Error => {}
        }
    }

    async fn forward_notification(&self, message: Message, call: Option<&Arc<PendingCall>>) {
        let is_for_one_call = matches!(message.method(), Some(method::PROGRESS | method::LOG));
        if is_for_one_call {
            let call = call.cloned().or_else(|| self.notified_call(&message));
            if let Some(client) = call.and_then(|call| call.client()) {
                // A disconnected client reads nothing.
                let _ = client.send(message).await;
                return;
            }
        }
        self.listeners.notify(&message).await;
    }

    /// Returns the call that a notification without a stream belongs to, if that is certain.
    fn notified_call(&self, message: &Message) -> Option<Arc<PendingCall>> {
        let calls = self.calls();
        let mut open = calls
            .iter()
            .filter(|call| call.is_sent() && !call.is_over());
        if message.method() == Some(method::PROGRESS) {
            let token = message.members().get("progressToken").map(str::to_owned)?;
            return open
                .find(|call| call.progress_token.as_ref() == Some(&token))
                .cloned();
        }
        only_one(open.filter(|call| call.wants_log))
    }

    /// Returns the call during which the server asks, if that is certain.
    fn asking_call(&self) -> Option<Arc<PendingCall>> {
        let calls = self.calls();
        if self.turns.is_none() {
            // A question without a request belongs to the only request that it can belong to.
            let may_ask = |call: &&Arc<PendingCall>| {
                call.is_sent()
                    && !call.is_over()
                    && translation::ASKING_REQUESTS.contains(&call.method.as_str())
            };
            return only_one(calls.iter().filter(may_ask));
        }
        // The server may still be asking for a call that was given up.
        if calls.iter().any(|call| call.is_given_up()) {
            return None;
        }
        calls.iter().find(|call| call.has_turn()).cloned()
    }

    /// Passes a question of the server to the client of the call that it belongs to.
    async fn ask_client(self: &Arc<Self>, request: &Message, call: Option<&Arc<PendingCall>>) {
        for error in self.questions.abandon_old_questions() {
            self.send_own(error).await;
        }
        if request.asks(method::PING) {
            return self
                .send_own(Message::response(request.id(), "result", "{}"))
                .await;
        }
        let call = call.cloned().or_else(|| self.asking_call());
        let Some(call) = call else {
            return self.send_own(translation::unknown_method(request)).await;
        };
        if !is_question(request) || !self.can_answer {
            return self.send_own(translation::unknown_method(request)).await;
        }
        call.add_question(request);
        // Questions that come together are put to the client in one response.
        let session = Arc::clone(self);
        tokio::spawn(async move {
            sleep(FURTHER_QUESTIONS_DELAY).await;
            session.questions.ask_client(&call).await;
        });
    }

    /// Returns the server's answer to `server/discover`, from its `initialize`.
    fn discover_response(&self, id: Option<&RequestId>) -> Message {
        let mut result = JsonMembers::default();
        set_member(&mut result, "resultType", &"complete");
        set_member(&mut result, "supportedVersions", &[version::V2026_07_28]);
        for name in ["capabilities", "instructions"] {
            if let Some(value) = self.initialize_result.get(name).and_then(raw_json) {
                set_member(&mut result, name, &value);
            }
        }
        set_member(&mut result, "ttlMs", &0);
        set_member(&mut result, "cacheScope", &"private");
        let mut own_meta = JsonMembers::default();
        let server = self.initialize_result.get("serverInfo").and_then(raw_json);
        if let Some(server) = server {
            set_member(&mut own_meta, meta::SERVER_INFO, &server);
        }
        set_member(&mut result, "_meta", &own_meta);
        Message::response(id, "result", &translation::to_text(&result))
    }

    /// Returns true while a call, a question or a subscription is open.
    pub(super) fn is_busy(&self) -> bool {
        self.calls().iter().any(|call| !call.is_over())
            || !self.questions.is_empty()
            || !self.listeners.is_empty()
    }

    /// Sends a message of the gateway's own. A response to it is dropped.
    async fn send_own(&self, message: Message) {
        self.upstream.forward(message, &self.context).await;
    }

    pub(super) async fn close(&self) {
        self.upstream.close().await;
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Arc<PendingCall>>> {
        self.calls.lock()
    }
}

fn initialize_request(own_meta: &JsonMembers, capabilities: Map<String, Value>) -> Message {
    let client: Option<Value> = own_meta
        .get(meta::CLIENT_INFO)
        .and_then(|json| serde_json::from_str(json).ok());
    let params = json!({
        "protocolVersion": version::V2025_11_25,
        "capabilities": capabilities,
        "clientInfo": client.unwrap_or_else(
            || json!({ "name": "semel", "version": env!("CARGO_PKG_VERSION") })
        ),
    });
    Message::request(
        &new_request_id("initialize"),
        method::INITIALIZE,
        &params.to_string(),
    )
}

/// Returns the client's capabilities to answer questions. Both groups of versions write them alike.
fn question_capabilities(own_meta: &JsonMembers) -> Map<String, Value> {
    let all = own_meta
        .object(meta::CLIENT_CAPABILITIES)
        .unwrap_or_default();
    let read = |name: &str| serde_json::from_str(all.get(name)?).ok();
    translation::QUESTIONS
        .iter()
        .filter_map(|(_, name)| Some(((*name).to_owned(), read(name)?)))
        .collect()
}

/// Returns the call of an iterator that has only one.
fn only_one<'c>(mut calls: impl Iterator<Item = &'c Arc<PendingCall>>) -> Option<Arc<PendingCall>> {
    let first = calls.next()?;
    calls.next().is_none().then(|| Arc::clone(first))
}

async fn respond(context: &RequestContext, message: Message) {
    // A disconnected client reads nothing.
    let _ = context.client.send(message).await;
}
