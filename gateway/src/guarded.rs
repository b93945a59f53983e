//! The guard as a layer: each `tools/call` becomes a call of [`Semel`] and is sent at most once.
//!
//! Every other message passes. Nothing here knows transports, sessions, or the differences between
//! protocol versions: where client and server speak two of them, the layers above or below
//! translate, so that both ends here speak one.

mod answer;
mod call;
mod catalog;
mod deliver;
mod delivery_log;
mod elicitation;
mod header_parameters;
mod late_response;
mod model_text;
mod outcome;
mod tasks;
mod timeout;
mod tool_prober;

pub use tool_prober::ToolProber;

use crate::{
    layer::{Client, Confirmation, Disconnected, NoResponse, RequestContext, Upstream},
    metrics::Metrics,
    wire::{ErrorCode, JsonMembers, Message, ProtocolError, RequestId, meta, method},
};
use async_trait::async_trait;
use catalog::ToolCatalog;
use delivery_log::DeliveryLog;
use elicitation::ElicitationStore;
use late_response::LateResponses;
use semel::{model::Call, runtime::Semel};
use semel_config::Config;
use serde_json::{Map, Value};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tasks::TaskCalls;
use timeout::CallsInProgress;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The guard of one server's tools, which all connections to it share.
#[derive(Debug)]
pub struct ToolGuard {
    semel: Semel,
    config: Arc<Config>,
    /// The server's name: the fact `server`.
    server: String,
    /// The prefix of the server's tools in the names that clients use.
    prefix: String,
    /// The fact `server.trusted`.
    is_trusted: bool,
    /// Requests to the server have headers.
    has_headers: bool,
    prober: Option<Arc<ToolProber>>,
    catalog: ToolCatalog,
    delivery_log: DeliveryLog,
    /// Questions of the server that no client has answered so far.
    questions: ElicitationStore,
    tasks: TaskCalls,
    metrics: Arc<Metrics>,
    late_permits: Arc<Semaphore>,
    /// Cancelled once calls in progress are given up.
    give_up: CancellationToken,
}

impl ToolGuard {
    /// Guards the tools of the server named `server`.
    #[must_use]
    pub fn new(
        semel: Semel,
        config: Arc<Config>,
        server: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        Self {
            semel,
            config,
            server: server.into(),
            prefix: prefix.into(),
            is_trusted: false,
            has_headers: false,
            prober: None,
            catalog: ToolCatalog::default(),
            delivery_log: DeliveryLog::default(),
            questions: ElicitationStore::default(),
            tasks: TaskCalls::default(),
            metrics: Arc::default(),
            late_permits: late_response::new_permits(),
            give_up: CancellationToken::new(),
        }
    }

    /// Counts calls in these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Gives up calls in progress once `give_up` is cancelled. Those without a response are in
    /// doubt then.
    #[must_use]
    pub fn with_give_up(mut self, give_up: CancellationToken) -> Self {
        self.give_up = give_up;
        self
    }

    /// Declares whether requests to the server have headers, as over HTTP. Without headers, a call
    /// is refused if its policy puts the key into one. Default: no.
    pub(crate) fn with_headers(mut self, has_headers: bool) -> Self {
        self.has_headers = has_headers;
        self
    }

    /// Registers each tenant's connection with `prober`. The host must have been built with it.
    #[must_use]
    pub fn with_prober(mut self, prober: Arc<ToolProber>) -> Self {
        self.prober = Some(prober);
        self
    }

    /// Declares whether the operator trusts the server: its declarations about tools may then make
    /// their guard less careful. Default: no.
    #[must_use]
    pub fn with_trust(mut self, is_trusted: bool) -> Self {
        self.is_trusted = is_trusted;
        self
    }

    /// The read-only tools that may show the effect of `tool`, as the client names them.
    fn lookup_tools(&self, tool: &str) -> Vec<String> {
        self.catalog
            .lookup_tools(tool)
            .into_iter()
            .map(|other| format!("{}{other}", self.prefix))
            .collect()
    }
}

/// The layer that guards the tool calls to one server.
#[derive(Debug)]
pub struct GuardLayer {
    guard: Arc<ToolGuard>,
    below: Arc<dyn Upstream>,
    in_progress: CallsInProgress,
    late: LateResponses,
    /// Background tasks, which go on when their client disconnects.
    background: TaskTracker,
}

impl GuardLayer {
    /// Guards the tools of the server below.
    #[must_use]
    pub fn new(guard: Arc<ToolGuard>, below: Arc<dyn Upstream>) -> Self {
        let late = LateResponses::new(Arc::clone(&guard.late_permits));
        Self {
            guard,
            below,
            in_progress: CallsInProgress::default(),
            late,
            background: TaskTracker::new(),
        }
    }

    /// Wraps a client for the layer below, so that the guard notices when the server's list of
    /// tools changes.
    pub(crate) fn watch_tool_list(
        guard: &Arc<ToolGuard>,
        client: Arc<dyn Client>,
    ) -> Arc<dyn Client> {
        Arc::new(ToolListWatcher {
            guard: Arc::clone(guard),
            client,
        })
    }

