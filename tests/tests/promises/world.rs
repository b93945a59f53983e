//! What every promise needs: a host under a ready-made policy, and a system behind a tool that counts what it does.

use semel::{
    engine::{CodeCache, Engine, Limits, Policy},
    model::{Answer, Call, Outcome, Tenant},
    runtime::{Semel, SemelBuilder, Ticket, Tool},
    store::{MemoryStore, SqliteStore, Store},
};
use semel_conformance::{FailingStore, InjectedFailure};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

/// A policy that comes with Semel, set up so. Without it there is nothing to test, so its absence fails.
pub async fn policy(name: &str, settings: Value) -> Policy {
    let component = semel_policies::get(name).unwrap_or_else(|missing| panic!("{missing}"));
    load(component, settings).await
}

/// Any component as a policy.
pub async fn load(component: &[u8], settings: Value) -> Policy {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let mut limits = Limits::default();
        limits.decision.at_once = 8;
        // The same policies are loaded by each test, and compiled once.
        let kept = CodeCache::in_folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join("code"));
        Engine::builder(limits).cache(kept).build().unwrap()
    });
    engine.load(component, settings).await.unwrap()
}

/// The settings of `intent` for a tool that charges a card for an order. The bank's treatment of
/// repeats is unknown.
pub fn charging() -> Value {
    json!({
        "operation": "charge",
        "identity": ["order_id"],
        "content": [{ "at": "amount", "as": "money" }],
        "handles": ["charge/{/id}"],
        "verdict": [
            { "when": { "code": "card_declined" }, "effect": "refused", "reason": "the card was declined" },
            { "when": { "code": "busy" }, "effect": "absent", "reason": "the bank took nothing in" },
        ],
    })
}

/// The same where the bank is known to answer a repeat under the same key with its first answer, for a day.
pub fn charging_a_bank_that_remembers() -> Value {
    with(
        charging(),
        json!({ "target": { "header": "Idempotency-Key", "repeats": "replayed", "remembers": "24h" } }),
    )
}

/// Settings with more of them.
pub fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().cloned().unwrap();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

/// A tool under `intent`, set up so.
pub async fn intent(settings: Value) -> Tool {
    Tool::new(policy("intent", settings).await)
}

pub fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// A ledger in memory whose calls of these numbers fail, once counting has begun.
pub fn failing(calls: Range<usize>, failure: InjectedFailure) -> Arc<FailingStore> {
    Arc::new(FailingStore::new(memory(), calls, failure))
}

pub fn file(path: impl AsRef<Path>) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path).unwrap())
}

/// A secret text in the arguments of most calls, and wherever a story keeps a secret. `cargo xtask
/// test` searches the output of all tests for it.
pub const CANARY: &str = concat!("kept-quiet-", "8d1f0c5e");

/// Everything that is logged in this process from now on, also in threads of the host's own. It goes to stderr, too, which
/// nextest keeps.
pub fn log() -> String {
    static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static STARTED: OnceLock<()> = OnceLock::new();
    struct Log;
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut logged = LOGGED.lock().unwrap();
            if logged.len() < 16 << 20 {
                logged.extend_from_slice(bytes);
            }
            std::io::stderr().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    STARTED.get_or_init(|| {
        let everything = tracing_subscriber::EnvFilter::new("semel=trace,promises=trace");
        let log = tracing_subscriber::fmt()
            .with_env_filter(everything)
            .with_ansi(false)
            .with_writer(|| Log);
        log.try_init().expect("the only log of this process");
    });
    String::from_utf8(LOGGED.lock().unwrap().clone()).unwrap()
}

/// Opens a host on `store` with the guarded tool `charge`.
pub async fn host(store: Arc<dyn Store>, tool: Tool) -> Semel {
    log();
    SemelBuilder::tool(Semel::builder(store), ["charge"], tool)
        .open()
        .await
        .unwrap()
}

