//! What several servers say of themselves, as one.

use super::names;
use crate::wire::{Message, MessageKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest time for which it is said that the answer holds, in milliseconds.
const HOLDS_MS_MAX: u64 = 60_000;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InitializeResult {
    protocol_version: Option<String>,
    supported_versions: Option<Vec<String>>,
    pub(super) capabilities: Value,
    instructions: Option<String>,
    ttl_ms: Option<u64>,
}

impl InitializeResult {
    /// Reads a server's response to `initialize` or `server/discover`. `None` for an error.
    pub(super) fn read(response: &Message) -> Option<Self> {
        serde_json::from_str(
            response
                .body()
                .filter(|_| response.kind() == MessageKind::Result)?,
        )
        .ok()
    }
}

/// The result for all of them, each with its name.
pub(super) fn merge(opened: &[(&str, InitializeResult)]) -> Value {
    let mut result = Map::new();
    let all = || opened.iter().map(|(_, opened)| opened);
    // A server that supports a later version supports earlier ones too.
    if let Some(version) = all()
        .filter_map(|opened| opened.protocol_version.as_ref())
        .min()
    {
        result.insert("protocolVersion".to_owned(), json!(version));
    }
    if let Some(versions) = common_versions(opened) {
        let holds_ms = all()
            .filter_map(|opened| opened.ttl_ms)
            .min()
            .unwrap_or(0)
            .min(HOLDS_MS_MAX);
        result.extend([
            ("resultType".to_owned(), json!("complete")),
            ("supportedVersions".to_owned(), json!(versions)),
            ("ttlMs".to_owned(), json!(holds_ms)),
            ("cacheScope".to_owned(), json!("private")),
        ]);
    }
    let mut capabilities = json!({});
    all().for_each(|opened| names::merge(&mut capabilities, &opened.capabilities));
    result.insert("capabilities".to_owned(), capabilities);
    let info =
        json!({ "name": "semel", "title": "Semel gateway", "version": env!("CARGO_PKG_VERSION") });
    result.insert("serverInfo".to_owned(), info);
    let said = opened.iter().filter_map(|(name, opened)| {
        Some(format!("# {name}\n\n{}", opened.instructions.as_ref()?))
    });
    let instructions: Vec<_> = said.collect();
    if !instructions.is_empty() {
        result.insert("instructions".to_owned(), json!(instructions.join("\n\n")));
    }
    Value::Object(result)
}

/// The versions that every server supports which says so.
fn common_versions(opened: &[(&str, InitializeResult)]) -> Option<Vec<String>> {
    let mut lists = opened
        .iter()
        .filter_map(|(_, opened)| opened.supported_versions.as_ref());
    let mut common = lists.next()?.clone();
    for list in lists {
        common.retain(|version| list.contains(version));
    }
    Some(common)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::wire::RequestId;

    #[test]
    fn two_servers_open_as_one() {
        let opened = |json: &str| {
            InitializeResult::read(&Message::response(
                Some(&RequestId::Number(1)),
                "result",
                json,
            ))
            .unwrap()
        };
        let git = opened(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"g","version":"1"},"instructions":"Commit."}"#,
        );
        let crm = opened(r#"{"protocolVersion":"2025-06-18","capabilities":{"prompts":{}}}"#);
        let result = merge(&[("git", git), ("crm", crm)]);
        assert_eq!(result["protocolVersion"], "2025-06-18");
        assert_eq!(
            result["capabilities"],
            json!({ "tools": {}, "prompts": {} })
        );
        assert_eq!(result["instructions"], "# git\n\nCommit.");
        assert_eq!(result["serverInfo"]["name"], "semel");
        let discovered = opened(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},"ttlMs":9}"#,
        );
        assert_eq!(merge(&[("new", discovered)])["ttlMs"], 9);
    }
}
