//! Older clients before a newer server.
//!
//! An older client describes itself once, in `initialize`; the layer adds that description to each
//! request. A newer server asks in its response; the layer puts the questions to the client, and
//! sends the request again with the answers. To the layers above, it is one request.

mod task;

use super::{
    pending_call::is_question,
    probe::{self, ProbeResult, ServerDescription, new_request_id},
    translation::{self, raw_json, set_member, to_text},
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
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The reason why a server's questions stay unanswered. A model reads it.
#[derive(Debug, thiserror::Error)]
enum QuestionError {
    #[error("the questions or an answer are not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the server asks for `{method}`, which this client does not support")]
    Unsupported { method: String },
    #[error("the client did not answer `{method}`")]
    Unanswered { method: String },
    #[error("the client did not answer `{method}`: {error}")]
    Refused { method: String, error: String },
    #[error("the server asked more than {ROUNDS_MAX} times")]
    TooManyRounds,
}

/// A server for clients of all versions.
#[derive(Debug)]
pub(crate) struct UpgradeLayer(Arc<UpgradedConnection>);

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
    request_meta: Option<JsonMembers>,
    /// The client's capabilities.
    capabilities: Value,
    /// The resources that the client has subscribed to.
    resources: BTreeSet<String>,
    /// Ends the subscription to changes.
    listening: Option<CancellationToken>,
    /// The receivers of the client's answers.
    questions: HashMap<RequestId, oneshot::Sender<Message>>,
}

impl UpgradeLayer {
    /// Wraps a client for the layer below.
    pub(crate) fn watch_changes(client: Arc<dyn Client>) -> Arc<ChangesClient> {
        Arc::new(ChangesClient {
            client,
            is_upgraded: AtomicBool::new(false),
        })
    }

    /// Creates the layer. Messages that belong to no request go to `client`.
    pub(crate) fn new(below: Arc<dyn Upstream>, client: Arc<ChangesClient>) -> Self {
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
        let connection = &self.0;
        if message.asks(method::INITIALIZE) {
            connection.spawn_initialize(message, context);
        } else if connection.state().request_meta.is_none() {
            connection.below.forward(message, context).await;
        } else {
            connection.translate(message, context).await;
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let request_meta = self.0.state().request_meta.clone();
        let Some(request_meta) = request_meta else {
            return self.0.below.request(request, context).await;
        };
        if request.own_version().is_some() {
            // The request describes itself already.
            return self.0.below.request(request, context).await;
        }
        let connection = Arc::clone(&self.0);
        let context = context.clone();
        // Dropping this future ends the polling of a task that the server made of the request.
        let cancellation = CancellationToken::new();
        let _guard = cancellation.clone().drop_guard();
        // In a task of its own, so that dropping this future does not cancel the request.
        let response = tokio::spawn(async move {
            connection
                .request_with_answers(&request, &request_meta, &context, &cancellation)
                .await
        });
        response.await.unwrap_or_else(|_| {
            Err(NoResponse {
                reason: "the request was given up".to_owned(),
                sent: true,
            })
        })
    }

    async fn listen(&self, context: &RequestContext) {
        self.0.below.listen(context).await;
    }

    fn relates_questions(&self) -> bool {
        self.0.below.relates_questions()
    }

    async fn close(&self) {
        let listening = self.0.state().listening.take();
        if let Some(listening) = listening {
            listening.cancel();
        }
        self.0.below.close().await;
    }
}

impl UpgradedConnection {
    /// Opens the session in a task of its own. A client sends nothing else before the response.
    fn spawn_initialize(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let connection = Arc::clone(self);
        let context = context.clone();
        tokio::spawn(async move {
            let response = connection.initialize(&request, &context).await;
            respond(&context, response).await;
        });
    }

    async fn initialize(&self, request: &Message, context: &RequestContext) -> Message {
        let response = self.below.request(request.clone(), context).await;
        match &response {
            Ok(result) if result.kind() == MessageKind::Result => return result.clone(),
            Err(no_response) if !no_response.sent => {
                return no_response_error(request, no_response);
            }
            // A newer server does not know `initialize`.
            Ok(_) | Err(_) => {}
        }
        if let Some(discovered) = self.discover(request, context).await {
            return discovered;
        }
        response.unwrap_or_else(|no_response| no_response_error(request, &no_response))
    }

