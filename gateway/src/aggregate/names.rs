//! The prefixed names of several servers' tools and prompts, and the servers that they belong to.

use crate::wire::Message;
use serde_json::Value;

/// Returns the server that a name belongs to, and its name there. The longest prefix counts, so a
/// server without a prefix owns the names without any other.
pub(super) fn find_owner<'n>(prefixes: &[String], name: &'n str) -> Option<(usize, &'n str)> {
    let fits = prefixes
        .iter()
        .enumerate()
        .filter_map(|(index, prefix)| Some((index, prefix, name.strip_prefix(prefix.as_str())?)));
    fits.max_by_key(|(_, prefix, _)| prefix.len())
        .map(|(index, _, own)| (index, own))
}

/// Returns a request with another name in its parameters.
pub(super) fn with_name(request: &Message, name: &str) -> Option<Message> {
    request.with_changed_members(|params| params.set("name", &name).ok())
}

/// Returns a completion request with another name of its prompt.
pub(super) fn with_prompt_name(request: &Message, name: &str) -> Option<Message> {
    request.with_changed_members(|params| {
        let mut reference = params.object("ref").ok()?;
        reference.set("name", &name).ok()?;
        params.set("ref", &reference).ok()
    })
}

/// Merges the capabilities of two servers: the result has each capability of either.
pub(super) fn merge_capabilities(all: &mut Value, one: &Value) {
    match (all, one) {
        (Value::Object(all), Value::Object(one)) => {
            for (name, value) in one {
                merge_capabilities(all.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Bool(all), Value::Bool(one)) => *all |= one,
        (all @ Value::Null, one) => *all = one.clone(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::wire::RequestId;
    use serde_json::json;

    #[test]
    fn a_name_belongs_to_the_server_with_the_longest_prefix() {
        let prefixes = ["git_", "", "crm_"].map(str::to_owned);
        assert_eq!(find_owner(&prefixes, "git_log"), Some((0, "log")));
        assert_eq!(find_owner(&prefixes, "read"), Some((1, "read")));
        assert_eq!(find_owner(&prefixes[..1], "read"), None);
    }

    #[test]
    fn a_request_keeps_everything_but_its_name() {
        let request = Message::request(
            &RequestId::Number(1),
            "tools/call",
            r#"{"name":"git_log","arguments":{"n":1.10}}"#,
        );
        assert_eq!(
            with_name(&request, "log").unwrap().body(),
            Some(r#"{"name":"log","arguments":{"n":1.10}}"#)
        );
    }

    #[test]
    fn merged_capabilities_are_those_of_either() {
        let mut all = json!({ "tools": { "listChanged": false } });
        merge_capabilities(
            &mut all,
            &json!({ "tools": { "listChanged": true }, "logging": {} }),
        );
        assert_eq!(
            all,
            json!({ "tools": { "listChanged": true }, "logging": {} })
        );
    }
}