    fn spawn_call(&self, request: Message, context: &RequestContext) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let guard = Arc::clone(&self.guard);
        let below = Arc::clone(&self.below);
        let in_progress = self.in_progress.clone();
        let late = self.late.clone();
        let context = context.clone();
        // Added before the task runs, so that a cancellation right behind the call finds it.
        in_progress.add_call(&context, id.clone());
        self.background.spawn(async move {
            let _running = guard.metrics.start_call();
            let call = call::run_call(&guard, &below, &late, request, &context);
            // A call that is given up is dropped, which records it as in doubt.
            let _ = guard.give_up.run_until_cancelled(call).await;
            in_progress.remove(&context, &id);
        });
    }

    /// Returns the continuation and the call of the guarded task that a request asks for.
    fn find_task(&self, request: &Message, context: &RequestContext) -> Option<(String, Call)> {
        if request.asks(method::TASKS_GET) || request.asks(method::TASKS_RESULT) {
            self.guard.tasks.find(request, &context.caller.tenant)
        } else {
            None
        }
    }

    /// Forwards a request about a task, and records the task's outcome before the client gets it.
    fn spawn_task_request(
        &self,
        continuation: String,
        call: Call,
        request: Message,
        context: &RequestContext,
    ) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let guard = Arc::clone(&self.guard);
        let below = Arc::clone(&self.below);
        let in_progress = self.in_progress.clone();
        let context = context.clone();
        // As for calls.
        in_progress.add_task_request(&context, id.clone());
        self.background.spawn(async move {
            let is_result_request = request.asks(method::TASKS_RESULT);
            let response = request_or_error(&below, request, &context).await;
            tasks::forward_task_response(
                &guard,
                &continuation,
                &call,
                response,
                is_result_request,
                &context,
            )
            .await;
            in_progress.remove(&context, &id);
        });
    }

    /// Forwards a request for the list of tools, and adds the response to the catalog.
    fn spawn_list(&self, request: Message, context: &RequestContext) {
        let guard = Arc::clone(&self.guard);
        let below = Arc::clone(&self.below);
        let context = context.clone();
        self.background.spawn(async move {
            let response = request_or_error(&below, request, &context).await;
            guard.catalog.add_page(&response);
            // A disconnected client reads nothing.
            let _ = context.client.send(response).await;
        });
    }
}

/// Sends a request, and returns its response, or an error response if none comes.
async fn request_or_error(
    below: &Arc<dyn Upstream>,
    request: Message,
    context: &RequestContext,
) -> Message {
    let id = request.id().cloned();
    match below.request(request, context).await {
        Ok(response) => response,
        Err(no_response) => {
            let error = ProtocolError::new(ErrorCode::Unanswered, no_response.to_string());
            error.response(id.as_ref())
        }
    }
}

#[async_trait]
impl Upstream for GuardLayer {
    async fn forward(&self, message: Message, context: &RequestContext) {
        if message.asks(method::TOOLS_CALL) {
            self.spawn_call(message, context);
        } else if message.asks(method::TOOLS_LIST) {
            self.spawn_list(message, context);
        } else if let Some((continuation, call)) = self.find_task(&message, context) {
            self.spawn_task_request(continuation, call, message, context);
        } else if message.asks(method::LISTEN) {
            let context = RequestContext {
                client: Self::watch_tool_list(&self.guard, Arc::clone(&context.client)),
                ..context.clone()
            };
            self.below.forward(message, &context).await;
        } else if !self.in_progress.intercept_cancel(&message, context) {
            self.below.forward(message, context).await;
        }
    }

    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        if request.asks(method::TOOLS_CALL) {
            // This way would bypass the guard.
            return Err(NoResponse {
                reason: "a tool call must be forwarded, so that it is guarded".to_owned(),
                sent: false,
            });
        }
        self.below.request(request, context).await
    }

    async fn listen(&self, context: &RequestContext) {
        self.below.listen(context).await;
    }

    fn relates_questions(&self) -> bool {
        self.below.relates_questions()
    }

    async fn close(&self) {
        // Calls in progress finish first, as far as their servers answer.
        // `wait` returns only for a closed tracker.
        self.background.close();
        self.background.wait().await;
        self.late.close();
        self.below.close().await;
    }
}

/// Returns an id for a request of the gateway's own. No honest client makes up the same.
fn new_request_id() -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RequestId::Text(format!("dev.semel/{}/{number}", std::process::id()).into())
}

/// Returns the metadata that the newer protocol version requires in each request, from the
/// client's own request.
fn protocol_meta(request_meta: &JsonMembers) -> Map<String, Value> {
    let mut required = Map::new();
    for name in [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES] {
        let value = request_meta
            .get(name)
            .and_then(|json| serde_json::from_str(json).ok());
        if let Some(value) = value {
            required.insert(name.to_owned(), value);
        }
    }
    required
}

/// A client that clears the catalog when the server reports a change of its tools.
#[derive(Debug)]
struct ToolListWatcher {
    guard: Arc<ToolGuard>,
    client: Arc<dyn Client>,
}

#[async_trait]
impl Client for ToolListWatcher {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        if message.method() == Some(method::TOOLS_CHANGED) {
            self.guard.catalog.clear();
        }
        self.client.deliver(message, confirmation).await
    }
}
