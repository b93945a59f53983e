//! The layer that guards: each `tools/call` becomes a call of [`Semel`], and is sent once.
//!
//! Everything else passes. Nothing here knows a transport, a session, or how an era of the protocol differs from the
//! other: where client and server are of two eras, translation stands above or below, so that here both ends speak one.

mod answer;
mod call;
mod catalog;
mod handing;
mod late;
mod model_text;
mod outcome;
mod parameters;
mod prober;
mod rounds;
mod taking;
mod tasks;
mod waiting;

pub use prober::Probes;

use crate::{
    link::{Client, Exchange, Gone, Lost, Upstream},
    metrics::Metrics,
    wire::{Fault, FaultCode, Id, Members, Message, meta, method},
};
use async_trait::async_trait;
use catalog::Catalog;
use late::LateAnswers;
use rounds::Questions;
use semel::{model::Call, runtime::Semel};
use semel_config::Config;
use serde_json::{Map, Value};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use taking::Taking;
use tasks::Tasks;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use waiting::Calls;

/// What guards: shared by all connections to one server.
#[derive(Debug)]
pub struct Guard {
    semel: Semel,
    config: Arc<Config>,
    /// What the server is called: the fact `server`.
    server: String,
    /// What stands before the server's own names where the client sees them.
    prefix: String,
    /// Whether the operator trusts it: the fact `server.trusted`.
    is_trusted: bool,
    /// Whether what is sent to it has headers.
    has_headers: bool,
    /// What runs the probes of policies.
    probes: Option<Arc<Probes>>,
    catalog: Catalog,
    taking: Taking,
    /// What servers asked back, and nobody has answered yet.
    questions: Questions,
    /// The calls that servers made tasks of.
    tasks: Tasks,
    metrics: Arc<Metrics>,
    /// Room for answers that come late.
    late: Arc<Semaphore>,
    /// Cancelled once nothing under way is waited for any longer.
    given_up: CancellationToken,
}

impl Guard {
    /// Guards the tools of the server that is called `server`.
    #[must_use]
    pub fn new(
        semel: Semel,
        config: Arc<Config>,
        server: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        let (server, prefix) = (server.into(), prefix.into());
        let (catalog, questions, tasks) =
            (Catalog::default(), Questions::default(), Tasks::default());
        Self {
            semel,
            config,
            server,
            prefix,
            is_trusted: false,
            has_headers: false,
            probes: None,
            catalog,
            taking: Taking::default(),
            questions,
            tasks,
            metrics: Arc::default(),
            late: late::room(),
            given_up: CancellationToken::new(),
        }
    }

    /// Counts calls here.
    #[must_use]
    pub fn counting(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Waits for calls under way until this is cancelled. Those whose servers have not answered are in doubt then.
    #[must_use]
    pub fn until(mut self, given_up: CancellationToken) -> Self {
        self.given_up = given_up;
        self
    }

    /// Whether requests to the server have headers, as over HTTP. Where they have none, no call is sent whose policy puts its
    /// key into one. Default: no.
    #[must_use]
    pub fn with_headers(mut self, has_headers: bool) -> Self {
        self.has_headers = has_headers;
        self
    }

    /// Tells `probes` where the calls of each tenant go. The host must have been built with them.
    #[must_use]
    pub fn probing(mut self, probes: Arc<Probes>) -> Self {
        self.probes = Some(probes);
        self
    }

    /// Whether the operator trusts the server: what it says of its tools may then make their guard less careful.
    /// Default: no.
    #[must_use]
    pub fn trusting(mut self, is_trusted: bool) -> Self {
        self.is_trusted = is_trusted;
        self
    }

    /// Tools by which to look for the effect of `tool`, as the client names them.
    fn look_with(&self, tool: &str) -> Vec<String> {
        self.catalog
            .look_with(tool)
            .into_iter()
            .map(|other| format!("{}{other}", self.prefix))
            .collect()
    }
}

/// A server whose tool calls are guarded.
#[derive(Debug)]
pub struct Guarded {
    guard: Arc<Guard>,
    below: Arc<dyn Upstream>,
    under_way: Calls,
    late: LateAnswers,
    /// What runs whether or not anybody waits for it.
    tasks: TaskTracker,
}

impl Guarded {
    /// Guards the tools of the server below.
    #[must_use]
    pub fn over(guard: Arc<Guard>, below: Arc<dyn Upstream>) -> Self {
        let late = LateAnswers::within(Arc::clone(&guard.late));
        Self {
            guard,
            below,
            under_way: Calls::default(),
            late,
            tasks: TaskTracker::new(),
        }
    }

    /// The client as the layer below is to see it: what the server says of its tools is heard on the way.
    #[must_use]
    pub fn hearing(guard: &Arc<Guard>, client: Arc<dyn Client>) -> Arc<dyn Client> {
        Arc::new(Hearing {
            guard: Arc::clone(guard),
            client,
        })
    }