    /// Returns a newer server's description as the response to `initialize`, or `None` if the
    /// server is older.
    async fn discover(&self, initialize: &Message, context: &RequestContext) -> Option<Message> {
        let params = initialize.members();
        let request_meta = request_metadata(&params);
        let probe =
            probe::probe_version(&*self.below, &request_meta, context, probe::PROBE_TIMEOUT);
        let Ok(ProbeResult::Newer(ServerDescription(description))) = probe.await else {
            return None;
        };
        let capabilities = request_meta.get(meta::CLIENT_CAPABILITIES)?;
        let capabilities = serde_json::from_str(capabilities).ok()?;
        let result = initialize_result(&params, &description)?;
        let mut state = self.state();
        state.capabilities = capabilities;
        state.request_meta = Some(request_meta);
        self.client.is_upgraded.store(true, Ordering::Relaxed);
        Some(Message::response(
            initialize.id(),
            "result",
            &to_text(&result),
        ))
    }

    /// Translates a message of an older client.
    async fn translate(self: &Arc<Self>, message: Message, context: &RequestContext) {
        match message.kind() {
            MessageKind::Request => self.route_request(message, context).await,
            MessageKind::Notification => match message.method() {
                Some(method::INITIALIZED) => self.subscribe_to_changes(context).await,
                Some(method::CANCELLED) => self.below.forward(message, context).await,
                // Newer versions have no other notification of a client.
                _ => {}
            },
            MessageKind::Result | MessageKind::Error => {
                let question = message
                    .id()
                    .and_then(|id| self.state().questions.remove(id));
                if let Some(question) = question {
                    // The receiver may no longer wait.
                    let _ = question.send(message);
                }
            }
        }
    }

    async fn route_request(self: &Arc<Self>, request: Message, context: &RequestContext) {
        match request.method() {
            // Newer versions have no ping, and set the log level in each request.
            Some(method::PING) => {}
            Some(method::SET_LEVEL) => {
                let level = request.members().get("level").and_then(raw_json);
                if let Some(level) = level
                    && let Some(request_meta) = self.state().request_meta.as_mut()
                {
                    set_member(request_meta, meta::LOG_LEVEL, &level);
                }
            }
            Some(method::RESOURCES_SUBSCRIBE) => {
                let uri = request.members().text("uri").unwrap_or_default();
                self.state().resources.insert(uri);
                self.subscribe_to_changes(context).await;
            }
            Some(method::RESOURCES_UNSUBSCRIBE) => {
                let uri = request.members().text("uri").unwrap_or_default();
                self.state().resources.remove(&uri);
                self.subscribe_to_changes(context).await;
            }
            _ => return self.spawn_request(request, context),
        }
        respond(context, Message::response(request.id(), "result", "{}")).await;
    }

    fn spawn_request(self: &Arc<Self>, request: Message, context: &RequestContext) {
        let connection = Arc::clone(self);
        let context = context.clone();
        let request_meta = connection.state().request_meta.clone().unwrap_or_default();
        tokio::spawn(async move {
            let response = connection
                .request_with_answers(&request, &request_meta, &context, &context.cancellation)
                .await;
            let response =
                response.unwrap_or_else(|no_response| no_response_error(&request, &no_response));
            respond(&context, response).await;
        });
    }

