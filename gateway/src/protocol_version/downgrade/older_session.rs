//! One connection to a server of the older era, on behalf of clients that know nothing of connections.

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
        probe::own_id,
        translation::{self, params},
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
const OPENS_WITHIN: Duration = Duration::from_secs(30);

/// The delay for further questions, so that simultaneous questions are asked together.
const FURTHER_QUESTIONS_WITHIN: Duration = Duration::from_millis(10);

/// A connection.
#[derive(Debug)]
pub(super) struct OlderSession {
    upstream: Arc<dyn Upstream>,
    hears: OlderSessionClient,
    /// The server's name and version, as it reports them.
    said: JsonMembers,
    capabilities: Value,
    /// For what this side itself sends.
    context: RequestContext,
    calls: Mutex<Vec<Arc<PendingCall>>>,
    held: QuestionRegistry,
    listeners: ChangeListeners,
    level: Mutex<Option<String>>,
    /// True if the clients can answer questions.
    asks_back: bool,
    /// One request at a time during which the server may ask back, where what it asks does not say for which.
    turns: Option<Arc<Semaphore>>,
}

impl OlderSession {
    /// Opens the connection as the client of a request would.
    pub(super) async fn open(
        upstream: Arc<dyn Upstream>,
        hears: &OlderSessionClient,
        own: &JsonMembers,
        context: &RequestContext,
    ) -> Result<Arc<Self>, ConnectError> {
        let asked_back = capabilities_to_ask(own);
        let asks_back = !asked_back.is_empty();
        let turns =
            (asks_back && !upstream.relates_questions()).then(|| Arc::new(Semaphore::new(1)));
        let client = own
            .get(meta::CLIENT_INFO)
            .and_then(|json| serde_json::from_str::<Value>(json).ok());
        let client = client
            .unwrap_or_else(|| json!({ "name": "semel", "version": env!("CARGO_PKG_VERSION") }));
        let params = json!({ "protocolVersion": version::V2025_11_25, "capabilities": asked_back, "clientInfo": client });
        let request = Message::request(
            &own_id("initialize"),
            method::INITIALIZE,
            &params.to_string(),
        );
        let context = context.without_client();
        let answered =
            tokio::time::timeout(OPENS_WITHIN, upstream.request(request, &context)).await;
        let response = answered.map_err(|_| ConnectError::Timeout)??;
        let said = response
            .body()
            .filter(|_| response.kind() == MessageKind::Result);
        let refused = || ConnectError::Refused(response.body().unwrap_or_default().to_owned());
        let said = said
            .and_then(|said| JsonMembers::read(said).ok())
            .ok_or_else(refused)?;
        let capabilities = said
            .get("capabilities")
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let older = Arc::new(Self {
            upstream,
            hears: hears.clone(),
            said,
            capabilities,
            context,
            calls: Mutex::default(),
            held: QuestionRegistry::default(),
            listeners: ChangeListeners::default(),
            level: Mutex::default(),
            asks_back,
            turns,
        });
        hears.attach(&older);
        Ok(older)
    }

    /// From now on the server may speak.
    pub(super) async fn begin(&self) {
        self.tell(Message::notification(method::INITIALIZED, "{}"))
            .await;
        self.upstream.listen(&self.context).await;
    }

    /// Takes in a request of a client.
    pub(super) async fn forward(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let params = params(&request);
        if request.asks(method::DISCOVER) {
            return set_member(context, self.discovered(request.id())).await;
        }
        if translation::is_older(&request) {
            return set_member(context, translation::unknown_method(&request)).await;
        }
        if request.asks(method::LISTEN) {
            return self.listen(&request, context).await;
        }
        match params.text("requestState") {
            Some(place) => self.answer(&request, &place, &params, context).await,
            None => self.send(request, params, context).await,
        }
    }

    async fn send(
        self: &Arc<Self>,
        request: Message,
        params: JsonMembers,
        context: &RequestContext,
    ) {
        let call = PendingCall::new(&request, &params, context);
        self.set_level(&translation::meta_members(&params)).await;
        let may_ask = translation::ASKING_BACK
            .iter()
            .any(|method| request.asks(method));
        let request = translation::downgrade_request(&request, params);
        let back = PendingCallClient {
            call: Arc::clone(&call),
            besides: Arc::new(self.hears.of(&call)),
        };
        let context = RequestContext {
            client: Arc::new(back),
            ..context.clone()
        };
        let Some(turns) = self.turns.clone().filter(|_| may_ask) else {
            call.send();
            self.add(call);
            return self.upstream.forward(request, &context).await;
        };
        self.add(Arc::clone(&call));
        let older = Arc::clone(self);
        tokio::spawn(async move {
            // Turns are never closed.
            let Ok(turn) = turns.acquire_owned().await else {
                return;
            };
            if !call.send() {
                return;
            }
            call.keep(turn);
            let cancellation = context.cancellation.clone();
            let over = call.over.clone();
            older.upstream.forward(request, &context).await;
            // This task holds no strong reference, so the request can end meanwhile.
            drop(context);
            tokio::select! {
                () = cancellation.cancelled() => {}
                () = over.cancelled() => {}
            }
            call.release();
        });
    }