    fn call(&self, request: Message, exchange: &Exchange) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let (guard, below, calls) = (
            Arc::clone(&self.guard),
            Arc::clone(&self.below),
            self.under_way.clone(),
        );
        let (exchange, late) = (exchange.clone(), self.late.clone());
        calls.add(&exchange, id.clone());
        self.tasks.spawn(async move {
            let _running = guard.metrics.start_call();
            let called = call::run(&guard, &below, &late, request, &exchange);
            // A call that is dropped says in the ledger that it is in doubt.
            guard
                .given_up
                .run_until_cancelled(called)
                .await
                .unwrap_or_default();
            calls.remove(&exchange, &id);
        });
    }

    /// The guarded task that a request asks for.
    fn task(&self, request: &Message, exchange: &Exchange) -> Option<(String, Call)> {
        let asks = request.asks(method::TASKS_GET) || request.asks(method::TASKS_RESULT);
        asks.then(|| self.guard.tasks.asked_for(request, &exchange.caller.tenant))
            .flatten()
    }

    /// Passes on what a task came to, once it is recorded.
    fn tell_of(&self, task: String, call: Call, request: Message, exchange: &Exchange) {
        let Some(id) = request.id().cloned() else {
            return;
        };
        let (guard, below, calls) = (
            Arc::clone(&self.guard),
            Arc::clone(&self.below),
            self.under_way.clone(),
        );
        let exchange = exchange.clone();
        calls.add_question(&exchange, id.clone());
        self.tasks.spawn(async move {
            let is_result = request.asks(method::TASKS_RESULT);
            let response = match below.ask(request, &exchange).await {
                Ok(response) => response,
                Err(lost) => {
                    Fault::new(FaultCode::Unanswered, lost.to_string()).response(Some(&id))
                }
            };
            tasks::tell(&guard, &task, &call, response, is_result, &exchange).await;
            calls.remove(&exchange, &id);
        });
    }

    /// Passes a list of tools on, and remembers what it says.
    fn list(&self, request: Message, exchange: &Exchange) {
        let (guard, below, exchange) = (
            Arc::clone(&self.guard),
            Arc::clone(&self.below),
            exchange.clone(),
        );
        self.tasks.spawn(async move {
            let id = request.id().cloned();
            let response = match below.ask(request, &exchange).await {
                Ok(response) => response,
                Err(lost) => {
                    Fault::new(FaultCode::Unanswered, lost.to_string()).response(id.as_ref())
                }
            };
            guard.catalog.learn(&response);
            exchange.client.put(response).await.unwrap_or_default();
        });
    }
}

#[async_trait]
impl Upstream for Guarded {
    async fn pass(&self, message: Message, exchange: &Exchange) {
        if message.asks(method::TOOLS_CALL) {
            self.call(message, exchange);
        } else if message.asks(method::TOOLS_LIST) {
            self.list(message, exchange);
        } else if let Some((id, call)) = self.task(&message, exchange) {
            self.tell_of(id, call, message, exchange);
        } else if message.asks(method::LISTEN) {
            let client = Self::hearing(&self.guard, Arc::clone(&exchange.client));
            self.below
                .pass(
                    message,
                    &Exchange {
                        client,
                        ..exchange.clone()
                    },
                )
                .await;
        } else if !self.under_way.cancel(&message, exchange) {
            self.below.pass(message, exchange).await;
        }
    }

    async fn ask(&self, request: Message, exchange: &Exchange) -> Result<Message, Lost> {
        if request.asks(method::TOOLS_CALL) {
            // By this way it would get around its guard.
            return Err(Lost {
                reason: "a call is passed, so that it is guarded".to_owned(),
                sent: false,
            });
        }
        self.below.ask(request, exchange).await
    }

    async fn listen(&self, exchange: &Exchange) {
        self.below.listen(exchange).await;
    }

    fn relates_questions(&self) -> bool {
        self.below.relates_questions()
    }

    /// What is under way comes to its end first, as far as it has one.
    async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.late.close();
        self.below.close().await;
    }
}

/// An id for a request of the gateway's own, that no client of good will makes up.
fn own_id() -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Id::Text(format!("dev.semel/{}/{number}", std::process::id()).into())
}

/// What the newer era wants in the metadata of each request, as the request at hand has it.
fn protocol_meta(of_request: &Members) -> Map<String, Value> {
    let kept = [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES]
        .into_iter()
        .filter_map(|name| {
            let value: Value = serde_json::from_str(of_request.get(name)?).ok()?;
            Some((name.to_owned(), value))
        });
    kept.collect()
}

/// A client on the way to which it is heard that the tools have changed.
#[derive(Debug)]
struct Hearing {
    guard: Arc<Guard>,
    client: Arc<dyn Client>,
}

#[async_trait]
impl Client for Hearing {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        if message.method() == Some(method::TOOLS_CHANGED) {
            self.guard.catalog.forget();
        }
        self.client.put(message).await
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        self.client.deliver(message).await
    }
}
