//! What the processes play that are killed.

use super::{Place, agents::Agents};
use crate::{
    random::Random,
    shop::{Request, Way, What},
    stories::{
        self, Customers, HEIR, KNOWN_ONCE, Line, PATIENT, PAY_ONCE, Reply, SLOW, STORIES, Story,
        Tools,
    },
    wire::Wire,
    world::file,
};
use rustix::process::{Signal, getpid, kill_process};
use semel::runtime::Semel;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The points in the test itself, around what the shop does.
pub const EFFECT: [&str; 2] = ["before effect", "after effect"];

/// The role of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    pub folder: PathBuf,
    /// Sets the identities of this life apart from those of others.
    pub prefix: String,
    pub role: Role,
    pub ledger: Place,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Role {
    /// Lives through a story, and kills itself (or stops) as it passes a point for the n-th time; without one, counts the
    /// points.
    Live {
        story: String,
        ends: Option<(String, usize)>,
        stops: bool,
    },
    /// Asks about so many things one after the other, as others do at the same time.
    Rush { many: usize },
    /// Holds a lock with a time limit, pauses, and acts: a lease without a fence.
    Lock,
    /// Has many customers at once ask about few things, until it is killed.
    Crowd { seed: u64 },
    /// Has agents ask all day.
    Agents(Agents),
}

impl Part {
    pub fn play(&self, tools: &Tools) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        match &self.role {
            Role::Live { story, ends, stops } => {
                if story == HEIR.name {
                    runtime.block_on(self.leave_a_log(tools));
                }
                let passed = Arc::new(Mutex::new(BTreeMap::new()));
                watch(
                    ends.clone(),
                    if *stops { Signal::STOP } else { Signal::KILL },
                    &passed,
                );
                runtime.block_on(self.live(tools, story));
                let passed = passed.lock().unwrap().clone();
                self.line().ask(Request::Passed(passed));
            }
            Role::Rush { many } => runtime.block_on(self.rush(tools, *many)),
            Role::Lock => self.lock(),
            Role::Crowd { seed } => runtime.block_on(self.crowd(&tools.clone().impatient(), *seed)),
            Role::Agents(agents) => runtime.block_on(agents.work(self, tools)),
        }
    }

    pub fn line(&self) -> Arc<dyn Line> {
        Arc::new(Wire::to(&self.folder.join("shop")))
    }

    async fn live(&self, tools: &Tools, story: &str) {
        let mut customers = self.customers(tools).await;
        let stopped = customers.live(&story_of(story)).await;
        assert!(stopped.is_empty(), "{stopped:?}");
    }

    /// Customers of a host that is there already.
    pub fn customers_at(&self, semel: Semel, line: &Arc<dyn Line>) -> Customers {
        let place = self.ledger.clone();
        Customers::new(semel, line, &self.prefix, move || {
            let place = place.clone();
            async move { place.open_later().await }
        })
    }

    async fn customers(&self, tools: &Tools) -> Customers {
        let line = self.line();
        let semel = stories::host(self.ledger.open().await, tools, &line)
            .await
            .unwrap();
        self.customers_at(semel, &line)
    }

    /// The ledger of a host that ended without moving its log into the database.
    async fn leave_a_log(&self, tools: &Tools) {
        let (left, elsewhere) = (
            self.folder.join("ledger.db"),
            self.folder.join("elsewhere.db"),
        );
        let semel = stories::host(file(&elsewhere), tools, &self.line())
            .await
            .unwrap();
        let log = |ledger: &Path| ledger.with_extension("db-wal");
        fs::copy(&elsewhere, &left).unwrap();
        fs::copy(log(&elsewhere), log(&left)).unwrap();
        drop(semel);
    }

    async fn rush(&self, tools: &Tools, many: usize) {
        let mut customers = self.customers(tools).await;
        for id in 0..many {
            customers
                .ask(&What::new("pay", id.to_string()), Reply::Heard)
                .await
                .unwrap();
        }
    }

    fn lock(&self) {
        kill_process(getpid(), Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(200));
        self.line().ask(Request::Serve {
            what: What::new("pay", "locked"),
            key: None,
            way: Way::Heard,
        });
    }

    async fn crowd(&self, tools: &Tools, seed: u64) {
        let mut crowd = Vec::new();
        for customer in 0..CROWD {
            let mut customers = self.customers_of(tools, &crowd).await;
            let mut random = Random(seed.wrapping_mul(CROWD).wrapping_add(customer));
            crowd.push((
                customers.semel.clone(),
                tokio::spawn(async move {
                    loop {
                        one_of_few(&mut customers, &mut random).await;
                    }
                }),
            ));
        }
        for (_, customer) in crowd {
            customer.await.unwrap();
        }
    }

    /// All customers of a process share its host.
    async fn customers_of(
        &self,
        tools: &Tools,
        crowd: &[(Semel, tokio::task::JoinHandle<()>)],
    ) -> Customers {
        match crowd.first() {
            None => self.customers(tools).await,
            Some((semel, _)) => self.customers_at(semel.clone(), &self.line()),
        }
    }
}

const CROWD: u64 = 4;

/// The number of operations of each kind that a crowd calls.
pub const FEW: u64 = 6;

async fn one_of_few(customers: &mut Customers, random: &mut Random) {
    let id = format!("{}{}", customers.prefix, random.below(FEW));
    let reply = if random.below(8) == 0 {
        Reply::Lost
    } else {
        Reply::Heard
    };
    let what = match random.below(6) {
        0 => What::new("pay", id),
        1 => What::new("known", id),
        2 => What::new("listed", id),
        3 => What::new("notify", id),
        4 => What::new("book", id),
        _ => match customers.booking(&id) {
            Some(booking) => What::new("cancel", booking),
            None => What::new("book", id),
        },
    };
    // A crowd may find the ledger busy. Earlier answers hold all the same.
    let _ = customers.ask(&what, reply).await;
}

pub fn story_of(name: &str) -> Story {
    STORIES
        .iter()
        .chain([&SLOW, &PATIENT, &HEIR, &PAY_ONCE, &KNOWN_ONCE])
        .find(|story| story.name == name)
        .copied()
        .unwrap()
}

/// The points of the host and of the test: each is counted, and the process ends at one of them.
fn watch(
    ends: Option<(String, usize)>,
    signal: Signal,
    passed: &Arc<Mutex<BTreeMap<String, usize>>>,
) {
    let passed = Arc::clone(passed);
    semel_store::failpoints::install_hook(Box::new(move |point| {
        let mut passed = passed.lock().unwrap();
        let times = passed.entry(point.to_owned()).or_insert(0);
        *times += 1;
        if ends
            .as_ref()
            .is_some_and(|(end, nth)| end == point && nth == times)
        {
            kill_process(getpid(), signal).unwrap();
            // Another thread may take the signal, and until it does this one must not pass the point.
            thread::sleep(Duration::from_millis(200));
        }
    }));
}