    fn add(&self, call: Arc<PendingCall>) {
        let mut calls = self.calls();
        calls.retain(|call| !call.is_over());
        calls.push(call);
    }

    /// Has the server log from the level on that the request wants.
    async fn set_level(&self, own: &JsonMembers) {
        let Some(wanted) = own
            .text(meta::LOG_LEVEL)
            .filter(|_| self.capabilities.get("logging").is_some())
        else {
            return;
        };
        let is_new = {
            let mut level = self.level.lock();
            let is_new = level.as_ref() != Some(&wanted);
            *level = Some(wanted.clone());
            is_new
        };
        if is_new {
            let params = json!({ "level": wanted }).to_string();
            self.tell(Message::request(
                &own_id("level"),
                method::SET_LEVEL,
                &params,
            ))
            .await;
        }
    }

    /// A request that is repeated with answers to what the server has asked.
    async fn answer(
        self: &Arc<Self>,
        request: &Message,
        place: &str,
        params: &JsonMembers,
        context: &RequestContext,
    ) {
        let given = params.object("inputResponses").unwrap_or_default();
        match (
            self.held.answer(place, &context.caller, request.method()),
            request.id().cloned(),
        ) {
            (QuestionMatch::Belongs(call), Some(id)) => {
                let older = Arc::clone(self);
                let client = Arc::clone(&context.client);
                tokio::spawn(async move { older.go_on(&call, &given, &id, &client).await });
            }
            (_, id) => {
                let what = "what was asked is no longer open. Whether the request it belongs to took effect is told by whoever \
                            recorded it: make the same request again without `requestState` and `inputResponses`";
                set_member(
                    context,
                    ProtocolError::new(ErrorCode::InvalidParams, what).response(id.as_ref()),
                )
                .await;
            }
        }
    }

    /// Gives the server its answers, in the request's turn, because it may ask again.
    async fn go_on(
        &self,
        call: &Arc<PendingCall>,
        given: &JsonMembers,
        id: &RequestId,
        client: &Arc<dyn Client>,
    ) {
        if let Some(turns) = self.turns.clone()
            && let Ok(turn) = turns.acquire_owned().await
            && !call.is_over()
        {
            call.keep(turn);
        }
        for answer in call.answers(given) {
            self.tell(answer).await;
        }
        self.held.wait(call, id, client).await;
    }

