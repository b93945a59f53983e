//! The catalog of a server's tools: what the server declares about each, which policies get as
//! facts. A call that does not fit its tool's schema is a fact too: a policy that sees the server
//! reject such a call has a second witness for it.

mod argument_schema;

use super::{header_parameters::HeaderParameters, new_request_id, protocol_meta, timeout};
use crate::{
    layer::{RequestContext, Upstream},
    wire::{JsonMembers, Message, MessageKind, method},
};
use argument_schema::ArgumentSchema;
use parking_lot::{Mutex, MutexGuard};
use semel::json::JsonMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The most pages of a list that the gateway itself requests.
const PAGES_MAX: usize = 64;

/// The most tools that are remembered.
const TOOLS_MAX: usize = 10_000;

/// The timeout of a server's whole list. A call that waits for it continues then, and nothing is
/// known of its tool.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// The time without another request for the list, after a server did not answer one.
const RETRY_LIST_AFTER: Duration = Duration::from_secs(60);

/// The description of a tool. By default nothing is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ToolInfo {
    pub(super) hints: ToolHints,
    pub(super) has_output_schema: bool,
    /// The server lists its tools, and this one is not among them.
    is_unlisted: bool,
    argument_schema: ArgumentSchema,
    pub(super) header_parameters: HeaderParameters,
}

impl ToolInfo {
    /// Returns the facts about a call with these arguments.
    pub(super) fn facts(&self, arguments: &JsonMap) -> impl Iterator<Item = (&'static str, Value)> {
        let mut facts: Vec<_> = self.hints.facts().collect();
        if self.is_unlisted {
            facts.push(("server.lists-tool", Value::from(false)));
        }
        if !self.argument_schema.accepts(arguments) {
            facts.push(("arguments.fit", Value::from(false)));
        }
        facts.into_iter()
    }
}

/// A server's annotations of a tool.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ToolHints {
    read_only_hint: Option<bool>,
    destructive_hint: Option<bool>,
    idempotent_hint: Option<bool>,
    open_world_hint: Option<bool>,
}

impl ToolHints {
    /// Returns whether the tool is declared read-only. Two annotations that contradict each other
    /// declare nothing.
    pub(super) fn is_read_only(&self) -> bool {
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
struct ListedTool {
    name: String,
    // A value of another shape than the protocol's declares nothing, and must not fail the whole
    // page.
    #[serde(default)]
    annotations: Value,
    #[serde(default)]
    input_schema: Value,
    #[serde(default)]
    output_schema: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolPage {
    tools: Vec<ListedTool>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The continuation of a list after one of its pages.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// Another page begins at this cursor.
    Cursor(String),
    /// The list is complete.
    End,
    /// The catalog is full.
    CatalogFull,
}

/// The tools of one server.
#[derive(Debug, Default)]
pub(super) struct ToolCatalog {
    tools: Mutex<CatalogState>,
}

#[derive(Debug, Default)]
struct CatalogState {
    tools: HashMap<String, Arc<ToolInfo>>,
    /// The tools that are declared read-only, in the server's order.
    read_only: Vec<String>,
    coverage: ListCoverage,
    /// The time before which the server is not asked again, because it did not answer.
    silent_until: Option<Instant>,
    /// The number of times that the catalog was cleared.
    edition: u64,
}

/// The part of a server's list that the catalog holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ListCoverage {
    /// Pages that clients requested.
    #[default]
    Partial,
    /// All pages that could be read, but not the whole list.
    Truncated,
    /// The whole list.
    Complete,
}

/// The result of a request for the whole list.
enum ListResult {
    TimedOut,
    /// A request has no response.
    NoResponse,
    Read(ListCoverage),
}

impl CatalogState {
    /// Returns the tool's description, or `None` if the server must be asked for it.
    fn find(&self, name: &str) -> Option<Arc<ToolInfo>> {
        if let Some(tool) = self.tools.get(name) {
            return Some(Arc::clone(tool));
        }
        let is_silent = self
            .silent_until
            .is_some_and(|until| Instant::now() < until);
        if self.coverage == ListCoverage::Partial && !is_silent {
            return None;
        }
        Some(Arc::new(ToolInfo {
            is_unlisted: self.coverage == ListCoverage::Complete,
            ..ToolInfo::default()
        }))
    }

    /// Adds a tool. Two descriptions of one name cancel each other where they differ.
    fn add(&mut self, listed: ListedTool) {
        let mut hints = ToolHints::deserialize(&listed.annotations).unwrap_or_default();
        let mut has_output_schema = listed.output_schema.is_some();
        let mut argument_schema = ArgumentSchema::from_json(&listed.input_schema);
        if let Some(before) = self.tools.get(&listed.name) {
            if before.hints != hints {
                // Either server response may be wrong, so neither relaxes the guard.
                hints = ToolHints::default();
                has_output_schema |= before.has_output_schema;
            }
            if before.argument_schema != argument_schema {
                argument_schema = ArgumentSchema::default();
            }
        }
        self.read_only
            .retain(|name| *name != listed.name || hints.is_read_only());
        if hints.is_read_only() && !self.read_only.contains(&listed.name) {
            self.read_only.push(listed.name.clone());
        }
        let tool = ToolInfo {
            hints,
            has_output_schema,
            is_unlisted: false,
            argument_schema,
            header_parameters: HeaderParameters::from_schema(&listed.input_schema),
        };
        self.tools.insert(listed.name, Arc::new(tool));
    }
}

impl ToolCatalog {
    /// Adds a page of tools, and returns what follows it, or `None` if the response is no such
    /// page.
    pub(super) fn add_page(&self, response: &Message) -> Option<NextPage> {
        if response.kind() != MessageKind::Result {
            return None;
        }
        let page: ToolPage = serde_json::from_str(response.body()?).ok()?;
        let mut state = self.state();
        for listed in page.tools {
            if state.tools.len() >= TOOLS_MAX && !state.tools.contains_key(&listed.name) {
                // Known tools above are still updated.
                return Some(NextPage::CatalogFull);
            }
            state.add(listed);
        }
        Some(match page.next_cursor {
            Some(cursor) => NextPage::Cursor(cursor),
            None => NextPage::End,
        })
    }

    /// Clears the catalog after its server reported a change.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        *state = CatalogState {
            edition: state.edition + 1,
            ..CatalogState::default()
        };
    }