    /// Subscribes to changes of all lists, and of the resources that the client has subscribed to.
    /// The subscription replaces the one before.
    async fn subscribe_to_changes(&self, context: &RequestContext) {
        let listening = CancellationToken::new();
        let request = {
            let mut state = self.state();
            if let Some(before) = state.listening.replace(listening.clone()) {
                before.cancel();
            }
            listen_request(&state)
        };
        let cancel_params = match request.id() {
            Some(id) => format!(r#"{{"requestId":{id}}}"#),
            None => String::new(),
        };
        let cancel = Message::notification(method::CANCELLED, &cancel_params);
        let context = RequestContext {
            client: Arc::<ChangesClient>::clone(&self.client),
            cancellation: listening.clone(),
            ..context.without_client()
        };
        self.below.forward(request, &context).await;
        let below = Arc::clone(&self.below);
        tokio::spawn(async move {
            listening.cancelled().await;
            below.forward(cancel, &context).await;
        });
    }

    /// Sends a request with the client's metadata, and again with answers each time the server
    /// asks.
    async fn request_with_answers(
        &self,
        request: &Message,
        request_meta: &JsonMembers,
        context: &RequestContext,
        cancellation: &CancellationToken,
    ) -> Result<Message, NoResponse> {
        let upgraded = translation::upgrade_request(request, request_meta);
        let mut next = upgraded.clone();
        let mut was_sent = false;
        for _ in 0..ROUNDS_MAX {
            let response = self.below.request(next, context).await;
            // An earlier round has reached the server, even if this one has not.
            let response = response.map_err(|no_response| NoResponse {
                sent: no_response.sent || was_sent,
                ..no_response
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
                        .poll_task(request, result, request_meta, context, cancellation)
                        .await;
                }
                _ => {
                    return Ok(match request.id() {
                        Some(id) => response.with_id(id),
                        None => response,
                    });
                }
            }
            let answers = match self.ask_client(&result, context).await {
                Ok(answers) => answers,
                Err(error) => return Ok(unanswered_questions(request, &error)),
            };
            next = with_answers(&upgraded, &result, &answers);
        }
        Ok(unanswered_questions(request, &QuestionError::TooManyRounds))
    }

    /// Asks the client all questions of the server in sequence, and returns its answers.
    async fn ask_client(
        &self,
        result: &JsonMembers,
        context: &RequestContext,
    ) -> Result<Map<String, Value>, QuestionError> {
        let questions = result.object("inputRequests")?;
        let questions: Map<String, Value> = serde_json::from_str(&to_text(&questions))?;
        let mut answers = Map::new();
        for (name, question) in questions {
            answers.insert(name, self.ask_question(&question, context).await?);
        }
        Ok(answers)
    }

    async fn ask_question(
        &self,
        question: &Value,
        context: &RequestContext,
    ) -> Result<Value, QuestionError> {
        let id = new_request_id("question");
        let method = question
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let params = match question.get("params") {
            Some(params) => params.to_string(),
            None => "{}".to_owned(),
        };
        let request = Message::request(&id, method, &params);
        if !is_question(&request) || !self.has_capability(method) {
            return Err(QuestionError::Unsupported {
                method: method.to_owned(),
            });
        }
        let (sender, receiver) = oneshot::channel();
        self.state().questions.insert(id.clone(), sender);
        // The request's own client first: over HTTP the question then comes on the request's
        // stream.
        let is_sent = context.client.send(request.clone()).await.is_ok()
            || self.client.send(request).await.is_ok();
        let mut response = None;
        if is_sent && let Ok(answer) = tokio::time::timeout(ANSWER_TIMEOUT, receiver).await {
            response = answer.ok();
        }
        self.state().questions.remove(&id);
        let response = response.ok_or_else(|| QuestionError::Unanswered {
            method: method.to_owned(),
        })?;
        match response.result() {
            Some(result) => Ok(serde_json::from_str(result)?),
            None => Err(QuestionError::Refused {
                method: method.to_owned(),
                error: response.body().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Returns true if the client can answer this question.
    fn has_capability(&self, method: &str) -> bool {
        let state = self.state();
        translation::QUESTIONS.iter().any(|(question, capability)| {
            *question == method && state.capabilities.get(capability).is_some()
        })
    }

    fn state(&self) -> MutexGuard<'_, UpgradeState> {
        self.state.lock()
    }
}

/// Returns the metadata for each request, from the client's `initialize`.
fn request_metadata(initialize: &JsonMembers) -> JsonMembers {
    let mut request_meta = JsonMembers::default();
    set_member(
        &mut request_meta,
        meta::PROTOCOL_VERSION,
        &version::V2026_07_28,
    );
    let capabilities = initialize.get("capabilities").unwrap_or("{}");
    if let Some(capabilities) = raw_json(capabilities) {
        set_member(&mut request_meta, meta::CLIENT_CAPABILITIES, &capabilities);
    }
    if let Some(client) = initialize.get("clientInfo").and_then(raw_json) {
        set_member(&mut request_meta, meta::CLIENT_INFO, &client);
    }
    request_meta
}

/// Returns the result of `initialize`, from a newer server's description of itself.
fn initialize_result(initialize: &JsonMembers, description: &JsonMembers) -> Option<JsonMembers> {
    let requested = initialize.text("protocolVersion").unwrap_or_default();
    let requested = requested.as_str();
    let is_supported = version::ALL.contains(&requested) && requested < version::V2026_07_28;
    // The specification asks a server to name another version if it does not support the requested
    // one.
    let negotiated = if is_supported {
        requested
    } else {
        version::V2025_11_25
    };
    let capabilities = description.get("capabilities").unwrap_or("{}");
    let server = translation::meta_members(description);
    let server = server
        .get(meta::SERVER_INFO)
        .unwrap_or(r#"{"name":"server","version":"unknown"}"#);
    let mut result = JsonMembers::default();
    set_member(&mut result, "protocolVersion", &negotiated);
    set_member(&mut result, "capabilities", &raw_json(capabilities)?);
    set_member(&mut result, "serverInfo", &raw_json(server)?);
    if let Some(instructions) = description.get("instructions").and_then(raw_json) {
        set_member(&mut result, "instructions", &instructions);
    }
    Some(result)
}

/// Returns the request that subscribes to all changes.
fn listen_request(state: &UpgradeState) -> Message {
    let params = json!({ "notifications": {
        "toolsListChanged": true,
        "promptsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": state.resources,
    } });
    let id = new_request_id("listen");
    let request = Message::request(&id, method::LISTEN, &params.to_string());
    match &state.request_meta {
        Some(request_meta) => translation::upgrade_request(&request, request_meta),
        None => request,
    }
}

/// Returns the request with the answers to the server's questions, under an id of its own.
fn with_answers(request: &Message, result: &JsonMembers, answers: &Map<String, Value>) -> Message {
    let mut params = request.members();
    set_member(&mut params, "inputResponses", answers);
    if let Some(state) = result.get("requestState").and_then(raw_json) {
        set_member(&mut params, "requestState", &state);
    }
    request
        .with_body(&to_text(&params))
        .with_id(&new_request_id("round"))
}

/// Returns the response to a request whose questions get no answer. For a tool call it is a result,
/// which a model reads.
fn unanswered_questions(request: &Message, problem: &QuestionError) -> Message {
    if !request.asks(method::TOOLS_CALL) {
        return ProtocolError::new(ErrorCode::MissingCapability, problem.to_string())
            .response(request.id());
    }
    let text = format!(
        "Outcome unknown. The tool asked a question and got no answer: {problem}. It may have taken \
         effect before it asked. Check that before you call it again."
    );
    let result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    Message::response(request.id(), "result", &result.to_string())
}

/// Returns the error response to a request without a response.
fn no_response_error(request: &Message, no_response: &NoResponse) -> Message {
    let message = no_response.reason_with_effect();
    ProtocolError::new(ErrorCode::Unanswered, message).response(request.id())
}

async fn respond(context: &RequestContext, message: Message) {
    // A disconnected client reads nothing.
    let _ = context.client.send(message).await;
}

/// The client of the layer below. It hides the acknowledgement and the end of a subscription, which
/// older clients do not know.
#[derive(Debug)]
pub(crate) struct ChangesClient {
    client: Arc<dyn Client>,
    /// True if client and server speak different versions.
    is_upgraded: AtomicBool,
}

impl ChangesClient {
    fn is_hidden(&self, message: &Message) -> bool {
        let is_newer = message.is_response() || message.method() == Some(method::ACKNOWLEDGED);
        is_newer && self.is_upgraded.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Client for ChangesClient {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if self.is_hidden(&message) {
            return Ok(());
        }
        self.client.deliver(message, confirmation).await
    }
}
