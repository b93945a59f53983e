//! What customers of a shop do through Semel while something goes wrong beneath them: one list of short stories, which
//! pass all that a host writes and sends. The fault tests kill, stop, starve and drop the host at every step of them.

use crate::{
    shop::{Request, Shop, Told, Way, What},
    world::intent,
};
use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use semel::{
    key::KeyScheme,
    ledger::{Decision, Person, StateLabel},
    model::{Answer, Call, Outcome, Probe, RecordStatus, Tenant},
    runtime::{CallStep, ErasureScope, Ledger, OpenError, Prober, Semel, Ticket, Tool},
    store::Store,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// One thing that a customer, or the operator, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Calls a tool.
    Call {
        tool: &'static str,
        id: &'static str,
    },
    /// The same, and the reply to the first request is lost on the way.
    Unheard {
        tool: &'static str,
        id: &'static str,
    },
    /// Calls a tool that takes its time.
    Slow {
        tool: &'static str,
        id: &'static str,
    },
    /// Cancels what was booked last, as far as the customer knows.
    Cancel { id: &'static str },
    /// Gains the right to send, and is never heard of again.
    Vanish {
        tool: &'static str,
        id: &'static str,
    },
    /// A person says that what is held landed.
    Decide,
    /// Much later the operator looks after what is due, and forgets and removes what may be.
    CleanUp,
}

/// A story and its name.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    pub name: &'static str,
    pub steps: &'static [Step],
}

const fn call(tool: &'static str, id: &'static str) -> Step {
    Step::Call { tool, id }
}

const fn unheard(tool: &'static str, id: &'static str) -> Step {
    Step::Unheard { tool, id }
}

pub const STORIES: &[Story] = &[
    Story {
        name: "pays",
        steps: &[
            call("pay", "A"),
            call("pay", "A"),
            unheard("pay", "B"),
            Step::Decide,
            call("pay", "B"),
        ],
    },
    Story {
        name: "known",
        steps: &[call("known", "A"), call("known", "A"), call("known", "B")],
    },
    Story {
        name: "listed",
        steps: &[
            unheard("listed", "A"),
            call("listed", "A"),
            call("listed", "B"),
        ],
    },
    Story {
        name: "hotel",
        steps: &[
            call("book", "G"),
            Step::Cancel { id: "G" },
            call("book", "G"),
            Step::Cancel { id: "G" },
            call("book", "G"),
        ],
    },
    Story {
        name: "notices",
        steps: &[
            call("notify", "N"),
            call("notify", "N"),
            unheard("notify", "M"),
            call("notify", "M"),
        ],
    },
    Story {
        name: "operator",
        steps: &[
            Step::Vanish {
                tool: "pay",
                id: "V",
            },
            call("pay", "W"),
            Step::CleanUp,
            call("pay", "V"),
            call("pay", "W"),
        ],
    },
];

/// One that takes long enough for a claim to be renewed.
pub const SLOW: Story = Story {
    name: "slow",
    steps: &[
        Step::Slow {
            tool: "pay",
            id: "S",
        },
        call("pay", "S"),
    ],
};

/// One in which a second passes before the same is sent again.
pub const PATIENT: Story = Story {
    name: "patient",
    steps: &[unheard("known", "P"), call("known", "P")],
};

/// A story whose host opens a log that an earlier host left behind.
pub const HEIR: Story = Story {
    name: "heir",
    steps: &[call("pay", "H"), call("pay", "H")],
};

/// The shortest, one where the shop recognises keys and one where it does not.
pub const KNOWN_ONCE: Story = Story {
    name: "known once",
    steps: &[call("known", "A")],
};
pub const PAY_ONCE: Story = Story {
    name: "pay once",
    steps: &[call("pay", "A")],
};

/// The customers' connection to the shop: in this process, or from another one.
pub trait Line: fmt::Debug + Send + Sync + 'static {
    fn ask(&self, request: Request) -> Value;
}

impl Line for Shop {
    fn ask(&self, request: Request) -> Value {
        self.answer(request)
    }
}

