//! The names of several servers' things in one list: which belongs to which server, and what it is called there.

use crate::wire::{JsonMembers, Message};
use serde_json::Value;

/// Which of the servers this name belongs to, and what it is called there. The longest prefix counts, so that a server
/// without one gets what no other has.
pub(super) fn find_owner<'n>(prefixes: &[String], name: &'n str) -> Option<(usize, &'n str)> {
    let fits = prefixes
        .iter()
        .enumerate()
        .filter_map(|(index, prefix)| Some((index, prefix, name.strip_prefix(prefix.as_str())?)));
    fits.max_by_key(|(_, prefix, _)| prefix.len())
        .map(|(index, _, own)| (index, own))
}

/// The request with another name in its parameters.
pub(super) fn with_name(request: &Message, name: &str) -> Option<Message> {
    let mut params = JsonMembers::read(request.body()?).ok()?;
    params.set("name", &name).ok()?;
    Some(request.with_body(&serde_json::to_string(&params).ok()?))
}

/// The request of a completion with another name of its prompt.
pub(super) fn with_prompt_name(request: &Message, name: &str) -> Option<Message> {
    let mut params = JsonMembers::read(request.body()?).ok()?;
    let mut reference = params.object("ref").ok()?;
    reference.set("name", &name).ok()?;
    params.set("ref", &reference).ok()?;
    Some(request.with_body(&serde_json::to_string(&params).ok()?))
}

/// A text among the parameters.
pub(super) fn text_parameter(message: &Message, name: &str) -> Option<String> {
    JsonMembers::read(message.body()?).ok()?.text(name)
}

/// Merges a capability of two servers: the result has all that one of them has.
pub(super) fn merge(all: &mut Value, one: &Value) {
    match (all, one) {
        (Value::Object(all), Value::Object(one)) => {
            for (name, value) in one {
                merge(all.entry(name.clone()).or_insert(Value::Null), value);
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
    fn together_they_can_do_what_one_of_them_can() {
        let mut all = json!({ "tools": { "listChanged": false } });
        merge(
            &mut all,
            &json!({ "tools": { "listChanged": true }, "logging": {} }),
        );
        assert_eq!(
            all,
            json!({ "tools": { "listChanged": true }, "logging": {} })
        );
    }
}
