//! The aggregation of several servers into one: names are prefixed, lists merged, and each message
//! is routed to its server.
//!
//! A request that names no server (an unknown method, a resource of no list) is sent to one server
//! after the other, until one knows it. A tool call is never sent that way: its name identifies the
//! server. Names are prefixed here only, so the layers below see a server's own. A notification
//! goes to every server. A notification about a request goes only to the servers that have that
//! request.

mod initialization;
mod lists;
mod names;
mod pending_requests;
mod server_client;
mod subscriptions;

use crate::{
    bounded_map::BoundedMap,
    layer::{Client, ConnectError, Connector, NoResponse, RequestContext, Upstream},
    wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, RequestId, method},
};
use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use initialization::InitializeResult;
use lists::{ListMethod, MergedPage};
use parking_lot::Mutex;
use pending_requests::{PendingRequests, RequestTarget};
use serde_json::Value;
use server_client::{ResponseClient, ServerClient, ServerRequests};
use std::sync::Arc;
use subscriptions::SubscriptionRegistry;
use tokio::sync::oneshot;

/// The most resources whose servers are known. Requests for others go to one server after the
/// other.
const RESOURCES_MAX: usize = 10_000;

/// The error code of older servers for a resource that does not exist.
const RESOURCE_NOT_FOUND: i64 = -32_002;

/// A connector to several servers.
#[derive(Debug)]
pub struct AggregateConnector(Vec<ServerEntry>);

/// One of the servers.
#[derive(Debug)]
struct ServerEntry {
    name: String,
    prefix: String,
    connector: Arc<dyn Connector>,
}

impl AggregateConnector {
    /// Creates a connector to these servers. Each has a name, a prefix for its names, and a
    /// connector.
    pub fn new(servers: impl IntoIterator<Item = (String, String, Arc<dyn Connector>)>) -> Self {
        let entries = servers
            .into_iter()
            .map(|(name, prefix, connector)| ServerEntry {
                name,
                prefix,
                connector,
            });
        Self(entries.collect())
    }
}

#[async_trait]
impl Connector for AggregateConnector {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        let requests = Arc::<ServerRequests>::default();
        let subscriptions = Arc::<SubscriptionRegistry>::default();
        let connections = self.0.iter().enumerate().map(|(server, entry)| {
            let client = Arc::new(ServerClient {
                server,
                requests: Arc::clone(&requests),
                subscriptions: Arc::clone(&subscriptions),
                client: Arc::clone(&client),
            });
            async move {
                let connection = entry.connector.connect(client).await;
                connection.map_err(|error| ConnectError::Server {
                    server: entry.name.clone(),
                    source: Box::new(error),
                })
            }
        });
        let servers = try_join_all(connections).await?;
        Ok(Arc::new(AggregateUpstream(Arc::new(AggregatedServers {
            names: self.0.iter().map(|entry| entry.name.clone()).collect(),
            prefixes: self.0.iter().map(|entry| entry.prefix.clone()).collect(),
            capabilities: Mutex::new(vec![None; servers.len()]),
            servers,
            requests,
            subscriptions,
            resources: Mutex::new(BoundedMap::new(RESOURCES_MAX)),
            pending: PendingRequests::default(),
        }))))
    }
}

/// One client's connections to all servers.
#[derive(Debug)]
struct AggregateUpstream(Arc<AggregatedServers>);

#[derive(Debug)]
struct AggregatedServers {
    names: Vec<String>,
    prefixes: Vec<String>,
    servers: Vec<Arc<dyn Upstream>>,
    /// The capabilities of each server, or `None` before it is initialized.
    capabilities: Mutex<Vec<Option<Value>>>,
    /// The unanswered requests of servers to the client.
    requests: Arc<ServerRequests>,
    subscriptions: Arc<SubscriptionRegistry>,
    /// The server of each known resource.
    resources: Mutex<BoundedMap<String, usize>>,
    /// The client's requests without a response.
    pending: PendingRequests,
}

/// The route of a request.
enum RequestRoute {
    /// To this server, as this message.
    One(usize, Message),
    /// To no server: it is not valid.
    Invalid(ProtocolError),
    /// To no server: the gateway responds with an empty result.
    Empty,
    /// To every server: their capabilities are merged.
    Initialize,
    /// To every server: their lists are merged.
    List(ListMethod),
    /// To every server: the first result counts.
    All,
    /// To every server, as one subscription.
    Subscribe,
    /// To one server after the other, until one knows it.
    InSequence,
}

