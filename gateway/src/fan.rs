//! Several servers behind one gateway, as one server: names are prefixed, lists merged, and each message goes to the server
//! that it is for.
//!
//! A request that does not say whom it is for (a method that is not known here, a resource that nobody listed) is put to one
//! server after the other, until one knows it. Tool calls are never tried: their name says whose they are. Names are prefixed
//! here only, so the layers below see a server's own. What a client says without a request goes to every server, unless it is
//! about a request: then only those hear it that have that request.

mod lists;
mod members;
mod names;
mod opening;
mod subscriptions;
mod under_way;

use crate::{
    link::{Client, Connect, Exchange, Lost, NoServer, Upstream},
    wire::{Fault, FaultCode, Id, Kind, Members, Message, method},
};
use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use lists::{List, Page};
use members::{Asked, Awaiting, FromServer};
use opening::Opened;
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use subscriptions::Subscriptions;
use tokio::sync::oneshot;
use under_way::UnderWay;

/// The most resources whose servers are remembered. Others are looked for.
const RESOURCES_MAX: usize = 10_000;

/// Connects to several servers.
#[derive(Debug)]
pub struct Fan(Vec<Place>);

/// One of the servers.
#[derive(Debug)]
struct Place {
    name: String,
    prefix: String,
    connect: Arc<dyn Connect>,
}

impl Fan {
    /// Over these servers: what each is called, what stands before its names, and how to connect to it.
    pub fn over(servers: impl IntoIterator<Item = (String, String, Arc<dyn Connect>)>) -> Self {
        let place = |(name, prefix, connect)| Place {
            name,
            prefix,
            connect,
        };
        Self(servers.into_iter().map(place).collect())
    }
}

#[async_trait]
impl Connect for Fan {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, NoServer> {
        let (asked, subscriptions) = (Arc::<Asked>::default(), Arc::<Subscriptions>::default());
        let connecting = self.0.iter().enumerate().map(|(server, place)| {
            let (asked, subscriptions) = (Arc::clone(&asked), Arc::clone(&subscriptions));
            let client = Arc::new(FromServer {
                server,
                asked,
                subscriptions,
                client: Arc::clone(&client),
            });
            async move {
                let connected = place.connect.connect(client).await;
                connected.map_err(|NoServer(why)| NoServer(format!("`{}`: {why}", place.name)))
            }
        });
        let servers = try_join_all(connecting).await?;
        Ok(Arc::new(Fanned(Arc::new(Servers {
            names: self.0.iter().map(|place| place.name.clone()).collect(),
            prefixes: self.0.iter().map(|place| place.prefix.clone()).collect(),
            able: Mutex::new(vec![None; servers.len()]),
            servers,
            asked,
            subscriptions,
            resources: Mutex::default(),
            under_way: UnderWay::default(),
        }))))
    }
}

/// The connections to all servers, of one client.
#[derive(Debug)]
struct Fanned(Arc<Servers>);

#[derive(Debug)]
struct Servers {
    names: Vec<String>,
    prefixes: Vec<String>,
    servers: Vec<Arc<dyn Upstream>>,
    /// What each server says that it can do; none: it was not asked.
    able: Mutex<Vec<Option<Value>>>,
    asked: Arc<Asked>,
    subscriptions: Arc<Subscriptions>,
    /// Which server a resource belongs to.
    resources: Mutex<HashMap<String, usize>>,
    /// Who has which request of the client.
    under_way: UnderWay,
}

/// Where a request goes.
enum Route {
    /// To this server, as this message.
    To(usize, Message),
    /// Nowhere.
    Refused(Fault),
    /// To whoever listens: an empty result.
    Here,
    /// To every server: what they say of themselves comes together.
    Open,
    /// To every server: their lists come together.
    List(List),
    /// To every server; one that does it is enough.
    All,
    /// To every server, as one subscription.
    Subscribe,
    /// To one after the other, until one knows it.
    Try,
}

#[async_trait]
impl Upstream for Fanned {
    async fn pass(&self, message: Message, exchange: &Exchange) {
        let servers = &self.0;
        match message.kind() {
            Kind::Request => self.request(message, exchange).await,
            Kind::Notification if message.method() == Some(method::CANCELLED) => {
                servers.cancel(&message, exchange).await
            }
            Kind::Notification if message.method() == Some(method::PROGRESS) => {
                if let Some((server, told)) = servers.asked.progress(&message) {
                    servers.pass(server, told, exchange).await;
                }
            }
            Kind::Notification => servers.to_all(&message, exchange).await,
            Kind::Result | Kind::Error => {
                if let Some((server, response)) = servers.asked.as_theirs(&message) {
                    servers.pass(server, response, exchange).await;
                }
            }
        }
    }

    /// By the same ways as whatever passes, so that no call gets around its guard.
    async fn ask(&self, request: Message, exchange: &Exchange) -> Result<Message, Lost> {
        let lost = |sent| Lost {
            reason: "the request was not answered".to_owned(),
            sent,
        };
        let id = request.id().cloned().ok_or_else(|| lost(false))?;
        let (response, responded) = oneshot::channel();
        let client = Arc::clone(&exchange.client);
        let client = Arc::new(Awaiting {
            id,
            client,
            response: Mutex::new(Some(response)),
        });
        self.pass(
            request,
            &Exchange {
                client,
                ..exchange.clone()
            },
        )
        .await;
        responded.await.map_err(|_| lost(true))
    }

