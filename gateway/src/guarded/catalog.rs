//! What a server says of its tools: claims, handed to policies as facts.

use super::{own_id, protocol_meta};
use crate::{
    link::{Exchange, Upstream},
    wire::{Kind, Members, Message, method},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most pages of a list that the gateway itself asks for.
const PAGES_MAX: usize = 64;

/// The most tools that are remembered.
const TOOLS_MAX: usize = 10_000;

/// What is known of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    /// What its server says of it.
    pub(super) hints: Hints,
    /// Whether its results have a schema.
    pub(super) has_output_schema: bool,
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

    /// As facts.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let facts = [
            ("hint.read-only", self.read_only_hint),
            ("hint.destructive", self.destructive_hint),
            ("hint.idempotent", self.idempotent_hint),
            ("hint.open-world", self.open_world_hint),
        ];
        facts.into_iter().filter_map(|(name, hint)| Some((name, Value::from(hint?))))
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
    output_schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Listed>,
    #[serde(default)]
    next_cursor: Option<String>,
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
    /// Whether all that the server lists is known.
    is_whole: bool,
}

impl Tools {
    /// Remembers a tool. What is claimed of one name in two ways is not claimed.
    fn add(&mut self, listed: Listed) {
        let mut hints = Hints::deserialize(&listed.annotations).unwrap_or_default();
        let mut has_output_schema = listed.output_schema.is_some();
        if let Some(before) = self.known.get(&listed.name).filter(|before| before.hints != hints) {
            hints = Hints::default();
            has_output_schema |= before.has_output_schema;
        }
        self.read_only.retain(|name| *name != listed.name || hints.only_reads());
        if hints.only_reads() && !self.read_only.contains(&listed.name) {
            self.read_only.push(listed.name.clone());
        }
        self.known.insert(listed.name, Arc::new(Known { hints, has_output_schema }));
    }
}

impl Catalog {
    /// Remembers a page of tools, and tells where the next one begins.
    pub(super) fn learn(&self, response: &Message) -> Option<String> {
        let body = response.body().filter(|_| response.kind() == Kind::Result)?;
        let page: Page = serde_json::from_str(body).ok()?;
        let mut tools = self.tools();
        for listed in page.tools {
            if tools.known.len() >= TOOLS_MAX && !tools.known.contains_key(&listed.name) {
                break;
            }
            tools.add(listed);
        }
        page.next_cursor
    }

    /// What was learnt may no longer hold.
    pub(super) fn forget(&self) {
        *self.tools() = Tools::default();
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
        let found = {
            let tools = self.tools();
            tools.known.get(name).cloned().or_else(|| tools.is_whole.then(Arc::default))
        };
        match found {
            Some(known) => known,
            None => {
                self.ask(below, exchange, request_meta).await;
                self.tools().known.get(name).cloned().unwrap_or_default()
            }
        }
    }

    /// Tools that only read, those first whose names share a word with this one's.
    pub(super) fn look_with(&self, name: &str) -> Vec<String> {
        let words = |name: &str| -> Vec<String> {
            let parts = name.split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase);
            parts.filter(|part| !part.is_empty()).collect()
        };
        let own = words(name);
        let mut others: Vec<_> = self.tools().read_only.iter().filter(|other| *other != name).cloned().collect();
        others.sort_by_key(|other| !words(other).iter().any(|word| own.contains(word)));
        others
    }

    async fn ask(&self, below: &Arc<dyn Upstream>, exchange: &Exchange, request_meta: &Members) {
        let exchange = exchange.unheard();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let Ok(response) = below.ask(page(cursor.as_deref(), request_meta), &exchange).await else { return };
            cursor = self.learn(&response);
            if cursor.is_none() {
                break;
            }
        }
        self.tools().is_whole = true;
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
    Message::request(&own_id(), method::TOOLS_LIST, &Value::Object(params).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Id;

    #[test]
    fn claims_become_facts_and_what_is_no_claim_does_not() {
        let catalog = Catalog::default();
        let page = r#"{"tools":[
            {"name":"a","annotations":{"readOnlyHint":true,"title":"A"},"outputSchema":{}},
            {"name":"b","annotations":{"readOnlyHint":"yes"}},
            {"name":"c"}],"nextCursor":"2"}"#;
        assert_eq!(catalog.learn(&Message::response(Some(&Id::Number(1)), "result", page)).as_deref(), Some("2"));
        let facts = |name: &str| -> Vec<_> {
            catalog.tools().known.get(name).map(|tool| tool.hints.facts().collect()).unwrap_or_default()
        };
        assert_eq!(facts("a"), [("hint.read-only", Value::from(true))]);
        assert!(facts("b").is_empty() && facts("c").is_empty());
    }

    #[test]
    fn tools_to_look_with_only_read_and_the_likeliest_come_first() {
        let catalog = Catalog::default();
        let page = r#"{"tools":[
            {"name":"list_users","annotations":{"readOnlyHint":true}},
            {"name":"get_refund","annotations":{"readOnlyHint":true}},
            {"name":"wipe","annotations":{"readOnlyHint":true,"destructiveHint":true}},
            {"name":"create_refund"}]}"#;
        catalog.learn(&Message::response(Some(&Id::Number(1)), "result", page));
        assert_eq!(catalog.look_with("create_refund"), ["get_refund", "list_users"]);
    }
}
