//! The headers of requests to a server.

use super::UpstreamSession;
use crate::{
    layer::RequestContext,
    wire::{JsonMembers, Message, encode_header_text, header as names, method, version},
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

/// Headers that no layer above may set, because they belong to the transport or authenticate the
/// gateway.
const RESERVED: [HeaderName; 8] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::TRANSFER_ENCODING,
];

/// Returns the headers of the request that carries this message.
pub(super) fn for_message(
    message: &Message,
    context: &RequestContext,
    own: &HeaderMap,
    session: &UpstreamSession,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in context.headers.iter() {
        if let Ok(name) = name.parse::<HeaderName>()
            && let Ok(value) = HeaderValue::from_str(value)
            && !RESERVED.contains(&name)
        {
            headers.insert(name, value);
        }
    }
    if let Some(own_version) = message.own_version() {
        insert_header(&mut headers, names::VERSION, &own_version);
        insert_header(
            &mut headers,
            names::METHOD,
            message.method().unwrap_or_default(),
        );
        if let Some(subject) = request_subject(message) {
            insert_header(&mut headers, names::NAME, &encode_header_text(&subject));
        }
    } else {
        add_session(&mut headers, session);
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    );
    headers.extend(own.clone());
    headers
}

/// Returns the headers of the request for the server's own stream, or for a stream after an event.
pub(super) fn for_stream(
    own: &HeaderMap,
    session: &UpstreamSession,
    after: Option<&str>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    add_session(&mut headers, session);
    if let Some(after) = after {
        insert_header(&mut headers, names::LAST_EVENT, after);
    }
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.extend(own.clone());
    headers
}

fn add_session(headers: &mut HeaderMap, session: &UpstreamSession) {
    if let Some(id) = &session.id {
        insert_header(headers, names::SESSION, id);
    }
    // Earlier versions have no version header.
    if let Some(version) = &session.version
        && version.as_str() >= version::V2025_06_18
    {
        insert_header(headers, names::VERSION, version);
    }
}

fn insert_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Returns the name or URI that a newer request repeats in its headers.
fn request_subject(message: &Message) -> Option<String> {
    message.request_id()?;
    let name = match message.method()? {
        method::TOOLS_CALL | method::PROMPTS_GET => "name",
        method::RESOURCES_READ => "uri",
        method if method.starts_with("tasks/") => "taskId",
        _ => return None,
    };
    JsonMembers::read(message.body()?).ok()?.text(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::{
        layer::{CallerIdentity, NullClient},
        wire::RequestId,
    };
    use semel::model::Tenant;
    use std::sync::Arc;

    fn context(headers: &[(&str, &str)]) -> RequestContext {
        let context = RequestContext::new(
            Arc::new(NullClient),
            Arc::new(CallerIdentity::new(Tenant::default(), None)),
        );
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        RequestContext {
            headers: headers.collect(),
            ..context
        }
    }

    #[test]
    fn a_newer_request_repeats_its_members_in_headers() {
        let params =
            r#"{"name":"größe","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let message = Message::request(&RequestId::Number(1), method::TOOLS_CALL, params);
        let given = context(&[
            ("mcp-name", "other"),
            ("mcp-param-region", "eu"),
            ("authorization", "stolen"),
        ]);
        let head = for_message(
            &message,
            &given,
            &HeaderMap::new(),
            &UpstreamSession::default(),
        );
        assert_eq!(head[names::VERSION], "2026-07-28");
        assert_eq!(head[names::METHOD], "tools/call");
        assert_eq!(head[names::NAME], "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(head["mcp-param-region"], "eu");
        assert!(!head.contains_key("authorization"));
    }

    #[test]
    fn an_older_request_names_its_session() {
        let session = UpstreamSession {
            id: Some("s".to_owned()),
            version: Some("2025-06-18".to_owned()),
            ..UpstreamSession::default()
        };
        let message = Message::request(&RequestId::Number(1), "ping", "{}");
        let head = for_message(&message, &context(&[]), &HeaderMap::new(), &session);
        assert_eq!(
            (&head[names::SESSION], &head[names::VERSION]),
            (
                &"s".parse().unwrap_or_else(|_| HeaderValue::from_static("")),
                &HeaderValue::from_static("2025-06-18")
            )
        );
        assert!(!head.contains_key(names::METHOD));
    }
}
