//! A shop behind the tools of the fault stories. Its journal holds, in one order, its effects and
//! the answers that its customers got. Whatever happened to the hosts in between, the promise is
//! checked on the journal alone.

mod audit;

pub use audit::Fault;

use audit::Audit;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, MutexGuard},
};

/// A request to the shop: a tool and its subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct What {
    pub tool: String,
    pub id: String,
}

impl What {
    pub fn new(tool: &str, id: impl Into<String>) -> Self {
        Self {
            tool: tool.to_owned(),
            id: id.into(),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tool, self.id)
    }
}

/// One line of the journal.
#[derive(Debug, Clone)]
pub enum Line {
    /// A customer begins to ask.
    Asks(What),
    /// It took effect.
    Did { what: What, effect: String },
    /// A customer that called at the line `asked` got this answer.
    Told { asked: usize, told: Told },
}

/// A customer's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    pub what: What,
    pub word: String,
    /// The effect that the answer names, if it names one.
    pub effect: Option<String>,
    /// True if the answer says that it is recorded.
    pub recorded: bool,
}

/// The fate of a request that reached the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// It is done, and the reply arrives.
    Heard,
    /// It is done, and the reply is lost.
    Unheard,
    /// The shop does it later and sends no reply.
    Delayed,
}

/// A message to the shop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// A customer begins to ask. The reply is the number of that line.
    Ask(What),
    /// Do it, and reply with the result; none where the reply is lost.
    Serve {
        what: What,
        key: Option<String>,
        way: Way,
    },
    /// List the effects under this key.
    List { key: String },
    /// A customer got this answer.
    Tell { asked: usize, told: Told },
    /// A process passed these points so often.
    Passed(BTreeMap<String, usize>),
}

/// The shop. It recognises keys at the tool `known` only.
#[derive(Debug, Default)]
pub struct Shop(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    journal: Vec<Line>,
    by_key: HashMap<String, String>,
    effects: HashMap<What, usize>,
    passed: BTreeMap<String, usize>,
    requests: usize,
    delayed: Vec<(What, Option<String>)>,
}

impl Shop {
    /// Takes a request in, and says what its sender gets to see.
    pub fn answer(&self, request: Request) -> Value {
        let mut books = self.books();
        match request {
            Request::Ask(what) => {
                books.journal.push(Line::Asks(what));
                json!(books.journal.len() - 1)
            }
            Request::Serve { what, key, way } => {
                books.requests += 1;
                match way {
                    Way::Heard => json!({ "id": books.serve(what, key) }),
                    Way::Unheard => {
                        books.serve(what, key);
                        Value::Null
                    }
                    Way::Delayed => {
                        books.delayed.push((what, key));
                        Value::Null
                    }
                }
            }
            Request::List { key } => {
                let found = books
                    .by_key
                    .get(&key)
                    .map(|effect| json!({ "id": effect, "reference": key }));
                Value::Array(found.into_iter().collect())
            }
            Request::Tell { asked, told } => {
                books.journal.push(Line::Told { asked, told });
                Value::Null
            }
            Request::Passed(passed) => {
                books.passed = passed;
                Value::Null
            }
        }
    }

    /// The number of requests to the shop.
    pub fn requests(&self) -> usize {
        self.books().requests
    }

    /// Does what was delayed.
    pub fn catch_up(&self) {
        let mut books = self.books();
        for (what, key) in std::mem::take(&mut books.delayed) {
            books.serve(what, key);
        }
    }

    /// The number of effects of `what`.
    pub fn effects(&self, what: &What) -> usize {
        self.books().effects.get(what).copied().unwrap_or(0)
    }

    /// The points that the last process to say so passed, and how often.
    pub fn passed(&self) -> BTreeMap<String, usize> {
        self.books().passed.clone()
    }

    /// The faults in the journal; none if Semel keeps its promise.
    pub fn faults(&self) -> Vec<Fault> {
        let mut audit = Audit::default();
        self.books()
            .journal
            .iter()
            .filter_map(|line| audit.read(line))
            .collect()
    }

    pub fn journal(&self) -> Vec<Line> {
        self.books().journal.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

impl Books {
    fn serve(&mut self, what: What, key: Option<String>) -> String {
        let known = key
            .as_ref()
            .filter(|_| what.tool == "known")
            .and_then(|key| self.by_key.get(key));
        if let Some(effect) = known {
            return effect.clone();
        }
        let times = self.effects.entry(what.clone()).or_insert(0);
        *times += 1;
        let effect = format!("{}:{}#{times}", what.tool, what.id);
        if let Some(key) = key {
            self.by_key.insert(key, effect.clone());
        }
        self.journal.push(Line::Did {
            what,
            effect: effect.clone(),
        });
        effect
    }
}

#[test]
fn the_journal_tells_what_is_wrong() {
    let shop = Shop::default();
    let serve = |tool: &str, id: &str| {
        shop.answer(Request::Serve {
            what: What::new(tool, id),
            key: None,
            way: Way::Heard,
        })
    };
    serve("book", "G");
    serve("cancel", "book:G#1");
    serve("book", "G");
    assert_eq!(shop.faults(), []);
    serve("book", "G");
    serve("pay", "A");
    serve("pay", "A");
    assert_eq!(
        shop.faults(),
        [
            Fault::Twice("book:G#3".to_owned()),
            Fault::Twice("pay:A#2".to_owned())
        ]
    );
}
