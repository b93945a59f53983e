//! The merged result of `initialize` or `server/discover` of several servers.

use super::names;
use crate::wire::Message;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest time for which a client may cache the result, in milliseconds.
const TTL_MS_MAX: u64 = 60_000;

/// One server's result.
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
    pub(super) fn from_response(response: &Message) -> Option<Self> {
        serde_json::from_str(response.result()?).ok()
    }
}

/// Merges the results of these servers, each with its name.
pub(super) fn merge_results(results: &[(&str, InitializeResult)]) -> Value {
    let mut result = Map::new();
    let all = || results.iter().map(|(_, result)| result);
    // A server that supports a later version supports earlier ones too.
    if let Some(version) = all()
        .filter_map(|result| result.protocol_version.as_ref())
        .min()
    {
        result.insert("protocolVersion".to_owned(), json!(version));
    }
    if let Some(versions) = common_versions(results) {
        let shortest_ttl_ms = all().filter_map(|result| result.ttl_ms).min();
        let ttl_ms = shortest_ttl_ms.unwrap_or(0).min(TTL_MS_MAX);
        result.extend([
            ("resultType".to_owned(), json!("complete")),
            ("supportedVersions".to_owned(), json!(versions)),
            ("ttlMs".to_owned(), json!(ttl_ms)),
            ("cacheScope".to_owned(), json!("private")),
        ]);
    }
    let mut capabilities = json!({});
    for result in all() {
        names::merge_capabilities(&mut capabilities, &result.capabilities);
    }
    result.insert("capabilities".to_owned(), capabilities);
    let info =
        json!({ "name": "semel", "title": "Semel gateway", "version": env!("CARGO_PKG_VERSION") });
    result.insert("serverInfo".to_owned(), info);
    let instructions: Vec<_> = results
        .iter()
        .filter_map(|(name, result)| Some(format!("# {name}\n\n{}", result.instructions.as_ref()?)))
        .collect();
    if !instructions.is_empty() {
        result.insert("instructions".to_owned(), json!(instructions.join("\n\n")));
    }
    Value::Object(result)
}

/// Returns the versions that all servers support, or `None` if no server lists any.
fn common_versions(results: &[(&str, InitializeResult)]) -> Option<Vec<String>> {
    let mut lists = results
        .iter()
        .filter_map(|(_, result)| result.supported_versions.as_ref());
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
    fn two_results_are_merged() {
        let opened = |json: &str| {
            InitializeResult::from_response(&Message::response(
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
        let result = merge_results(&[("git", git), ("crm", crm)]);
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
        assert_eq!(merge_results(&[("new", discovered)])["ttlMs"], 9);
    }
}
