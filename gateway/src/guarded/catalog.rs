//! What a server says of its tools: claims, handed to policies as facts. That a call does not fit what its server says is one,
//! too: a policy that hears a server turn the call away has a second witness in it.

mod arguments;

use super::{own_id, parameters::Parameters, protocol_meta, waiting};
use crate::{
    link::{Exchange, Upstream},
    wire::{Kind, Members, Message, method},
};
use arguments::Arguments;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most pages of a list that the gateway itself asks for.
const PAGES_MAX: usize = 64;

/// The most tools that are remembered.
const TOOLS_MAX: usize = 10_000;

/// How long a server may take to list all of its tools for the gateway. A call that waits for that goes on then, as one of
/// whose tool nothing is known.
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// How long a server that did not answer is not asked again.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What is known of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    /// What its server says of it.
    pub(super) hints: Hints,
    /// Whether its results have a schema.
    pub(super) has_output_schema: bool,
    /// Whether its server lists its tools, and this is none of them.
    is_unlisted: bool,
    /// What its server says of its arguments.
    arguments: Arguments,
    /// Which of its arguments are repeated in headers.
    pub(super) parameters: Parameters,
}

impl Known {
    /// What is known of a call with these arguments, as facts.
    pub(super) fn facts(
        &self,
        arguments: &Map<String, Value>,
    ) -> impl Iterator<Item = (&'static str, Value)> {
        let contradicted = [
            ("server.lists-tool", self.is_unlisted),
            ("arguments.fit", !self.arguments.may_be(arguments)),
        ];
        let contradicted = contradicted
            .into_iter()
            .filter(|(_, is_contradicted)| *is_contradicted);
        self.hints
            .facts()
            .chain(contradicted.map(|(name, _)| (name, Value::from(false))))
    }
}

/// A server's claims about a tool; none: it claims nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Hints {
    read_only_hint: Option<bool>,
    destructive_hint: Option<bool>,
    idempotent_hint: Option<bool>,
    open_world_hint: Option<bool>,
}

impl Hints {
    /// Whether it claims to read only; two claims that contradict each other are none.
    pub(super) fn only_reads(&self) -> bool {
        self.read_only_hint == Some(true) && self.destructive_hint != Some(true)
    }

    fn facts(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let facts = [
            ("hint.read-only", self.read_only_hint),
            ("hint.destructive", self.destructive_hint),
            ("hint.idempotent", self.idempotent_hint),
            ("hint.open-world", self.open_world_hint),
        ];
        facts
            .into_iter()
            .filter_map(|(name, hint)| Some((name, Value::from(hint?))))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    // Whatever is not as the protocol has it is no claim.
    #[serde(default)]
    annotations: Value,
    #[serde(default)]
    input_schema: Value,
    #[serde(default)]
    output_schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Listed>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one, which begins here.
    Page(String),
    /// No more.
    Nothing,
    /// More than is remembered.
    Unread,
}

/// The tools of one server.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    tools: Mutex<Tools>,
}

#[derive(Debug, Default)]
struct Tools {
    known: HashMap<String, Arc<Known>>,
    /// Those that only read, by their server's word, in its order.
    read_only: Vec<String>,
    extent: Extent,
    /// Until when the server is not asked: it did not answer.
    silent_until: Option<Instant>,
    /// How often what was known was forgotten.
    edition: u64,
}

/// How much of what a server lists is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Extent {
    /// What was seen of it by chance.
    #[default]
    Parts,
    /// As much as it tells.
    AsTold,
    /// All of it.
    Whole,
}

/// What came of asking a server for its list.
enum Asked {
    /// It said nothing in time.
    Silent,
    /// The question or its answer was lost.
    Lost,
    /// It told so much.
    Told(Extent),
}

impl Tools {
    /// What is known of the tool; none: its server must be asked.
    fn of(&self, name: &str) -> Option<Arc<Known>> {
        if let Some(known) = self.known.get(name) {
            return Some(Arc::clone(known));
        }
        let is_silent = self
            .silent_until
            .is_some_and(|until| Instant::now() < until);
        let unlisted = || {
            Arc::new(Known {
                is_unlisted: self.extent == Extent::Whole,
                ..Known::default()
            })
        };
        (self.extent != Extent::Parts || is_silent).then(unlisted)
    }
}