#[async_trait]
impl Upstream for AggregateUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        let servers = &self.0;
        match message.kind() {
            MessageKind::Request => self.route_request(message, context).await,
            MessageKind::Notification if message.method() == Some(method::CANCELLED) => {
                servers.cancel_request(&message, context).await
            }
            MessageKind::Notification if message.method() == Some(method::PROGRESS) => {
                if let Some((server, message)) = servers.requests.translate_progress(&message) {
                    servers.forward(server, message, context).await;
                }
            }
            MessageKind::Notification => servers.forward_to_all(&message, context).await,
            MessageKind::Result | MessageKind::Error => {
                if let Some((server, message)) = servers.requests.translate_response(&message) {
                    servers.forward(server, message, context).await;
                }
            }
        }
    }

    /// Sends the request on the route of a forwarded message, so that no call bypasses its guard.
    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let no_response = |sent| NoResponse {
            reason: "the request has no response".to_owned(),
            sent,
        };
        let id = request.id().cloned().ok_or_else(|| no_response(false))?;
        let (sender, response) = oneshot::channel();
        let client = ResponseClient {
            id,
            client: Arc::clone(&context.client),
            response: Mutex::new(Some(sender)),
        };
        let context = RequestContext {
            client: Arc::new(client),
            ..context.clone()
        };
        self.forward(request, &context).await;
        // The channel must close once no server holds the client.
        drop(context);
        response.await.map_err(|_| no_response(true))
    }

    async fn listen(&self, context: &RequestContext) {
        for (server, upstream) in self.0.servers.iter().enumerate() {
            upstream.listen(&self.0.context_for(server, context)).await;
        }
    }

    async fn close(&self) {
        join_all(self.0.servers.iter().map(|server| server.close())).await;
    }
}

impl AggregateUpstream {
    /// Forwards a request to one server. A request to several runs in a task of its own.
    async fn route_request(&self, request: Message, context: &RequestContext) {
        let servers = &self.0;
        let route = servers.find_route(&request);
        match route {
            RequestRoute::One(server, message) => {
                // Added before it is forwarded, so that a cancellation right behind it finds its server.
                let target = RequestTarget::One(server);
                let client = servers.pending.add_request(&request, target, context);
                let context = RequestContext {
                    client,
                    ..context.clone()
                };
                servers.forward(server, message, &context).await;
            }
            RequestRoute::Invalid(error) => respond(context, error.response(request.id())).await,
            RequestRoute::Empty => {
                respond(context, Message::response(request.id(), "result", "{}")).await;
            }
            RequestRoute::Subscribe => servers.subscribe(&request, context).await,
            RequestRoute::Initialize
            | RequestRoute::List(_)
            | RequestRoute::All
            | RequestRoute::InSequence => {
                let target = RequestTarget::All;
                let client = servers.pending.add_request(&request, target, context);
                let servers = Arc::clone(servers);
                let context = RequestContext {
                    client,
                    ..context.clone()
                };
                tokio::spawn(async move {
                    let response = match route {
                        RequestRoute::Initialize => servers.initialize(&request, &context).await,
                        RequestRoute::List(list) => {
                            servers.merge_lists(list, &request, &context).await
                        }
                        RequestRoute::All => servers.request_first_result(&request, &context).await,
                        _ => servers.request_in_sequence(&request, &context).await,
                    };
                    respond(&context, response).await;
                });
            }
        }
    }
}

impl AggregatedServers {
    fn find_route(&self, request: &Message) -> RequestRoute {
        let method = request.method().unwrap_or_default();
        if let Some(list) = ListMethod::from_method(method) {
            return RequestRoute::List(list);
        }
        match method {
            method::TOOLS_CALL | method::PROMPTS_GET => self.route_by_name(request),
            method::INITIALIZE | method::DISCOVER => RequestRoute::Initialize,
            // A ping is about the connection to the client, which ends here.
            method::PING => RequestRoute::Empty,
            method::SET_LEVEL => RequestRoute::All,
            method::LISTEN => RequestRoute::Subscribe,
            method::COMPLETE => self.route_by_reference(request),
            _ => self.route_by_resource(request, request.members().text("uri")),
        }
    }

    fn route_by_name(&self, request: &Message) -> RequestRoute {
        let invalid = |message: String| {
            RequestRoute::Invalid(ProtocolError::new(ErrorCode::InvalidParams, message))
        };
        let Some(name) = request.members().text("name") else {
            return invalid("the request has no `name`: write one".to_owned());
        };
        let owner = names::find_owner(&self.prefixes, &name);
        let renamed = owner.and_then(|(server, own_name)| {
            if own_name == name {
                return Some((server, request.clone()));
            }
            Some((server, names::with_name(request, own_name)?))
        });
        match renamed {
            Some((server, request)) => RequestRoute::One(server, request),
            None => invalid(format!(
                "no server has the name `{name}`: names begin with {}",
                self.prefixes.join(", ")
            )),
        }
    }