/// Makes a call that no story is about, so that the ledger has been used before: the first operation of a kind makes it note
/// how long such may matter.
pub async fn use_ledger(semel: &Semel) {
    let call = Call::new("charge", json!({ "order_id": "A0", "amount": "1.00" })).unwrap();
    let run = |_| async { Outcome::returned(json!({ "id": "ch_0" })) };
    semel.call(call, run).await.unwrap();
}

/// The call that most stories are about: 10.00 for the order A1.
pub fn charge() -> Call {
    charge_of(json!("10.00"))
}

pub fn charge_of(amount: Value) -> Call {
    Call::new(
        "charge",
        json!({ "order_id": "A1", "amount": amount, "note": CANARY }),
    )
    .unwrap()
}

pub fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

/// A bank that counts.
#[derive(Debug, Default)]
pub struct Bank {
    books: Mutex<Books>,
    remembers_keys: bool,
}

#[derive(Debug, Default)]
struct Books {
    requests: usize,
    charges: Vec<Value>,
    by_key: BTreeMap<String, Value>,
    replies_to_lose: usize,
    keys: Vec<Option<String>>,
}

impl Bank {
    /// One that charges whenever it is asked.
    pub fn plain() -> Arc<Self> {
        Arc::default()
    }

    /// One that answers a repeat under the same key with its first answer.
    pub fn that_remembers() -> Arc<Self> {
        Arc::new(Self {
            remembers_keys: true,
            ..Self::default()
        })
    }

    /// The next so many replies are lost on the way, after the charge.
    pub fn lose_replies(&self, replies: usize) {
        self.books.lock().unwrap().replies_to_lose = replies;
    }

    /// The number of charges.
    pub fn charges(&self) -> usize {
        self.books.lock().unwrap().charges.len()
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.books.lock().unwrap().requests
    }

    /// The keys of all requests, in their order.
    pub fn keys(&self) -> Vec<Option<String>> {
        self.books.lock().unwrap().keys.clone()
    }

    /// Takes a request in, and says what its sender gets to see.
    pub fn serve(&self, ticket: &Ticket) -> Outcome {
        let header = ticket
            .headers
            .iter()
            .find(|(name, _)| name == "Idempotency-Key");
        self.serve_key(header.map(|(_, key)| key.clone()))
    }

    /// The same for a sender without Semel.
    pub fn serve_key(&self, key: Option<String>) -> Outcome {
        let mut books = self.books.lock().unwrap();
        books.requests += 1;
        books.keys.push(key.clone());
        let known = key
            .as_ref()
            .filter(|_| self.remembers_keys)
            .and_then(|key| books.by_key.get(key).cloned());
        let charge = known.unwrap_or_else(|| {
            let charge = json!({ "id": format!("ch_{}", books.charges.len() + 1) });
            books.charges.push(charge.clone());
            if let Some(key) = key {
                books.by_key.insert(key, charge.clone());
            }
            charge
        });
        if books.replies_to_lose > 0 {
            books.replies_to_lose -= 1;
            return Outcome::no_answer("timed out after 30 s");
        }
        Outcome::returned(charge)
    }
}

/// Makes `call` of `bank` through `semel`.
pub async fn ask(semel: &Semel, call: Call, bank: &Arc<Bank>) -> Answer {
    semel
        .call(call, |ticket| {
            let bank = Arc::clone(bank);
            async move { bank.serve(&ticket) }
        })
        .await
        .unwrap()
}

/// Makes `call` of a tool that must not run.
pub async fn ask_in_vain(semel: &Semel, call: Call) -> Answer {
    semel
        .call(
            call,
            |ticket| async move { panic!("the tool ran: {ticket:?}") },
        )
        .await
        .unwrap()
}

/// The word of an answer and the charge that it names, if it names one.
pub fn told(answer: &Answer) -> (&'static str, Option<&str>) {
    let charge = match answer.outcome() {
        Some(Outcome::Returned(value)) => value["id"].as_str(),
        _ => None,
    };
    (answer.word(), charge)
}