impl Tools {
    /// Remembers a tool. What is claimed of one name in two ways is not claimed.
    fn add(&mut self, listed: Listed) {
        let mut hints = Hints::deserialize(&listed.annotations).unwrap_or_default();
        let mut has_output_schema = listed.output_schema.is_some();
        let mut arguments = Arguments::of_schema(&listed.input_schema);
        if let Some(before) = self.known.get(&listed.name) {
            if before.hints != hints {
                hints = Hints::default();
                has_output_schema |= before.has_output_schema;
            }
            if before.arguments != arguments {
                arguments = Arguments::default();
            }
        }
        self.read_only
            .retain(|name| *name != listed.name || hints.only_reads());
        if hints.only_reads() && !self.read_only.contains(&listed.name) {
            self.read_only.push(listed.name.clone());
        }
        let parameters = Parameters::of(&listed.input_schema);
        let known = Known {
            hints,
            has_output_schema,
            is_unlisted: false,
            arguments,
            parameters,
        };
        self.known.insert(listed.name, Arc::new(known));
    }
}

impl Catalog {
    /// Remembers a page of tools, and tells what follows it; none: it is no such page.
    pub(super) fn learn(&self, response: &Message) -> Option<Next> {
        let body = response
            .body()
            .filter(|_| response.kind() == Kind::Result)?;
        let page: Page = serde_json::from_str(body).ok()?;
        let mut tools = self.tools();
        for listed in page.tools {
            if tools.known.len() >= TOOLS_MAX && !tools.known.contains_key(&listed.name) {
                return Some(Next::Unread);
            }
            tools.add(listed);
        }
        Some(page.next_cursor.map_or(Next::Nothing, Next::Page))
    }

    /// What was learnt may no longer hold.
    pub(super) fn forget(&self) {
        let mut tools = self.tools();
        *tools = Tools {
            edition: tools.edition + 1,
            ..Tools::default()
        };
    }

    /// What is known of the tool. A server whose list was not seen yet is asked for it, with the metadata of the request
    /// at hand; where it does not tell, nothing is known.
    pub(super) async fn tool(
        &self,
        name: &str,
        below: &Arc<dyn Upstream>,
        exchange: &Exchange,
        request_meta: &Members,
    ) -> Arc<Known> {
        let found = self.tools().of(name);
        match found {
            Some(known) => known,
            None => {
                self.ask(below, exchange, request_meta).await;
                self.tools().of(name).unwrap_or_default()
            }
        }
    }

    /// Tools that only read, those first whose names share a word with this one's.
    pub(super) fn look_with(&self, name: &str) -> Vec<String> {
        let words = |name: &str| -> Vec<String> {
            let parts = name
                .split(|letter: char| !letter.is_alphanumeric())
                .map(str::to_lowercase);
            parts.filter(|part| !part.is_empty()).collect()
        };
        let own = words(name);
        let mut others: Vec<_> = self
            .tools()
            .read_only
            .iter()
            .filter(|other| *other != name)
            .cloned()
            .collect();
        others.sort_by_key(|other| !words(other).iter().any(|word| own.contains(word)));
        others
    }

    /// Asks for the whole list. One that was forgotten meanwhile is none.
    async fn ask(&self, below: &Arc<dyn Upstream>, exchange: &Exchange, request_meta: &Members) {
        let edition = self.tools().edition;
        let listed = self.pages(below, &exchange.unheard(), request_meta).await;
        let mut tools = self.tools();
        match listed {
            Asked::Silent => tools.silent_until = Some(Instant::now() + SILENT_FOR),
            Asked::Lost => {}
            Asked::Told(extent) if tools.edition == edition => tools.extent = extent,
            Asked::Told(_) => {}
        }
    }

    async fn pages(
        &self,
        below: &Arc<dyn Upstream>,
        exchange: &Exchange,
        request_meta: &Members,
    ) -> Asked {
        let until = Instant::now() + LISTED_WITHIN;
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let request = page(cursor.as_deref(), request_meta);
            match waiting::ask_until(until, below, request, exchange).await {
                None => return Asked::Silent,
                Some(Err(_)) => return Asked::Lost,
                Some(Ok(response)) => match self.learn(&response) {
                    Some(Next::Page(next)) => cursor = Some(next),
                    Some(Next::Nothing) => return Asked::Told(Extent::Whole),
                    Some(Next::Unread) | None => return Asked::Told(Extent::AsTold),
                },
            }
        }
        Asked::Told(Extent::AsTold)
    }

    fn tools(&self) -> MutexGuard<'_, Tools> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request for the page of tools that begins there.
fn page(cursor: Option<&str>, request_meta: &Members) -> Message {
    let mut params = Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), Value::from(cursor));
    }
    let own = protocol_meta(request_meta);
    if !own.is_empty() {
        params.insert("_meta".to_owned(), Value::Object(own));
    }
    Message::request(
        &own_id(),
        method::TOOLS_LIST,
        &Value::Object(params).to_string(),
    )
}

#[cfg(test)]
mod tests;