    /// Routes a completion, whose reference names a prompt or a resource.
    fn route_by_reference(&self, request: &Message) -> RequestRoute {
        let reference = request.members().object("ref").unwrap_or_default();
        if let Some(name) = reference.text("name")
            && let Some((server, own_name)) = names::find_owner(&self.prefixes, &name)
            && let Some(request) = names::with_prompt_name(request, own_name)
        {
            return RequestRoute::One(server, request);
        }
        self.route_by_resource(request, reference.text("uri"))
    }

    fn route_by_resource(&self, request: &Message, uri: Option<String>) -> RequestRoute {
        let server = uri.and_then(|uri| self.resources.lock().get(&uri).copied());
        match server {
            Some(server) => RequestRoute::One(server, request.clone()),
            None => RequestRoute::InSequence,
        }
    }

    /// Returns the context with a client for this server.
    fn context_for(&self, server: usize, context: &RequestContext) -> RequestContext {
        let client = Arc::new(ServerClient {
            server,
            requests: Arc::clone(&self.requests),
            subscriptions: Arc::clone(&self.subscriptions),
            client: Arc::clone(&context.client),
        });
        RequestContext {
            client,
            ..context.clone()
        }
    }

    async fn forward(&self, server: usize, message: Message, context: &RequestContext) {
        if let Some(upstream) = self.servers.get(server) {
            let context = self.context_for(server, context);
            upstream.forward(message, &context).await;
        }
    }

    async fn forward_to_all(&self, message: &Message, context: &RequestContext) {
        for server in 0..self.servers.len() {
            self.forward(server, message.clone(), context).await;
        }
    }

    /// Returns the response of a server, or an error response if it has none.
    async fn request(&self, server: usize, request: Message, context: &RequestContext) -> Message {
        let id = request.id().cloned();
        let response = match self.servers.get(server) {
            Some(upstream) => {
                let context = self.context_for(server, context);
                upstream.request(request, &context).await
            }
            // A cursor may name a server that the configuration no longer has.
            None => Err(NoResponse {
                reason: "there is no such server".to_owned(),
                sent: false,
            }),
        };
        response.unwrap_or_else(|no_response| {
            let message = no_response.to_string();
            ProtocolError::new(ErrorCode::Unanswered, message).response(id.as_ref())
        })
    }

    async fn request_all(&self, request: &Message, context: &RequestContext) -> Vec<Message> {
        let responses =
            (0..self.servers.len()).map(|server| self.request(server, request.clone(), context));
        join_all(responses).await
    }

    /// Initializes all servers. A server that fails is left out with a warning.
    async fn initialize(&self, request: &Message, context: &RequestContext) -> Message {
        let responses = self.request_all(request, context).await;
        let mut results = Vec::new();
        let mut capabilities = Vec::new();
        for (name, response) in self.names.iter().zip(&responses) {
            match InitializeResult::from_response(response) {
                Some(result) => {
                    capabilities.push(Some(result.capabilities.clone()));
                    results.push((name.as_str(), result));
                }
                None => {
                    capabilities.push(Some(Value::Null));
                    tracing::warn!(server = %name, "the server is not initialized, and is left out");
                }
            }
        }
        *self.capabilities.lock() = capabilities;
        let merged = initialization::merge_results(&results).to_string();
        match responses.into_iter().next() {
            Some(error) if results.is_empty() => error,
            _ => Message::response(request.id(), "result", &merged),
        }
    }

    async fn merge_lists(
        &self,
        list: ListMethod,
        request: &Message,
        context: &RequestContext,
    ) -> Message {
        let params = request.members();
        let Some(pages) = self.pages_to_request(list, &params) else {
            let message = "the cursor is not valid: read the list from its beginning";
            return ProtocolError::new(ErrorCode::InvalidParams, message).response(request.id());
        };
        let responses = pages.iter().map(|(server, cursor)| {
            let request = lists::with_cursor(request, &params, cursor.as_deref());
            self.request(*server, request, context)
        });
        let responses = join_all(responses).await;
        let mut merged = MergedPage::new(list);
        for ((server, _), response) in pages.iter().zip(&responses) {
            let prefix = self.prefixes.get(*server).map_or("", String::as_str);
            let identities = merged.add_page(*server, prefix, response);
            if list.is_of_resources() {
                let mut resources = self.resources.lock();
                for uri in identities {
                    resources.insert(uri, *server);
                }
            }
        }
        match merged.into_result() {
            Some(result) => Message::response(request.id(), "result", &result),
            // No server has a result: its error says more than one of the gateway's.
            None => responses
                .into_iter()
                .next()
                .unwrap_or_else(|| unknown_method(request.id())),
        }
    }