    async fn listen(self: &Arc<Self>, request: &Message, context: &RequestContext) {
        let Some((listener, first)) = ChangeListener::of(request, context, &self.capabilities)
        else {
            return;
        };
        set_member(context, first).await;
        for uri in self.listeners.add(&listener) {
            self.subscribe(method::RESOURCES_SUBSCRIBE, &uri).await;
        }
        let older = Arc::clone(self);
        let cancellation = context.cancellation.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancellation.cancelled() => {}
                () = listener.ended.cancelled() => {}
            }
            for uri in older.listeners.remove(&listener) {
                older.subscribe(method::RESOURCES_UNSUBSCRIBE, &uri).await;
            }
        });
    }

    async fn subscribe(&self, method: &str, uri: &str) {
        let params = json!({ "uri": uri }).to_string();
        self.tell(Message::request(&own_id("resource"), method, &params))
            .await;
    }

    /// Takes in what cancels a request.
    pub(super) async fn cancel(&self, message: &Message, context: &RequestContext) {
        let id = params(message).get("requestId").and_then(RequestId::read);
        if let Some(id) = &id {
            self.listeners.end(context.caller.number, id);
        }
        let awaited = |call: &&Arc<PendingCall>| {
            id.as_ref()
                .is_some_and(|id| call.is_awaited_as(context.caller.number, id))
        };
        let call = self.calls().iter().find(awaited).cloned();
        if call.as_ref().is_none_or(|call| call.is_sent()) {
            self.upstream.forward(message.clone(), context).await;
        }
        call.inspect(|call| call.cancelled());
    }

    /// Takes in what the server says besides responses, on the way of a request or not.
    pub(super) async fn receive(
        self: &Arc<Self>,
        message: Message,
        call: Option<&Arc<PendingCall>>,
    ) {
        match message.kind() {
            MessageKind::Request => self.asked(&message, call).await,
            MessageKind::Notification => {
                let reader = call.cloned().or_else(|| self.reader(&message));
                let is_for_one = matches!(message.method(), Some(method::PROGRESS | method::LOG));
                match reader.filter(|_| is_for_one).and_then(|call| call.client()) {
                    Some(client) => client.send(message).await.unwrap_or_default(),
                    None => self.listeners.tell(&message).await,
                }
            }
            // It answers what this side itself has asked.
            MessageKind::Result | MessageKind::Error => {}
        }
    }

    /// For which request a notification is meant.
    fn reader(&self, message: &Message) -> Option<Arc<PendingCall>> {
        let calls = self.calls();
        let open = calls
            .iter()
            .filter(|call| call.is_sent() && !call.is_over());
        if message.method() == Some(method::PROGRESS) {
            let token = params(message).get("progressToken").map(str::to_owned)?;
            return open
                .clone()
                .find(|call| call.token.as_ref() == Some(&token))
                .cloned();
        }
        let mut wanting = open.filter(|call| call.wants_log);
        wanting.next().filter(|_| wanting.next().is_none()).cloned()
    }

    /// During which request the server asks; none: that cannot be known.
    fn asking(&self) -> Option<Arc<PendingCall>> {
        let calls = self.calls();
        if self.turns.is_none() {
            // A question without a request belongs to the only request that it can belong to.
            let may_ask =
                |call: &&Arc<PendingCall>| translation::ASKING_BACK.contains(&call.method.as_str());
            let mut open = calls
                .iter()
                .filter(|call| call.is_sent() && !call.is_over())
                .filter(may_ask);
            return open.next().filter(|_| open.next().is_none()).cloned();
        }
        let is_known = !calls.iter().any(|call| call.is_given_up());
        calls
            .iter()
            .find(|call| is_known && call.has_turn())
            .cloned()
    }

    /// Asks the client of the request under way what the server asks.
    async fn asked(self: &Arc<Self>, request: &Message, call: Option<&Arc<PendingCall>>) {
        for given_up in self.held.abandon_old_questions() {
            self.tell(given_up).await;
        }
        if request.asks(method::PING) {
            return self
                .tell(Message::response(request.id(), "result", "{}"))
                .await;
        }
        let call = call.cloned().or_else(|| self.asking());
        let Some(call) = call.filter(|_| is_question(request) && self.asks_back) else {
            return self.tell(translation::unknown_method(request)).await;
        };
        call.ask(request);
        let older = Arc::clone(self);
        tokio::spawn(async move {
            sleep(FURTHER_QUESTIONS_WITHIN).await;
            older.held.ask(&call).await;
        });
    }

    /// Returns the server's answer to `server/discover`.
    fn discovered(&self, id: Option<&RequestId>) -> Message {
        let mut result = JsonMembers::default();
        translation::set_member(&mut result, "resultType", &"complete");
        translation::set_member(&mut result, "supportedVersions", &[version::V2026_07_28]);
        for name in ["capabilities", "instructions"] {
            let value = self.said.get(name).and_then(translation::raw_json);
            if let Some(value) = value {
                translation::set_member(&mut result, name, &value);
            }
        }
        translation::set_member(&mut result, "ttlMs", &0);
        translation::set_member(&mut result, "cacheScope", &"private");
        let mut own = JsonMembers::default();
        let server = self.said.get("serverInfo").and_then(translation::raw_json);
        if let Some(server) = server {
            translation::set_member(&mut own, meta::SERVER_INFO, &server);
        }
        translation::set_member(&mut result, "_meta", &own);
        Message::response(id, "result", &translation::text(&result))
    }

    /// Returns whether a client waits for a response.
    pub(super) fn is_busy(&self) -> bool {
        self.calls().iter().any(|call| !call.is_over())
            || !self.held.is_empty()
            || !self.listeners.is_empty()
    }

    /// Sends a message of the gateway's own. Responses to it are dropped.
    async fn tell(&self, message: Message) {
        self.upstream.forward(message, &self.context).await;
    }

    pub(super) async fn close(&self) {
        self.upstream.close().await;
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Arc<PendingCall>>> {
        self.calls.lock()
    }
}

/// Returns the capabilities for questions, as both groups of versions declare them.
fn capabilities_to_ask(own: &JsonMembers) -> Map<String, Value> {
    let all = own.object(meta::CLIENT_CAPABILITIES).unwrap_or_default();
    let one = |name: &str| Some((name.to_owned(), serde_json::from_str(all.get(name)?).ok()?));
    translation::ASKED_BACK
        .iter()
        .filter_map(|(_, name)| one(name))
        .collect()
}

/// A client that has gone reads nothing.
async fn set_member(context: &RequestContext, message: Message) {
    // A disconnected client reads nothing.
    let _ = context.client.send(message).await;
}
