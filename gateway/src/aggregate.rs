//! The aggregation of several servers into one: names are prefixed, lists merged, and each message is routed to its server.
//!
//! A request that names no server (an unknown method, a resource of no list) is sent to one server after the other, until
//! one knows it. A tool call is never tried this way: its name identifies the server. Names are prefixed here only, so the
//! layers below see a server's own. A notification goes to every server. One about a request goes only to the servers
//! that have that request.

mod initialization;
mod lists;
mod names;
mod pending_requests;
mod server_client;
mod subscriptions;

use crate::{
    layer::{Client, ConnectError, Connector, NoResponse, RequestContext, Upstream},
    wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, RequestId, method},
};
use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use initialization::InitializeResult;
use lists::{ListMethod, MergedPage};
use parking_lot::Mutex;
use pending_requests::RequestOwners;
use serde_json::Value;
use server_client::{ResponseClient, ServerClient, ServerRequests};
use std::{collections::HashMap, sync::Arc};
use subscriptions::SubscriptionRegistry;
use tokio::sync::oneshot;

/// The most resources whose servers are remembered. Others are searched for.
const RESOURCES_MAX: usize = 10_000;

/// A connector to several servers.
#[derive(Debug)]
pub struct AggregateConnector(Vec<ServerEntry>);

/// One of the servers.
#[derive(Debug)]
struct ServerEntry {
    name: String,
    prefix: String,
    connect: Arc<dyn Connector>,
}

impl AggregateConnector {
    /// Creates a connector to these servers. Each has a name, a prefix for its names, and a connector.
    pub fn new(servers: impl IntoIterator<Item = (String, String, Arc<dyn Connector>)>) -> Self {
        let place = |(name, prefix, connect)| ServerEntry {
            name,
            prefix,
            connect,
        };
        Self(servers.into_iter().map(place).collect())
    }
}

#[async_trait]
impl Connector for AggregateConnector {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        let asked = Arc::<ServerRequests>::default();
        let subscriptions = Arc::<SubscriptionRegistry>::default();
        let connecting = self.0.iter().enumerate().map(|(server, place)| {
            let asked = Arc::clone(&asked);
            let subscriptions = Arc::clone(&subscriptions);
            let client = Arc::new(ServerClient {
                server,
                asked,
                subscriptions,
                client: Arc::clone(&client),
            });
            async move {
                let connected = place.connect.connect(client).await;
                connected.map_err(|error| ConnectError::Server {
                    server: place.name.clone(),
                    source: Box::new(error),
                })
            }
        });
        let servers = try_join_all(connecting).await?;
        Ok(Arc::new(AggregateUpstream(Arc::new(AggregatedServers {
            names: self.0.iter().map(|place| place.name.clone()).collect(),
            prefixes: self.0.iter().map(|place| place.prefix.clone()).collect(),
            able: Mutex::new(vec![None; servers.len()]),
            servers,
            asked,
            subscriptions,
            resources: Mutex::default(),
            under_way: RequestOwners::default(),
        }))))
    }
}

/// The connections to all servers, of one client.
#[derive(Debug)]
struct AggregateUpstream(Arc<AggregatedServers>);

#[derive(Debug)]
struct AggregatedServers {
    names: Vec<String>,
    prefixes: Vec<String>,
    servers: Vec<Arc<dyn Upstream>>,
    /// The capabilities of each server, or `None` before it is initialized.
    able: Mutex<Vec<Option<Value>>>,
    asked: Arc<ServerRequests>,
    subscriptions: Arc<SubscriptionRegistry>,
    /// The server of each known resource.
    resources: Mutex<HashMap<String, usize>>,
    /// The servers of the client's open requests.
    under_way: RequestOwners,
}

/// The route of a request.
enum RequestRoute {
    /// To this server, as this message.
    To(usize, Message),
    /// Nowhere.
    Refused(ProtocolError),
    /// Nowhere: the gateway answers with an empty result.
    Here,
    /// To every server: their capabilities are merged.
    Open,
    /// To every server: their lists are merged.
    List(ListMethod),
    /// To every server; one that does it is enough.
    All,
    /// To every server, as one subscription.
    Subscribe,
    /// To one after the other, until one knows it.
    Try,
}

