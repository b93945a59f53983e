//! Clients of the older era before servers of the newer one.
//!
//! What a client says once when it opens its connection is said with each request. What the server asks by its answer the client
//! is asked by a request, and then the same request goes again with the answers: to the layers above, it is one.

mod task;

use super::{
    pending_call::is_question,
    probe::{self, DiscoverResult, ProbeResult, own_id},
    translation::{self, params, raw_json, set_member, text},
};
use crate::{
    layer::{Client, Confirmation, Disconnected, NoResponse, RequestContext, Upstream},
    wire::{
        ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, RequestId, meta, method,
        version,
    },
};
use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The most rounds of questions during one request.
const ROUNDS_MAX: usize = 32;

/// The time that a client may take to answer a question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10 * 60);

/// A server for clients of whichever era.
#[derive(Debug)]
pub struct UpgradeLayer(Arc<UpgradedConnection>);

#[derive(Debug)]
struct UpgradedConnection {
    below: Arc<dyn Upstream>,
    /// The client for messages that belong to no request.
    client: Arc<ChangesClient>,
    state: Mutex<UpgradeState>,
}

#[derive(Debug, Default)]
struct UpgradeState {
    /// The metadata of each request, or `None` if client and server speak the same versions.
    said: Option<JsonMembers>,
    /// The client's capabilities.
    capabilities: Value,
    /// The resources of which the client wants to hear.
    resources: BTreeSet<String>,
    /// Ends the request that hears what changes.
    listening: Option<CancellationToken>,
    /// The receivers of the client's answers.
    asked: HashMap<RequestId, oneshot::Sender<Message>>,
}

impl UpgradeLayer {
    /// The client as the connection is to see it.
    #[must_use]
    pub fn watch_changes(client: Arc<dyn Client>) -> Arc<ChangesClient> {
        Arc::new(ChangesClient {
            client,
            is_raised: AtomicBool::new(false),
        })
    }

    /// Stands before this server. What it says of its own accord goes to `client`.
    #[must_use]
    pub fn new(below: Arc<dyn Upstream>, client: Arc<ChangesClient>) -> Self {
        Self(Arc::new(UpgradedConnection {
            below,
            client,
            state: Mutex::default(),
        }))
    }
}

#[async_trait]
impl Upstream for UpgradeLayer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        let shared = &self.0;
        if message.asks(method::INITIALIZE) {
            shared.open(message, context);
        } else if shared.state().said.is_none() {
            shared.below.forward(message, context).await;
        } else {
            shared.raise(message, context).await;
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let said = self
            .0
            .state()
            .said
            .clone()
            .filter(|_| request.own_version().is_none());
        match said {
            Some(said) => {
                let shared = Arc::clone(&self.0);
                let context = context.clone();
                // An abandoned request's task is no longer polled.
                let waits = CancellationToken::new();
                let _waiting = waits.clone().drop_guard();
                // In a task of its own, so that dropping this future does not cancel the request.
                let asked =
                    tokio::spawn(
                        async move { shared.ask(&request, &said, &context, &waits).await },
                    );
                asked.await.unwrap_or_else(|_| {
                    Err(NoResponse {
                        reason: "the request was given up".to_owned(),
                        sent: true,
                    })
                })
            }
            None => self.0.below.request(request, context).await,
        }
    }

    async fn listen(&self, context: &RequestContext) {
        self.0.below.listen(context).await;
    }

    fn relates_questions(&self) -> bool {
        self.0.below.relates_questions()
    }

    async fn close(&self) {
        if let Some(listening) = self.0.state().listening.take() {
            listening.cancel();
        }
        self.0.below.close().await;
    }
}

impl UpgradedConnection {
    /// Opens the connection in a task of its own: a client sends nothing else before it is answered.
    fn open(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let shared = Arc::clone(self);
        let context = context.clone();
        tokio::spawn(async move {
            let answered = shared.below.request(request.clone(), &context).await;
            let response = match answered {
                Ok(response) if response.kind() == MessageKind::Result => response,
                Err(lost) if !lost.sent => no_response(&request, &lost),
                refused => match shared.discover(&request, &context).await {
                    Some(response) => response,
                    None => refused.unwrap_or_else(|lost| no_response(&request, &lost)),
                },
            };
            // A disconnected client reads nothing.
            let _ = context.client.send(response).await;
        });
    }