    /// Returns the tool's description. If the list was not read so far, requests it first, with the
    /// metadata of the client's own request. Without a response nothing is known of the tool.
    pub(super) async fn find_tool(
        &self,
        name: &str,
        below: &Arc<dyn Upstream>,
        context: &RequestContext,
        request_meta: &JsonMembers,
    ) -> Arc<ToolInfo> {
        // The lock must not be held while the server is asked.
        let known = self.state().find(name);
        if let Some(tool) = known {
            return tool;
        }
        self.request_list(below, context, request_meta).await;
        self.state().find(name).unwrap_or_default()
    }

    /// Returns the read-only tools that may show an effect of this one. Tools that share a word
    /// with its name come first.
    pub(super) fn lookup_tools(&self, name: &str) -> Vec<String> {
        let own_words = name_words(name);
        let mut others: Vec<_> = self
            .state()
            .read_only
            .iter()
            .filter(|other| *other != name)
            .cloned()
            .collect();
        others.sort_by_key(|other| {
            let is_related = name_words(other)
                .iter()
                .any(|word| own_words.contains(word));
            !is_related
        });
        others
    }

    /// Requests the whole list from the server.
    async fn request_list(
        &self,
        below: &Arc<dyn Upstream>,
        context: &RequestContext,
        request_meta: &JsonMembers,
    ) {
        let edition = self.state().edition;
        let result = self
            .request_pages(below, &context.without_client(), request_meta)
            .await;
        let mut state = self.state();
        match result {
            ListResult::TimedOut => {
                state.silent_until = Some(Instant::now() + RETRY_LIST_AFTER);
            }
            ListResult::NoResponse => {}
            ListResult::Read(coverage) => {
                // A list that changed meanwhile is only partly read.
                if state.edition == edition {
                    state.coverage = coverage;
                }
            }
        }
    }

    async fn request_pages(
        &self,
        below: &Arc<dyn Upstream>,
        context: &RequestContext,
        request_meta: &JsonMembers,
    ) -> ListResult {
        // One deadline for all pages: a call waits for the whole list.
        let deadline = Instant::now() + LIST_TIMEOUT;
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let request = page_request(cursor.as_deref(), request_meta);
            let response = match timeout::request_until(deadline, below, request, context).await {
                None => return ListResult::TimedOut,
                Some(Err(_)) => return ListResult::NoResponse,
                Some(Ok(response)) => response,
            };
            match self.add_page(&response) {
                Some(NextPage::Cursor(next)) => cursor = Some(next),
                Some(NextPage::End) => return ListResult::Read(ListCoverage::Complete),
                Some(NextPage::CatalogFull) | None => break,
            }
        }
        ListResult::Read(ListCoverage::Truncated)
    }

    fn state(&self) -> MutexGuard<'_, CatalogState> {
        self.tools.lock()
    }
}

fn name_words(name: &str) -> Vec<String> {
    name.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Returns the request for the page of tools at this cursor.
fn page_request(cursor: Option<&str>, request_meta: &JsonMembers) -> Message {
    let mut params = Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), Value::from(cursor));
    }
    let meta = protocol_meta(request_meta);
    if !meta.is_empty() {
        params.insert("_meta".to_owned(), Value::Object(meta));
    }
    Message::request(
        &new_request_id(),
        method::TOOLS_LIST,
        &Value::Object(params).to_string(),
    )
}

#[cfg(test)]
mod tests;