#[async_trait]
impl Upstream for AggregateUpstream {
    async fn forward(&self, message: Message, context: &RequestContext) {
        let servers = &self.0;
        match message.kind() {
            MessageKind::Request => self.route_request(message, context).await,
            MessageKind::Notification if message.method() == Some(method::CANCELLED) => {
                servers.cancel(&message, context).await
            }
            MessageKind::Notification if message.method() == Some(method::PROGRESS) => {
                if let Some((server, told)) = servers.asked.progress(&message) {
                    servers.forward(server, told, context).await;
                }
            }
            MessageKind::Notification => servers.forward_to_all(&message, context).await,
            MessageKind::Result | MessageKind::Error => {
                if let Some((server, response)) = servers.asked.with_server_id(&message) {
                    servers.forward(server, response, context).await;
                }
            }
        }
    }

    /// Requests take the same route as forwarded messages, so that no call bypasses its guard.
    async fn request(
        &self,
        request: Message,
        context: &RequestContext,
    ) -> Result<Message, NoResponse> {
        let lost = |sent| NoResponse {
            reason: "the request was not answered".to_owned(),
            sent,
        };
        let id = request.id().cloned().ok_or_else(|| lost(false))?;
        let (response, responded) = oneshot::channel();
        let client = Arc::clone(&context.client);
        let client = Arc::new(ResponseClient {
            id,
            client,
            response: Mutex::new(Some(response)),
        });
        self.forward(
            request,
            &RequestContext {
                client,
                ..context.clone()
            },
        )
        .await;
        responded.await.map_err(|_| lost(true))
    }

    async fn listen(&self, context: &RequestContext) {
        for server in 0..self.0.servers.len() {
            if let Some(upstream) = self.0.servers.get(server) {
                upstream.listen(&self.0.context_for(server, context)).await;
            }
        }
    }

    async fn close(&self) {
        join_all(self.0.servers.iter().map(|server| server.close())).await;
    }
}

impl AggregateUpstream {
    /// Forwards a request to one server. A request to several runs in a task of its own.
    async fn route_request(&self, request: Message, context: &RequestContext) {
        match self.0.route(&request) {
            RequestRoute::To(server, message) => {
                let client = self.0.under_way.begin(&request, Some(server), context);
                self.0
                    .forward(
                        server,
                        message,
                        &RequestContext {
                            client,
                            ..context.clone()
                        },
                    )
                    .await;
            }
            RequestRoute::Refused(fault) => put(context, fault.response(request.id())).await,
            RequestRoute::Here => {
                put(context, Message::response(request.id(), "result", "{}")).await
            }
            RequestRoute::Subscribe => self.0.subscribe(&request, context).await,
            route => {
                let client = self.0.under_way.begin(&request, None, context);
                let servers = Arc::clone(&self.0);
                let context = RequestContext {
                    client,
                    ..context.clone()
                };
                tokio::spawn(async move {
                    let response = match route {
                        RequestRoute::Open => servers.open(&request, &context).await,
                        RequestRoute::List(list) => servers.list(list, &request, &context).await,
                        RequestRoute::All => servers.all(&request, &context).await,
                        _ => servers.request_in_sequence(&request, &context).await,
                    };
                    put(&context, response).await;
                });
            }
        }
    }
}

impl AggregatedServers {
    fn route(&self, request: &Message) -> RequestRoute {
        let asked = request.method().unwrap_or_default();
        if let Some(list) = ListMethod::for_method(asked) {
            return RequestRoute::List(list);
        }
        match asked {
            method::TOOLS_CALL | method::PROMPTS_GET => self.by_name(request),
            method::INITIALIZE | method::DISCOVER => RequestRoute::Open,
            method::PING => RequestRoute::Here,
            method::SET_LEVEL => RequestRoute::All,
            method::LISTEN => RequestRoute::Subscribe,
            method::COMPLETE => self.by_reference(request),
            _ => self.by_resource(request, names::text_parameter(request, "uri")),
        }
    }

    fn by_name(&self, request: &Message) -> RequestRoute {
        let invalid = |what: String| {
            RequestRoute::Refused(ProtocolError::new(ErrorCode::InvalidParams, what))
        };
        let Some(name) = names::text_parameter(request, "name") else {
            return invalid("the request names nothing: write a `name`".to_owned());
        };
        let renamed = names::find_owner(&self.prefixes, &name).and_then(|(server, own)| {
            Some((
                server,
                if own == name {
                    request.clone()
                } else {
                    names::with_name(request, own)?
                },
            ))
        });
        match renamed {
            Some((server, request)) => RequestRoute::To(server, request),
            None => invalid(format!(
                "`{name}` is of no server: names begin with {}",
                self.prefixes.join(", ")
            )),
        }
    }