    /// Returns a newer server's description in the older form, or `None` if the server is older.
    async fn discover(&self, request: &Message, context: &RequestContext) -> Option<Message> {
        let params = params(request);
        let said = request_metadata(&params);
        let probed = probe::discover(&*self.below, &said, context, probe::ANSWERS_WITHIN)
            .await
            .ok()?;
        let ProbeResult::Newer(DiscoverResult(discovered)) = probed else {
            return None;
        };
        let wanted = params.text("protocolVersion").unwrap_or_default();
        let is_spoken =
            version::ALL.contains(&wanted.as_str()) && wanted.as_str() < version::V2026_07_28;
        let mut result = JsonMembers::default();
        set_member(
            &mut result,
            "protocolVersion",
            &if is_spoken {
                wanted.as_str()
            } else {
                version::V2025_11_25
            },
        );
        let capabilities = discovered
            .get("capabilities")
            .and_then(raw_json)
            .or_else(|| raw_json("{}"))?;
        set_member(&mut result, "capabilities", &capabilities);
        let server = translation::meta_members(&discovered)
            .get(meta::SERVER_INFO)
            .and_then(raw_json);
        set_member(
            &mut result,
            "serverInfo",
            &server.or_else(|| raw_json(r#"{"name":"server","version":"unknown"}"#))?,
        );
        let instructions = discovered.get("instructions").and_then(raw_json);
        if let Some(instructions) = instructions {
            set_member(&mut result, "instructions", &instructions);
        }
        let mut state = self.state();
        state.capabilities = said
            .get(meta::CLIENT_CAPABILITIES)
            .and_then(|json| serde_json::from_str(json).ok())?;
        state.said = Some(said);
        self.client.is_raised.store(true, Ordering::Relaxed);
        Some(Message::response(request.id(), "result", &text(&result)))
    }

    /// Takes in a message of the client, once the two eras differ.
    async fn raise(self: &Arc<Self>, message: Message, context: &RequestContext) {
        match message.kind() {
            MessageKind::Request => self.route_request(message, context).await,
            MessageKind::Notification => match message.method() {
                Some(method::INITIALIZED) => self.subscribe_to_changes(context).await,
                Some(method::CANCELLED) => self.below.forward(message, context).await,
                // The newer era has no other.
                _ => {}
            },
            MessageKind::Result | MessageKind::Error => {
                let waits = message.id().and_then(|id| self.state().asked.remove(id));
                // The receiver may no longer wait.
                let _ = waits.map(|waits| waits.send(message));
            }
        }
    }

    async fn route_request(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let done = || Message::response(request.id(), "result", "{}");
        let uri = || params(&request).text("uri").unwrap_or_default();
        match request.method() {
            Some(method::PING) => return answer(context, done()).await,
            Some(method::SET_LEVEL) => {
                let level = params(&request).get("level").and_then(raw_json);
                if let (Some(level), Some(said)) = (level, self.state().said.as_mut()) {
                    set_member(said, meta::LOG_LEVEL, &level);
                }
                return answer(context, done()).await;
            }
            Some(method::RESOURCES_SUBSCRIBE) => {
                self.state().resources.insert(uri());
            }
            Some(method::RESOURCES_UNSUBSCRIBE) => {
                self.state().resources.remove(&uri());
            }
            _ => return self.send(request, context),
        }
        self.subscribe_to_changes(context).await;
        answer(context, done()).await;
    }

    fn send(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let shared = Arc::clone(self);
        let context = context.clone();
        let said = shared.state().said.clone().unwrap_or_default();
        tokio::spawn(async move {
            let answered = shared
                .ask(&request, &said, &context, &context.cancellation)
                .await;
            let response = answered.unwrap_or_else(|lost| no_response(&request, &lost));
            answer(&context, response).await;
        });
    }

    /// Subscribes to change notifications for the resources that the client has subscribed to.
    async fn subscribe_to_changes(&self, context: &RequestContext) {
        let (request, listening) = {
            let mut state = self.state();
            let lists = json!(true);
            let wanted = json!({ "notifications": {
                "toolsListChanged": lists, "promptsListChanged": lists, "resourcesListChanged": lists,
                "resourceSubscriptions": state.resources,
            } });
            let request = Message::request(&own_id("listen"), method::LISTEN, &wanted.to_string());
            let listening = CancellationToken::new();
            let before = state.listening.replace(listening.clone());
            if let Some(before) = before {
                before.cancel();
            }
            (
                translation::upgrade_request(
                    &request,
                    state.said.as_ref().unwrap_or(&JsonMembers::default()),
                ),
                listening,
            )
        };
        let told = RequestContext {
            client: Arc::<ChangesClient>::clone(&self.client),
            ..context.without_client()
        };
        let told = RequestContext {
            cancellation: listening.clone(),
            ..told
        };
        let cancels = request
            .id()
            .map(|id| format!(r#"{{"requestId":{id}}}"#))
            .unwrap_or_default();
        self.below.forward(request, &told).await;
        let below = Arc::clone(&self.below);
        let context = told;
        tokio::spawn(async move {
            listening.cancelled().await;
            below
                .forward(Message::notification(method::CANCELLED, &cancels), &context)
                .await;
        });
    }

    /// Sends a request as the newer era has it, as often as its server asks back.
    async fn ask(
        &self,
        request: &Message,
        said: &JsonMembers,
        context: &RequestContext,
        cancellation: &CancellationToken,
    ) -> Result<Message, NoResponse> {
        let mut sent = translation::upgrade_request(request, said);
        let mut was_sent = false;
        for _ in 0..ROUNDS_MAX {
            let answered = self.below.request(sent.clone(), context).await;
            // A round before this one has arrived, whatever is known of this one.
            let response = answered.map_err(|lost| NoResponse {
                sent: lost.sent || was_sent,
                ..lost
            })?;
            was_sent = true;
            let result = response
                .body()
                .and_then(|body| JsonMembers::read(body).ok())
                .unwrap_or_default();
            match result.text("resultType").as_deref() {
                Some("input_required") => {}
                Some("task") => {
                    return self
                        .follow(request, result, said, context, cancellation)
                        .await;
                }
                _ => {
                    return Ok(request
                        .id()
                        .map_or(response.clone(), |id| response.with_id(id)));
                }
            }
            let answers = match self.answers(&result, context).await {
                Ok(answers) => answers,
                Err(why) => return Ok(refused(request, &why)),
            };
            sent = with_answers(
                &translation::upgrade_request(request, said),
                &result,
                &answers,
            );
        }
        Ok(refused(request, "the server asked back too often"))
    }

    /// Asks the client all questions of the server in sequence, and returns its answers.
    async fn answers(
        &self,
        result: &JsonMembers,
        context: &RequestContext,
    ) -> Result<Map<String, Value>, String> {
        let asked = result
            .object("inputRequests")
            .map_err(|error| error.to_string())?;
        let asked: Map<String, Value> =
            serde_json::from_str(&text(&asked)).map_err(|error| error.to_string())?;
        let mut answers = Map::new();
        for (name, question) in asked {
            answers.insert(name, self.answer_to(&question, context).await?);
        }
        Ok(answers)
    }

    async fn answer_to(&self, question: &Value, context: &RequestContext) -> Result<Value, String> {
        let id = own_id("question");
        let asked = question
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let params = question
            .get("params")
            .map_or_else(|| "{}".to_owned(), Value::to_string);
        let request = Message::request(&id, asked, &params);
        if !is_question(&request) || !self.has_capability(asked) {
            return Err(format!(
                "the server needs the client to answer `{asked}`, which this client cannot"
            ));
        }
        let (waits, answered) = oneshot::channel();
        self.state().asked.insert(id.clone(), waits);
        let is_put = context.client.send(request.clone()).await.is_ok()
            || self.client.send(request).await.is_ok();
        let answered = async { if is_put { answered.await.ok() } else { None } };
        let response = tokio::time::timeout(ANSWERS_WITHIN, answered)
            .await
            .ok()
            .flatten();
        self.state().asked.remove(&id);
        let response = response.ok_or_else(|| format!("the client did not answer `{asked}`"))?;
        match response.kind() {
            MessageKind::Result => serde_json::from_str(response.body().unwrap_or("{}"))
                .map_err(|error| error.to_string()),
            _ => Err(format!(
                "the client did not answer `{asked}`: {}",
                response.body().unwrap_or_default()
            )),
        }
    }

    fn has_capability(&self, asked: &str) -> bool {
        let state = self.state();
        let needed = translation::ASKED_BACK
            .iter()
            .find(|(method, _)| *method == asked);
        needed.is_some_and(|(_, capability)| state.capabilities.get(capability).is_some())
    }

    fn state(&self) -> MutexGuard<'_, UpgradeState> {
        self.state.lock()
    }
}

/// Returns the metadata for each request, from the client's `initialize`.
fn request_metadata(initialize: &JsonMembers) -> JsonMembers {
    let mut said = JsonMembers::default();
    set_member(&mut said, meta::PROTOCOL_VERSION, &version::V2026_07_28);
    let capabilities = initialize
        .get("capabilities")
        .and_then(raw_json)
        .or_else(|| raw_json("{}"));
    if let Some(capabilities) = capabilities {
        set_member(&mut said, meta::CLIENT_CAPABILITIES, &capabilities);
    }
    let client = initialize.get("clientInfo").and_then(raw_json);
    if let Some(client) = client {
        set_member(&mut said, meta::CLIENT_INFO, &client);
    }
    said
}

/// The same request with the answers to what the server has asked.
fn with_answers(request: &Message, result: &JsonMembers, answers: &Map<String, Value>) -> Message {
    let mut params = params(request);
    set_member(&mut params, "inputResponses", answers);
    let state = result.get("requestState").and_then(raw_json);
    if let Some(state) = state {
        set_member(&mut params, "requestState", &state);
    }
    request.with_body(&text(&params)).with_id(&own_id("round"))
}

/// A request that cannot be carried through, because its client cannot answer what the server asks.
fn refused(request: &Message, why: &str) -> Message {
    if !request.asks(method::TOOLS_CALL) {
        return ProtocolError::new(ErrorCode::MissingCapability, why).response(request.id());
    }
    let what = format!(
        "The tool asked back and got no answer: {why}. Whether it took effect before it asked is not known."
    );
    let result = json!({ "content": [{ "type": "text", "text": what }], "isError": true });
    Message::response(request.id(), "result", &result.to_string())
}

fn no_response(request: &Message, lost: &NoResponse) -> Message {
    let what = if lost.sent {
        "whether the request took effect is not known"
    } else {
        "the request was not sent"
    };
    ProtocolError::new(ErrorCode::Unanswered, format!("{lost}: {what}")).response(request.id())
}

async fn answer(context: &RequestContext, message: Message) {
    // A client that has gone reads nothing.
    let _ = context.client.send(message).await;
}

/// The client of change notifications. It hides acknowledgement and end of the subscription, which older clients do not
/// know.
#[derive(Debug)]
pub struct ChangesClient {
    client: Arc<dyn Client>,
    is_raised: AtomicBool,
}

impl ChangesClient {
    fn is_unknown(&self, message: &Message) -> bool {
        let is_about_hearing =
            message.is_response() || message.method() == Some(method::ACKNOWLEDGED);
        is_about_hearing && self.is_raised.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Client for ChangesClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if self.is_unknown(&message) {
            Ok(())
        } else {
            self.client.deliver(message, confirmation).await
        }
    }
}
