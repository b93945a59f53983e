//! The trace context of a request to a server without headers: MCP puts it into `_meta`, under the
//! names of the W3C headers.

use crate::wire::{JsonMembers, Message, MessageKind, header};

/// Adds the trace context from a request's headers to its metadata. A context in the metadata
/// stays.
pub(super) fn with_trace(message: Message, headers: &[(String, String)]) -> Message {
    let trace: Vec<_> = headers
        .iter()
        .filter(|(name, _)| header::TRACE.contains(&name.as_str()))
        .collect();
    if trace.is_empty() || message.kind() != MessageKind::Request {
        return message;
    }
    add_trace(&message, &trace).unwrap_or(message)
}

fn add_trace(request: &Message, trace: &[&(String, String)]) -> Option<Message> {
    let mut params = request
        .body()
        .map_or(Ok(JsonMembers::default()), JsonMembers::read)
        .ok()?;
    let mut own_meta = params.object("_meta").ok()?;
    if header::TRACE
        .iter()
        .any(|name| own_meta.get(name).is_some())
    {
        // Members of two traces must not be mixed.
        return None;
    }
    for (name, value) in trace {
        own_meta.set(name, value).ok()?;
    }
    params.set("_meta", &own_meta).ok()?;
    let params = serde_json::to_string(&params).ok()?;
    match request.body() {
        Some(_) => Some(request.with_body(&params)),
        None => Some(Message::request(request.id()?, request.method()?, &params)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn traced(text: &str) -> String {
        let headers = [("traceparent", "00-1"), ("mcp-param-x", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        with_trace(Message::read(text.to_owned()).unwrap(), &headers)
            .text()
            .to_owned()
    }

    #[test]
    fn a_request_takes_its_trace_along_and_nothing_else_changes() {
        assert_eq!(
            traced(
                r#"{"id":1,"jsonrpc":"2.0","method":"a","params":{"n":1.50,"_meta":{"x":[1 ]}}}"#
            ),
            r#"{"id":1,"jsonrpc":"2.0","method":"a","params":{"n":1.50,"_meta":{"x":[1 ],"traceparent":"00-1"}}}"#
        );
        let without = traced(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        assert_eq!(
            without,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"traceparent":"00-1"}}}"#
        );
    }

    #[test]
    fn a_trace_in_the_metadata_stays_alone() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"tracestate":"own"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
            r#"{"jsonrpc":"2.0","method":"a"}"#,
        ] {
            assert_eq!(traced(text), text);
        }
    }
}