    fn by_reference(&self, request: &Message) -> RequestRoute {
        let params = request
            .body()
            .and_then(|params| JsonMembers::read(params).ok())
            .unwrap_or_default();
        let reference = params.object("ref").unwrap_or_default();
        let named = reference.text("name").and_then(|name| {
            let (server, own) = names::find_owner(&self.prefixes, &name)?;
            Some(RequestRoute::To(
                server,
                names::with_prompt_name(request, own)?,
            ))
        });
        named.unwrap_or_else(|| self.by_resource(request, reference.text("uri")))
    }

    fn by_resource(&self, request: &Message, uri: Option<String>) -> RequestRoute {
        let known = uri.and_then(|uri| self.resources.lock().get(&uri).copied());
        known.map_or(RequestRoute::Try, |server| {
            RequestRoute::To(server, request.clone())
        })
    }

    /// Returns the context with a client for this server.
    fn context_for(&self, server: usize, context: &RequestContext) -> RequestContext {
        let asked = Arc::clone(&self.asked);
        let subscriptions = Arc::clone(&self.subscriptions);
        let client = Arc::new(ServerClient {
            server,
            asked,
            subscriptions,
            client: Arc::clone(&context.client),
        });
        RequestContext {
            client,
            ..context.clone()
        }
    }

    async fn forward(&self, server: usize, message: Message, context: &RequestContext) {
        if let Some(upstream) = self.servers.get(server) {
            upstream
                .forward(message, &self.context_for(server, context))
                .await;
        }
    }

    async fn forward_to_all(&self, message: &Message, context: &RequestContext) {
        for server in 0..self.servers.len() {
            self.forward(server, message.clone(), context).await;
        }
    }

    /// Returns the response of a server, or an error response if there is none.
    async fn request(&self, server: usize, request: Message, context: &RequestContext) -> Message {
        let id = request.id().cloned();
        let asked = match self.servers.get(server) {
            Some(upstream) => {
                upstream
                    .request(request, &self.context_for(server, context))
                    .await
            }
            None => Err(NoResponse {
                reason: "there is no such server".to_owned(),
                sent: false,
            }),
        };
        asked.unwrap_or_else(|lost| {
            ProtocolError::new(ErrorCode::Unanswered, lost.to_string()).response(id.as_ref())
        })
    }

    async fn request_all(&self, request: &Message, context: &RequestContext) -> Vec<Message> {
        join_all(
            (0..self.servers.len()).map(|server| self.request(server, request.clone(), context)),
        )
        .await
    }

    /// Initializes all servers. One that fails is left out with a warning.
    async fn open(&self, request: &Message, context: &RequestContext) -> Message {
        let responses = self.request_all(request, context).await;
        let mut opened = Vec::new();
        for ((name, response), able) in self
            .names
            .iter()
            .zip(&responses)
            .zip(self.able.lock().iter_mut())
        {
            match InitializeResult::read(response) {
                Some(one) => {
                    *able = Some(one.capabilities.clone());
                    opened.push((name.as_str(), one));
                }
                None => {
                    *able = Some(Value::Null);
                    tracing::warn!(server = %name, "the server does not open, and is left out");
                }
            }
        }
        let refusal = responses.into_iter().next().filter(|_| opened.is_empty());
        refusal.unwrap_or_else(|| {
            Message::response(
                request.id(),
                "result",
                &initialization::merge(&opened).to_string(),
            )
        })
    }

    async fn list(&self, list: ListMethod, request: &Message, context: &RequestContext) -> Message {
        let params = request
            .body()
            .and_then(|params| JsonMembers::read(params).ok())
            .unwrap_or_default();
        let from = match params
            .text("cursor")
            .map(|cursor| lists::read_cursor(&cursor))
        {
            None => self
                .servers_with(list)
                .into_iter()
                .map(|server| (server, None))
                .collect(),
            Some(Some(cursor)) => cursor
                .into_iter()
                .map(|(server, cursor)| (server, Some(cursor)))
                .collect::<Vec<_>>(),
            Some(None) => {
                let what =
                    "this cursor is none that was given out: read the list from its beginning";
                return ProtocolError::new(ErrorCode::InvalidParams, what).response(request.id());
            }
        };
        let asking = from.iter().map(|(server, cursor)| {
            self.request(
                *server,
                lists::from_cursor(request, &params, cursor.as_deref()),
                context,
            )
        });
        let responses = join_all(asking).await;
        let mut page = MergedPage::new(list);
        for ((server, _), response) in from.iter().zip(&responses) {
            let prefix = self.prefixes.get(*server).map_or("", String::as_str);
            let found = page.add(*server, prefix, response);
            if list.is_of_resources() {
                self.remember(*server, found);
            }
        }
        match page.result() {
            Some(result) => Message::response(request.id(), "result", &result),
            None => responses
                .into_iter()
                .next()
                .unwrap_or_else(|| unknown(request.id())),
        }
    }

