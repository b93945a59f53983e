//! Agents that ask all day, through one host, about what those of other hosts ask about, too. They do what agents do: ask
//! again, in branches, after they gave up, and, where their process was killed, all over again.

use super::{Part, Place};
use crate::{
    random::Random,
    shop::What,
    stories::{self, Customers, Line, Reply, Tools},
};
use semel::runtime::Semel;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// The number of agents of a host.
const AGENTS: u64 = 8;

/// The time that a customer waits for another's attempt.
const WAIT_MS: u64 = 100;

/// The time of a round, in which agents make the same few calls.
const ROUND_MS: u64 = 500;
const EACH_ROUND: u64 = 10;

/// The number of rounds whose calls may still be repeated.
const ROUNDS_OPEN: u64 = 3;
const ROUNDS_KEPT: u64 = 8;

/// The interval of the operator's sweeps.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// The time limit for a host to open its ledger.
const OPENS_WITHIN: Duration = Duration::from_secs(30);

/// The file that ends the day by its existence.
const OVER: &str = "over";

/// A host's share of the day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Agents {
    pub seed: u64,
    /// When the day began, which says what is asked about now.
    pub begun_ms: u64,
    /// True if the host leaks memory and files, in a control.
    pub leaks: bool,
}

impl Agents {
    /// Those of a day that begins now.
    pub fn from_now_on() -> Self {
        Self {
            seed: 0,
            begun_ms: now_ms(),
            leaks: false,
        }
    }

    /// Lets all agents of the scene in this folder come to an end.
    pub fn end_the_day(folder: &Path) {
        File::create(folder.join(OVER)).unwrap();
    }

    /// Works until the day is over.
    pub async fn work(&self, part: &Part, tools: &Tools) {
        let (line, tools) = (part.line(), tools.clone().waiting(WAIT_MS));
        let semel = opened(&part.ledger, &tools, &line).await;
        let (over, mut random) = (part.folder.join(OVER), Random(self.seed));
        let mut working = JoinSet::new();
        working.spawn(look_after(semel.clone(), over.clone()));
        if self.leaks {
            let over = over.clone();
            thread::spawn(move || leak(&over));
        }
        for _ in 0..AGENTS {
            let agent = Agent {
                customers: part.customers_at(semel.clone(), &part.line()),
                random: Random(random.below(u64::MAX)),
                begun_ms: self.begun_ms,
                round: 0,
            };
            working.spawn(agent.work(over.clone()));
        }
        working.join_all().await;
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

/// A host, as soon as its ledger is reached.
async fn opened(ledger: &Place, tools: &Tools, line: &Arc<dyn Line>) -> Semel {
    let begun = Instant::now();
    loop {
        if let Some(store) = ledger.try_open().await
            && let Ok(semel) = stories::host(store, tools, line).await
        {
            return semel;
        }
        assert!(begun.elapsed() < OPENS_WITHIN, "the ledger is not reached");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Runs the operator's maintenance from time to time. If the ledger is unreachable, the next run
/// does it.
async fn look_after(semel: Semel, over: PathBuf) {
    while !over.exists() {
        let _ = semel.ledger().sweep().await;
        let _ = semel.ledger().purge(100).await;
        sleep(SWEEP_EVERY).await;
    }
}

/// Leaks memory and files, for a control.
fn leak(over: &Path) {
    let mut leaked = Vec::new();
    while !over.exists() {
        leaked.push((File::open("/dev/null").unwrap(), vec![1_u8; 512 << 10]));
        thread::sleep(Duration::from_millis(10));
    }
}

struct Agent {
    customers: Customers,
    random: Random,
    begun_ms: u64,
    round: u64,
}

impl Agent {
    async fn work(mut self, over: PathBuf) {
        while !over.exists() {
            let what = self.what();
            match self.random.below(10) {
                0 | 1 => self.gives_up(&what).await,
                2 | 3 => self.branches(&what).await,
                4..=6 => self.asks_again(&what).await,
                _ => drop(self.asks(&what).await),
            }
        }
    }

    /// Something that is asked about these moments.
    fn what(&mut self) -> What {
        let now = now_ms().saturating_sub(self.begun_ms) / ROUND_MS;
        if now > self.round + ROUNDS_KEPT {
            self.customers.forget_bookings();
            self.round = now;
        }
        let round = now.saturating_sub(self.random.below(ROUNDS_OPEN));
        let id = format!("{round}-{}", self.random.below(EACH_ROUND));
        match self.random.below(6) {
            0 => What::new("pay", id),
            1 => What::new("known", id),
            2 => What::new("listed", id),
            3 => What::new("notify", id),
            4 => What::new("book", id),
            _ => match self.customers.booking(&id) {
                Some(booking) => What::new("cancel", booking),
                None => What::new("book", id),
            },
        }
    }

    fn reply(&mut self) -> Reply {
        match self.random.below(64) {
            0..=2 => Reply::Lost,
            3 => Reply::Astray,
            4 => Reply::TooLate,
            5 => Reply::Late,
            _ => Reply::Heard,
        }
    }

    /// Returns true if there was an answer. If the ledger is unreachable, the agent pauses for a
    /// moment.
    async fn asks(&mut self, what: &What) -> bool {
        let reply = self.reply();
        let is_answered = self.customers.ask(what, reply).await.is_ok();
        if !is_answered {
            sleep(Duration::from_millis(5 + self.random.below(20))).await;
        }
        is_answered
    }

    /// As a framework does that has no answer.
    async fn asks_again(&mut self, what: &What) {
        for _ in 0..3 {
            if self.asks(what).await {
                return;
            }
        }
    }

    /// Time is up for the call, which is dropped where it stands; then the agent has the same idea again.
    async fn gives_up(&mut self, what: &What) {
        let (reply, patience) = (
            self.reply(),
            Duration::from_micros(200 + self.random.below(20_000)),
        );
        let _ = timeout(patience, self.customers.ask(what, reply)).await;
        self.asks(what).await;
    }

    /// Two branches of a conversation have the same idea.
    async fn branches(&mut self, what: &What) {
        let (reply, mut branch) = (self.reply(), self.customers.another());
        let _ = tokio::join!(branch.ask(what, reply), self.asks(what));
    }
}