    /// Returns the servers of the next page, each with its cursor. `None` for an invalid cursor.
    fn pages_to_request(
        &self,
        list: ListMethod,
        params: &JsonMembers,
    ) -> Option<Vec<(usize, Option<String>)>> {
        let Some(cursor) = params.text("cursor") else {
            let servers = self.servers_with(list).into_iter();
            return Some(servers.map(|server| (server, None)).collect());
        };
        let cursors = lists::read_cursor(&cursor)?.into_iter();
        Some(
            cursors
                .map(|(server, cursor)| (server, Some(cursor)))
                .collect(),
        )
    }

    /// Returns the servers that declare such a list, or that are not initialized.
    fn servers_with(&self, list: ListMethod) -> Vec<usize> {
        let has_list = |capabilities: &Option<Value>| {
            capabilities
                .as_ref()
                .is_none_or(|capabilities| capabilities.get(list.capability()).is_some())
        };
        self.capabilities
            .lock()
            .iter()
            .enumerate()
            .filter(|(_, capabilities)| has_list(capabilities))
            .map(|(server, _)| server)
            .collect()
    }

    /// Sends a request to all servers, and returns the first result, else the first error.
    async fn request_first_result(&self, request: &Message, context: &RequestContext) -> Message {
        let mut responses = self.request_all(request, context).await;
        let first_result = responses
            .iter()
            .position(|response| response.kind() == MessageKind::Result);
        if responses.is_empty() {
            return unknown_method(request.id());
        }
        responses.swap_remove(first_result.unwrap_or(0))
    }

    /// Returns the response of the first server that knows the request, else the most specific
    /// error.
    async fn request_in_sequence(&self, request: &Message, context: &RequestContext) -> Message {
        let mut specific_error = None;
        for server in 0..self.servers.len() {
            let response = self.request(server, request.clone(), context).await;
            let Some(code) = unknown_code(&response) else {
                return response;
            };
            if specific_error.is_none() && code != ErrorCode::MethodNotFound.number() {
                specific_error = Some(response);
            }
        }
        specific_error.unwrap_or_else(|| unknown_method(request.id()))
    }

    /// Forwards a cancellation to the servers that have the request.
    async fn cancel_request(&self, message: &Message, context: &RequestContext) {
        self.subscriptions.remove_cancelled(message);
        match self.pending.remove_cancelled(message, context) {
            Some(RequestTarget::One(server)) => {
                self.forward(server, message.clone(), context).await;
            }
            Some(RequestTarget::All) => self.forward_to_all(message, context).await,
            // It has its response, or was never made.
            None => {}
        }
    }

    async fn subscribe(&self, request: &Message, context: &RequestContext) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let client = self
            .pending
            .add_request(request, RequestTarget::All, context);
        let subscription =
            self.subscriptions
                .add_subscription(id, Arc::clone(&client), self.servers.len());
        let subscriptions = Arc::clone(&self.subscriptions);
        tokio::spawn(async move {
            tokio::time::sleep(subscriptions::ACKNOWLEDGE_TIMEOUT).await;
            subscriptions.stop_waiting(&subscription).await;
        });
        let context = RequestContext {
            client,
            ..context.clone()
        };
        for server in 0..self.servers.len() {
            let is_others = |uri: &str| {
                let resources = self.resources.lock();
                let owner = resources.get(uri);
                owner.is_some_and(|owner| *owner != server)
            };
            let request = subscriptions::without_others(request, is_others);
            self.forward(server, request, &context).await;
        }
    }
}

/// Returns the error code of a server that does not know the method or its subject. `None` for any
/// other response.
fn unknown_code(response: &Message) -> Option<i64> {
    let error = JsonMembers::read(response.error()?).ok()?;
    let code = error.get("code")?.parse().ok()?;
    let is_unknown = [
        ErrorCode::MethodNotFound.number(),
        ErrorCode::InvalidParams.number(),
        RESOURCE_NOT_FOUND,
    ]
    .contains(&code);
    is_unknown.then_some(code)
}

fn unknown_method(id: Option<&RequestId>) -> Message {
    let message = "no server behind this gateway knows this method";
    ProtocolError::new(ErrorCode::MethodNotFound, message).response(id)
}

async fn respond(context: &RequestContext, message: Message) {
    // A disconnected client reads nothing.
    let _ = context.client.send(message).await;
}
