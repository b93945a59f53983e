//! The trace that a request belongs to, on its way to a server that reads no headers: in the request's `_meta`, under the
//! names of the headers, as MCP has it.

use crate::wire::{JsonMembers, Message, MessageKind, header};

/// The request with the trace that came with it in headers. What it says itself stays.
pub(super) fn with_trace(message: Message, headers: &[(String, String)]) -> Message {
    let traced: Vec<_> = headers
        .iter()
        .filter(|(name, _)| header::TRACE.contains(&name.as_str()))
        .collect();
    if traced.is_empty() || message.kind() != MessageKind::Request {
        return message;
    }
    with(&message, &traced).unwrap_or(message)
}

fn with(request: &Message, traced: &[&(String, String)]) -> Option<Message> {
    let mut params = request
        .body()
        .map_or(Ok(JsonMembers::default()), JsonMembers::read)
        .ok()?;
    let mut own = params.object("_meta").ok()?;
    if header::TRACE.iter().any(|name| own.get(name).is_some()) {
        // Parts of two traces are none.
        return None;
    }
    for (name, value) in traced {
        own.set(name, value).ok()?;
    }
    params.set("_meta", &own).ok()?;
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
    fn a_trace_that_the_request_itself_tells_stays_alone() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"tracestate":"own"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
            r#"{"jsonrpc":"2.0","method":"a"}"#,
        ] {
            assert_eq!(traced(text), text);
        }
    }
}