    /// The servers that have such a list, as far as they said so.
    fn servers_with(&self, list: ListMethod) -> Vec<usize> {
        let able = self.able.lock();
        let has = |able: &Option<Value>| {
            able.as_ref()
                .is_none_or(|able| able.get(list.capability()).is_some())
        };
        able.iter()
            .enumerate()
            .filter(|(_, able)| has(able))
            .map(|(server, _)| server)
            .collect()
    }

    fn remember(&self, server: usize, uris: Vec<String>) {
        let mut resources = self.resources.lock();
        let room = RESOURCES_MAX.saturating_sub(resources.len());
        resources.extend(uris.into_iter().take(room).map(|uri| (uri, server)));
    }

    async fn all(&self, request: &Message, context: &RequestContext) -> Message {
        let mut responses = self.request_all(request, context).await;
        let done = responses
            .iter()
            .position(|response| response.kind() == MessageKind::Result);
        if responses.is_empty() {
            unknown(request.id())
        } else {
            responses.swap_remove(done.unwrap_or(0))
        }
    }

    /// Returns the first result of a server that knows the subject, else the most specific error.
    async fn request_in_sequence(&self, request: &Message, context: &RequestContext) -> Message {
        let mut told = None;
        for server in 0..self.servers.len() {
            let response = self.request(server, request.clone(), context).await;
            match unknown_there(&response) {
                None => return response,
                Some(code) if told.is_none() && code != ErrorCode::MethodNotFound.number() => {
                    told = Some(response)
                }
                Some(_) => {}
            }
        }
        told.unwrap_or_else(|| unknown(request.id()))
    }

    /// Forwards a cancellation to the servers that have the request.
    async fn cancel(&self, message: &Message, context: &RequestContext) {
        self.subscriptions.cancel(message);
        match self.under_way.cancelled(message, context) {
            Some(Some(server)) => self.forward(server, message.clone(), context).await,
            Some(None) => self.forward_to_all(message, context).await,
            // It is answered, or was never made.
            None => {}
        }
    }

    async fn subscribe(&self, request: &Message, context: &RequestContext) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let client = self.under_way.begin(request, None, context);
        let subscription = self
            .subscriptions
            .begin(id, Arc::clone(&client), self.servers.len());
        let all = Arc::clone(&self.subscriptions);
        tokio::spawn(async move {
            tokio::time::sleep(subscriptions::ACKNOWLEDGED_WITHIN).await;
            all.stop_waiting(&subscription).await;
        });
        let context = RequestContext {
            client,
            ..context.clone()
        };
        for server in 0..self.servers.len() {
            let is_others = |uri: &str| {
                self.resources
                    .lock()
                    .get(uri)
                    .is_some_and(|owner| *owner != server)
            };
            self.forward(
                server,
                subscriptions::without_others(request, is_others),
                &context,
            )
            .await;
        }
    }
}

/// The code of an error by which a server says that it does not know what is asked. None: it is none of these.
fn unknown_there(response: &Message) -> Option<i64> {
    const RESOURCE_NOT_FOUND: i64 = -32_002;
    let error = response
        .body()
        .filter(|_| response.kind() == MessageKind::Error)?;
    let code = JsonMembers::read(error).ok()?.get("code")?.parse().ok()?;
    let unknown = [
        ErrorCode::MethodNotFound.number(),
        ErrorCode::InvalidParams.number(),
        RESOURCE_NOT_FOUND,
    ];
    unknown.contains(&code).then_some(code)
}

fn unknown(id: Option<&RequestId>) -> Message {
    ProtocolError::new(
        ErrorCode::MethodNotFound,
        "no server behind this gateway knows this method",
    )
    .response(id)
}

async fn put(context: &RequestContext, message: Message) {
    // A client that has gone gets nothing.
    let _ = context.client.send(message).await;
}