    async fn listen(&self, exchange: &Exchange) {
        for server in 0..self.0.servers.len() {
            if let Some(upstream) = self.0.servers.get(server) {
                upstream.listen(&self.0.towards(server, exchange)).await;
            }
        }
    }

    async fn close(&self) {
        join_all(self.0.servers.iter().map(|server| server.close())).await;
    }
}

impl Fanned {
    /// Sends on what goes to one server; what takes several is done in a task of its own.
    async fn request(&self, request: Message, exchange: &Exchange) {
        match self.0.route(&request) {
            Route::To(server, message) => {
                let client = self.0.under_way.begin(&request, Some(server), exchange);
                self.0
                    .pass(
                        server,
                        message,
                        &Exchange {
                            client,
                            ..exchange.clone()
                        },
                    )
                    .await;
            }
            Route::Refused(fault) => put(exchange, fault.response(request.id())).await,
            Route::Here => put(exchange, Message::response(request.id(), "result", "{}")).await,
            Route::Subscribe => self.0.subscribe(&request, exchange).await,
            route => {
                let client = self.0.under_way.begin(&request, None, exchange);
                let (servers, exchange) = (
                    Arc::clone(&self.0),
                    Exchange {
                        client,
                        ..exchange.clone()
                    },
                );
                tokio::spawn(async move {
                    let response = match route {
                        Route::Open => servers.open(&request, &exchange).await,
                        Route::List(list) => servers.list(list, &request, &exchange).await,
                        Route::All => servers.all(&request, &exchange).await,
                        _ => servers.one_after_the_other(&request, &exchange).await,
                    };
                    put(&exchange, response).await;
                });
            }
        }
    }
}

impl Servers {
    fn route(&self, request: &Message) -> Route {
        let asked = request.method().unwrap_or_default();
        if let Some(list) = List::of(asked) {
            return Route::List(list);
        }
        match asked {
            method::TOOLS_CALL | method::PROMPTS_GET => self.by_name(request),
            method::INITIALIZE | method::DISCOVER => Route::Open,
            "ping" => Route::Here,
            "logging/setLevel" => Route::All,
            "subscriptions/listen" => Route::Subscribe,
            "completion/complete" => self.by_reference(request),
            _ => self.by_resource(request, names::parameter(request, "uri")),
        }
    }

    fn by_name(&self, request: &Message) -> Route {
        let invalid = |what: String| Route::Refused(Fault::new(FaultCode::InvalidParams, what));
        let Some(name) = names::parameter(request, "name") else {
            return invalid("the request names nothing: write a `name`".to_owned());
        };
        let renamed = names::owner(&self.prefixes, &name).and_then(|(server, own)| {
            Some((
                server,
                if own == name {
                    request.clone()
                } else {
                    names::renamed(request, own)?
                },
            ))
        });
        match renamed {
            Some((server, request)) => Route::To(server, request),
            None => invalid(format!(
                "`{name}` is of no server: names begin with {}",
                self.prefixes.join(", ")
            )),
        }
    }

    fn by_reference(&self, request: &Message) -> Route {
        let params = request
            .body()
            .and_then(|params| Members::read(params).ok())
            .unwrap_or_default();
        let reference = params.object("ref").unwrap_or_default();
        let named = reference.text("name").and_then(|name| {
            let (server, own) = names::owner(&self.prefixes, &name)?;
            Some(Route::To(server, names::with_prompt(request, own)?))
        });
        named.unwrap_or_else(|| self.by_resource(request, reference.text("uri")))
    }

    fn by_resource(&self, request: &Message, uri: Option<String>) -> Route {
        let known = uri.and_then(|uri| open(&self.resources).get(&uri).copied());
        known.map_or(Route::Try, |server| Route::To(server, request.clone()))
    }

    /// The exchange as this server is to see it.
    fn towards(&self, server: usize, exchange: &Exchange) -> Exchange {
        let (asked, subscriptions) = (Arc::clone(&self.asked), Arc::clone(&self.subscriptions));
        let client = Arc::new(FromServer {
            server,
            asked,
            subscriptions,
            client: Arc::clone(&exchange.client),
        });
        Exchange {
            client,
            ..exchange.clone()
        }
    }

    async fn pass(&self, server: usize, message: Message, exchange: &Exchange) {
        if let Some(upstream) = self.servers.get(server) {
            upstream
                .pass(message, &self.towards(server, exchange))
                .await;
        }
    }

    async fn to_all(&self, message: &Message, exchange: &Exchange) {
        for server in 0..self.servers.len() {
            self.pass(server, message.clone(), exchange).await;
        }
    }