/// Longer than the pause before the same is sent again.
const WAIT_MS: u64 = 2_000;

/// The tools of the shop, each under a component of its own.
#[derive(Debug, Clone)]
pub struct Tools(Vec<(&'static str, Tool)>);

impl Tools {
    pub async fn load() -> Self {
        let mut tools = Vec::new();
        for (name, settings) in settings() {
            let mut tool = intent(settings).await;
            tool.lease_seconds = 1;
            tool.allowance.wait_ms = WAIT_MS;
            tools.push((name, tool));
        }
        Self(tools)
    }

    /// The same story with customers that do not wait.
    pub fn impatient(self) -> Self {
        self.waiting(0)
    }

    /// The same story with customers that wait so long.
    pub fn waiting(mut self, wait_ms: u64) -> Self {
        self.0
            .iter_mut()
            .for_each(|(_, tool)| tool.allowance.wait_ms = wait_ms);
        self
    }
}

fn settings() -> [(&'static str, Value); 6] {
    let listed = json!({
        "identity": ["id"],
        "target": { "argument": "/reference", "repeats": "effective" },
        "probe": {
            "tool": "list", "arguments": { "reference": "{key}" },
            "landed": { "at": "/0/reference", "is": "{key}" }, "result": "/0",
        },
    });
    let known = json!({
        "identity": ["id"],
        "target": { "header": "Idempotency-Key", "repeats": "replayed", "remembers": "24h" },
    });
    [
        ("pay", json!({ "identity": ["id"], "content": ["amount"] })),
        ("known", known),
        ("listed", listed),
        (
            "book",
            json!({ "identity": ["id"], "handles": ["booking/{/id}"] }),
        ),
        (
            "cancel",
            json!({ "identity": ["id"], "undoes": ["booking/{/id}"] }),
        ),
        ("notify", json!({ "identity": ["id"], "until": "delivery" })),
    ]
}

/// Opens a host on `store`, whose tools and probes reach the shop by `line`.
pub async fn host(
    store: Arc<dyn Store>,
    tools: &Tools,
    line: &Arc<dyn Line>,
) -> Result<Semel, OpenError> {
    let builder = Semel::builder(store).prober(Arc::new(Listing(Arc::clone(line))));
    tools
        .0
        .iter()
        .fold(builder, |builder, (name, tool)| {
            builder.tool([*name], tool.clone())
        })
        .open()
        .await
}

/// Looks into the shop's list.
#[derive(Debug)]
struct Listing(Arc<dyn Line>);

#[async_trait]
impl Prober for Listing {
    async fn probe(&self, _: &Call, probe: &Probe) -> Outcome {
        let key = probe.arguments["reference"].as_str().unwrap().to_owned();
        Outcome::returned(self.0.ask(Request::List { key }))
    }
}

/// Why a step did not come to its end.
pub type Stopped = Box<dyn std::error::Error + Send + Sync>;

/// Returns the ledger's store a long time later.
type Later = dyn Fn() -> BoxFuture<'static, Arc<dyn Store>> + Send + Sync;

/// The customers of one host.
pub struct Customers {
    pub semel: Semel,
    pub line: Arc<dyn Line>,
    /// Sets their identities apart from those of others.
    pub prefix: String,
    /// The store of the ledger, a long time later.
    later: Arc<Later>,
    booked: BTreeMap<String, String>,
}

impl Customers {
    pub fn new<Opened: Future<Output = Arc<dyn Store>> + Send + 'static>(
        semel: Semel,
        line: &Arc<dyn Line>,
        prefix: &str,
        later: impl Fn() -> Opened + Send + Sync + 'static,
    ) -> Self {
        let later: Arc<Later> = Arc::new(move || later().boxed());
        let (line, prefix) = (Arc::clone(line), prefix.to_owned());
        Self {
            semel,
            line,
            prefix,
            later,
            booked: BTreeMap::new(),
        }
    }

    fn what(&self, tool: &str, id: &str) -> What {
        What::new(tool, format!("{}{id}", self.prefix))
    }

    /// Another customer of the same host.
    pub fn another(&self) -> Self {
        Self {
            semel: self.semel.clone(),
            line: Arc::clone(&self.line),
            later: Arc::clone(&self.later),
            prefix: self.prefix.clone(),
            booked: BTreeMap::new(),
        }
    }

    /// The customers' booking of this id.
    pub fn booking(&self, id: &str) -> Option<String> {
        self.booked.get(id).cloned()
    }

    /// Forgets what is booked: it will not be cancelled.
    pub fn forget_bookings(&mut self) {
        self.booked.clear();
    }

    /// Performs the steps of a story. A step that a fault stops is not repeated.
    pub async fn live(&mut self, story: &Story) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        for step in story.steps {
            stopped.extend(self.take(*step).await.err());
        }
        stopped
    }

    /// Takes one step.
    pub async fn take(&mut self, step: Step) -> Result<(), Stopped> {
        match step {
            Step::Call { tool, id } => self.ask(&self.what(tool, id), Reply::Heard).await.map(drop),
            Step::Unheard { tool, id } => {
                self.ask(&self.what(tool, id), Reply::Lost).await.map(drop)
            }
            Step::Slow { tool, id } => self.ask(&self.what(tool, id), Reply::Late).await.map(drop),
            Step::Cancel { id } => {
                let Some(booking) = self.booked.get(&self.what("book", id).id).cloned() else {
                    return Ok(());
                };
                self.ask(&What::new("cancel", booking), Reply::Heard)
                    .await
                    .map(drop)
            }
            Step::Vanish { tool, id } => {
                if let CallStep::Run(started) =
                    self.semel.begin(call_of(&self.what(tool, id))).await?
                {
                    std::mem::forget(started);
                }
                Ok(())
            }
            Step::Decide => self.decide().await,
            Step::CleanUp => self.clean_up().await,
        }
    }

    /// Makes a call, and records its answer at the shop before the delivery is acknowledged.
    pub async fn ask(&mut self, what: &What, reply: Reply) -> Result<Answer, Stopped> {
        let asked = self.line.ask(Request::Ask(what.clone())).as_u64().unwrap() as usize;
        let answer = if what.tool == "notify" {
            self.through_a_door(what, asked, reply).await
        } else {
            self.called(what, asked, reply).await
        };
        if let (Ok(answer), "book") = (&answer, what.tool.as_str())
            && let Some(effect) = effect(answer)
        {
            self.booked.insert(what.id.clone(), effect);
        }
        answer
    }

    async fn called(&self, what: &What, asked: usize, reply: Reply) -> Result<Answer, Stopped> {
        // Only the first request of a call has this fate; a second one is answered.
        let mut replies = std::iter::once(reply);
        let run = |ticket| {
            serve(
                Arc::clone(&self.line),
                what.clone(),
                ticket,
                replies.next().unwrap_or(Reply::Heard),
            )
        };
        let answer = self.semel.call(call_of(what), run).await?;
        self.tell(what, asked, &answer);
        Ok(answer)
    }

    /// Delivers as a server does: the acknowledgement is written after the customer has the answer.
    async fn through_a_door(
        &self,
        what: &What,
        asked: usize,
        reply: Reply,
    ) -> Result<Answer, Stopped> {
        let answered = match self.semel.begin(call_of(what)).await? {
            CallStep::Answered(answered) => *answered,
            CallStep::Run(started) => {
                let outcome = serve(
                    Arc::clone(&self.line),
                    what.clone(),
                    started.ticket.clone(),
                    reply,
                )
                .await;
                started.finish(outcome).await?
            }
        };
        let (answer, delivery) = answered.into_parts();
        self.tell(what, asked, &answer);
        if let Some(delivery) = delivery {
            delivery.acknowledge().await;
        }
        Ok(answer)
    }

    fn tell(&self, what: &What, asked: usize, answer: &Answer) {
        let recorded = answer
            .about()
            .is_some_and(|about| matches!(about.recorded, RecordStatus::Yes(_)));
        let told = Told {
            what: what.clone(),
            word: answer.word().to_owned(),
            effect: effect(answer),
            recorded,
        };
        self.line.ask(Request::Tell { asked, told });
    }

    async fn decide(&self) -> Result<(), Stopped> {
        let ledger = self.semel.ledger();
        for held in ledger.list(None, &[StateLabel::Held], 10).await? {
            let shown = held
                .record
                .attempts
                .last()
                .map_or(0, |last| last.fence.number);
            let person = Person {
                who: "ann".to_owned(),
                why: "the shop has it".to_owned(),
            };
            let decision = Decision::Landed {
                outcome: None,
                handles: Vec::new(),
            };
            ledger.decide(held.key, shown, person, decision).await?;
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), Stopped> {
        let ledger = Ledger::open((self.later)().await, KeyScheme::default()).await?;
        ledger.sweep().await?;
        ledger.forget_outcomes(Duration::ZERO).await?;
        ledger
            .erase(&Tenant::default(), ErasureScope::Content)
            .await?;
        ledger.purge(100).await?;
        Ok(())
    }
}

/// The fate of the first request of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Heard,
    /// The request never arrives, and the sender cannot know.
    Astray,
    /// It takes effect, and the reply is lost.
    Lost,
    /// It takes effect later, after the sender has given up.
    TooLate,
    /// It takes effect after a while, and is answered.
    Late,
}

/// Sends the request, and comes back with what became of it.
async fn serve(line: Arc<dyn Line>, what: What, ticket: Ticket, reply: Reply) -> Outcome {
    let header = ticket.headers.into_iter().next().map(|(_, key)| key);
    let key = header.or_else(|| {
        ticket
            .arguments
            .get("reference")
            .and_then(|own| own.as_str())
            .map(str::to_owned)
    });
    if reply == Reply::Late {
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    let way = match reply {
        Reply::Astray => return Outcome::no_answer("timed out after 30 s"),
        Reply::Heard | Reply::Late => Way::Heard,
        Reply::Lost => Way::Unheard,
        Reply::TooLate => Way::Delayed,
    };
    semel_store::failpoints::reach("before effect");
    let answer = line.ask(Request::Serve { what, key, way });
    semel_store::failpoints::reach("after effect");
    tokio::task::yield_now().await;
    if answer.is_null() {
        Outcome::no_answer("timed out after 30 s")
    } else {
        Outcome::returned(answer)
    }
}

pub fn call_of(what: &What) -> Call {
    Call::new(&*what.tool, json!({ "id": what.id, "amount": "10.00" })).unwrap()
}

/// The effect that an answer names.
pub fn effect(answer: &Answer) -> Option<String> {
    let landed = matches!(answer, Answer::Executed { .. } | Answer::Replayed { .. });
    match answer.outcome().filter(|_| landed) {
        Some(Outcome::Returned(value)) => value["id"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// All that the customers of a story ask about.
pub fn asked_in(story: &Story, prefix: &str, shop: &Shop) -> Vec<What> {
    let mut asked = Vec::new();
    for step in story.steps {
        match step {
            Step::Call { tool, id }
            | Step::Unheard { tool, id }
            | Step::Slow { tool, id }
            | Step::Vanish { tool, id } => {
                asked.push(What::new(tool, format!("{prefix}{id}")));
            }
            Step::Cancel { .. } | Step::Decide | Step::CleanUp => {}
        }
    }
    asked.sort();
    asked.dedup();
    // What was cancelled is asked about first: the bookings are another after that.
    let cancelled = shop.journal().into_iter().filter_map(|line| match line {
        crate::shop::Line::Did { what, .. }
            if what.tool == "cancel" && what.id.contains(prefix) =>
        {
            Some(what)
        }
        _ => None,
    });
    cancelled
        .collect::<Vec<_>>()
        .into_iter()
        .chain(asked)
        .collect()
}