    /// What a server answers; that it does not is an answer, too.
    async fn ask(&self, server: usize, request: Message, exchange: &Exchange) -> Message {
        let id = request.id().cloned();
        let asked = match self.servers.get(server) {
            Some(upstream) => upstream.ask(request, &self.towards(server, exchange)).await,
            None => Err(Lost {
                reason: "there is no such server".to_owned(),
                sent: false,
            }),
        };
        asked.unwrap_or_else(|lost| {
            Fault::new(FaultCode::Unanswered, lost.to_string()).response(id.as_ref())
        })
    }

    async fn ask_all(&self, request: &Message, exchange: &Exchange) -> Vec<Message> {
        join_all((0..self.servers.len()).map(|server| self.ask(server, request.clone(), exchange)))
            .await
    }

    /// Opens all servers. One that will not be opened is left out, and told of in the log.
    async fn open(&self, request: &Message, exchange: &Exchange) -> Message {
        let responses = self.ask_all(request, exchange).await;
        let mut opened = Vec::new();
        for ((name, response), able) in self
            .names
            .iter()
            .zip(&responses)
            .zip(open(&self.able).iter_mut())
        {
            match Opened::read(response) {
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
                &opening::together(&opened).to_string(),
            )
        })
    }

    async fn list(&self, list: List, request: &Message, exchange: &Exchange) -> Message {
        let params = request
            .body()
            .and_then(|params| Members::read(params).ok())
            .unwrap_or_default();
        let from = match params
            .text("cursor")
            .map(|cursor| lists::read_cursor(&cursor))
        {
            None => self
                .able_to(list)
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
                return Fault::new(FaultCode::InvalidParams, what).response(request.id());
            }
        };
        let asking = from.iter().map(|(server, cursor)| {
            self.ask(
                *server,
                lists::from_cursor(request, &params, cursor.as_deref()),
                exchange,
            )
        });
        let responses = join_all(asking).await;
        let mut page = Page::of(list);
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
    fn able_to(&self, list: List) -> Vec<usize> {
        let able = open(&self.able);
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
        let mut resources = open(&self.resources);
        let room = RESOURCES_MAX.saturating_sub(resources.len());
        resources.extend(uris.into_iter().take(room).map(|uri| (uri, server)));
    }

    async fn all(&self, request: &Message, exchange: &Exchange) -> Message {
        let mut responses = self.ask_all(request, exchange).await;
        let done = responses
            .iter()
            .position(|response| response.kind() == Kind::Result);
        if responses.is_empty() {
            unknown(request.id())
        } else {
            responses.swap_remove(done.unwrap_or(0))
        }
    }

    /// The first answer of who knows what is meant, else the most telling error.
    async fn one_after_the_other(&self, request: &Message, exchange: &Exchange) -> Message {
        let mut told = None;
        for server in 0..self.servers.len() {
            let response = self.ask(server, request.clone(), exchange).await;
            match unknown_there(&response) {
                None => return response,
                Some(code) if told.is_none() && code != FaultCode::MethodNotFound.number() => {
                    told = Some(response)
                }
                Some(_) => {}
            }
        }
        told.unwrap_or_else(|| unknown(request.id()))
    }

    /// Tells those who have the request that nobody waits for it.
    async fn cancel(&self, message: &Message, exchange: &Exchange) {
        self.subscriptions.cancel(message);
        match self.under_way.cancelled(message, exchange) {
            Some(Some(server)) => self.pass(server, message.clone(), exchange).await,
            Some(None) => self.to_all(message, exchange).await,
            // It is answered, or was never made.
            None => {}
        }
    }

    async fn subscribe(&self, request: &Message, exchange: &Exchange) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let client = self.under_way.begin(request, None, exchange);
        let subscription = self
            .subscriptions
            .begin(id, Arc::clone(&client), self.servers.len());
        let all = Arc::clone(&self.subscriptions);
        tokio::spawn(async move {
            tokio::time::sleep(subscriptions::ACKNOWLEDGED_WITHIN).await;
            all.be_late(&subscription).await;
        });
        let exchange = Exchange {
            client,
            ..exchange.clone()
        };
        for server in 0..self.servers.len() {
            let is_others = |uri: &str| {
                open(&self.resources)
                    .get(uri)
                    .is_some_and(|owner| *owner != server)
            };
            self.pass(
                server,
                subscriptions::without_others(request, is_others),
                &exchange,
            )
            .await;
        }
    }
}

/// The code of an error by which a server says that it does not know what is asked. None: it is none of these.
fn unknown_there(response: &Message) -> Option<i64> {
    const RESOURCE_NOT_FOUND: i64 = -32_002;
    let error = response.body().filter(|_| response.kind() == Kind::Error)?;
    let code = Members::read(error).ok()?.get("code")?.parse().ok()?;
    let unknown = [
        FaultCode::MethodNotFound.number(),
        FaultCode::InvalidParams.number(),
        RESOURCE_NOT_FOUND,
    ];
    unknown.contains(&code).then_some(code)
}

fn unknown(id: Option<&Id>) -> Message {
    Fault::new(
        FaultCode::MethodNotFound,
        "no server behind this gateway knows this method",
    )
    .response(id)
}

async fn put(exchange: &Exchange, message: Message) {
    // A client that has gone gets nothing.
    exchange.client.put(message).await.unwrap_or_default();
}

fn open<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
