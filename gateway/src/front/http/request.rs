//! HTTP requests: the head as the protocol reads it, and the messages in the body.

use super::request_error::RequestError;
use crate::wire::{
    ErrorCode, InvalidMessageError, JsonMembers, Message, MessageKind, ProtocolError, RequestId,
    decode_header_text, header as names, meta, method, version,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, StatusCode, body::Incoming, header, http::request::Parts};
use std::sync::Arc;

/// The parts of a request's head that the protocol defines.
#[derive(Debug)]
pub(super) struct RequestHead {
    version: Option<String>,
    pub(super) session: Option<String>,
    pub(super) last_event: Option<String>,
    pub(super) accepts_json: bool,
    pub(super) accepts_events: bool,
    method: Option<String>,
    name: Option<String>,
    /// The headers that are forwarded to the server.
    pub(super) forwarded: Arc<[(String, String)]>,
}

impl RequestHead {
    pub(super) fn read(parts: &Parts) -> Result<Self, RequestError> {
        let version = header_text(&parts.headers, names::VERSION);
        if let Some(version) = &version
            && !version::ALL.contains(&version.as_str())
        {
            return Err(RequestError::new(
                StatusCode::BAD_REQUEST,
                ProtocolError::unsupported_version(version),
            ));
        }
        Ok(Self {
            version,
            session: header_text(&parts.headers, names::SESSION),
            last_event: header_text(&parts.headers, names::LAST_EVENT),
            accepts_json: accepts(&parts.headers, "application/json"),
            accepts_events: accepts(&parts.headers, "text/event-stream"),
            method: header_text(&parts.headers, names::METHOD),
            name: header_text(&parts.headers, names::NAME),
            forwarded: forwarded_headers(&parts.headers),
        })
    }

    /// Returns whether the protocol version in the head is this one or a later one.
    pub(super) fn is_at_least(&self, version: &str) -> bool {
        // A request without the header speaks the last version that had none.
        self.version.as_deref().unwrap_or(version::V2025_03_26) >= version
    }

    /// Checks that the headers repeat what a message without a session says.
    pub(super) fn check_agreement(&self, message: &Message) -> Result<(), ProtocolError> {
        let params = message
            .body()
            .and_then(|params| JsonMembers::read(params).ok())
            .unwrap_or_default();
        let in_body = params
            .object("_meta")
            .ok()
            .and_then(|own| own.text(meta::PROTOCOL_VERSION));
        check_header(names::VERSION, self.version.as_deref(), in_body.as_deref())?;
        check_header(names::METHOD, self.method.as_deref(), message.method())?;
        let subject = match message.method() {
            Some(method::TOOLS_CALL | method::PROMPTS_GET) => params.text("name"),
            Some(method::RESOURCES_READ) => params.text("uri"),
            _ => return Ok(()),
        };
        let name = self.name.as_deref().map(decode_header_text);
        check_header(names::NAME, name.as_deref(), subject.as_deref())
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// Checks that a header says the same as the message.
fn check_header(
    name: &str,
    in_head: Option<&str>,
    in_body: Option<&str>,
) -> Result<(), ProtocolError> {
    let Some(in_body) = in_body else {
        return Ok(());
    };
    let what = match in_head {
        Some(in_head) if in_head == in_body => return Ok(()),
        Some(_) => {
            format!("the header `{name}` differs from the message: send it as `{in_body}`")
        }
        None => format!("the header `{name}` is missing: send it as `{in_body}`"),
    };
    Err(ProtocolError::new(ErrorCode::HeaderMismatch, what))
}

/// Returns whether a client accepts this content type. A client without the header accepts all.
fn accepts(headers: &HeaderMap, content_type: &str) -> bool {
    let group = content_type.split('/').next().unwrap_or_default();
    let mut has_header = false;
    for value in headers.get_all(header::ACCEPT) {
        has_header = true;
        for part in value.to_str().unwrap_or_default().split(',') {
            let range = part.split(';').next().unwrap_or_default();
            let range = range.trim().to_ascii_lowercase();
            if range == content_type || range == "*/*" || range == format!("{group}/*") {
                return true;
            }
        }
    }
    !has_header
}

/// The headers that concern the server. None of them identifies the client.
fn forwarded_headers(headers: &HeaderMap) -> Arc<[(String, String)]> {
    let mut forwarded = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        let is_forwarded = name.starts_with(names::PARAMETER) || names::TRACE.contains(&name);
        if is_forwarded && let Ok(value) = value.to_str() {
            forwarded.push((name.to_owned(), value.to_owned()));
        }
    }
    forwarded.into()
}

/// The messages in a request's body.
#[derive(Debug)]
pub(super) struct PostedMessages {
    pub(super) messages: Vec<Result<Message, InvalidMessageError>>,
    /// The body is a JSON-RPC batch.
    pub(super) is_batch: bool,
}

impl PostedMessages {
    /// Reads the body of a request.
    pub(super) async fn read(
        parts: &Parts,
        body: Incoming,
        bytes_max: usize,
    ) -> Result<Self, RequestError> {
        let content_type =
            header_text(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let content_type = content_type.trim_start().to_ascii_lowercase();
        if !content_type.starts_with("application/json") {
            let what = "the body is not declared as JSON: send `Content-Type: application/json`";
            return Err(RequestError::invalid(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                what,
            ));
        }
        let text = Limited::new(body, bytes_max)
            .collect()
            .await
            .map_err(|error| body_error(&*error, bytes_max))?
            .to_bytes();
        let is_batch = text.trim_ascii_start().starts_with(b"[");
        Ok(Self {
            messages: Message::read_all(text),
            is_batch,
        })
    }

    /// The only message, unless the body is a batch.
    pub(super) fn single(&self) -> Option<&Message> {
        match self.messages.as_slice() {
            [Ok(message)] if !self.is_batch => Some(message),
            _ => None,
        }
    }

    /// The ids of the requests among the messages.
    pub(super) fn request_ids(&self) -> Vec<RequestId> {
        self.messages
            .iter()
            .flatten()
            .filter(|message| message.kind() == MessageKind::Request)
            .filter_map(|request| request.id().cloned())
            .collect()
    }

    /// The error of a body that holds one unreadable message and nothing else.
    pub(super) fn only_unreadable(&self) -> Option<&InvalidMessageError> {
        match self.messages.as_slice() {
            [Err(unreadable)] => Some(unreadable),
            _ => None,
        }
    }
}

fn body_error(error: &(dyn std::error::Error + 'static), bytes_max: usize) -> RequestError {
    if error.is::<LengthLimitError>() {
        let what = format!("the body is too long: at most {bytes_max} bytes are allowed");
        return RequestError::invalid(StatusCode::PAYLOAD_TOO_LARGE, what);
    }
    RequestError::invalid(StatusCode::BAD_REQUEST, "the body is incomplete")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use hyper::Request;

    fn head(headers: &[(&str, &str)]) -> RequestHead {
        let request = headers
            .iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(*name, *value)
            });
        RequestHead::read(&request.body(()).unwrap().into_parts().0).unwrap()
    }

    #[test]
    fn a_head_that_says_something_else_than_the_message_is_an_error() {
        let params =
            r#"{"name":"größe","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let message = Message::request(&RequestId::Number(1), "tools/call", params);
        let said = |method, name| {
            [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", method),
                ("mcp-name", name),
            ]
        };
        assert_eq!(
            head(&said("tools/call", "=?base64?Z3LDtsOfZQ==?=")).check_agreement(&message),
            Ok(())
        );
        for wrong in [
            said("tools/list", "=?base64?Z3LDtsOfZQ==?="),
            said("tools/call", "other"),
        ] {
            assert_eq!(
                head(&wrong).check_agreement(&message).unwrap_err().code,
                ErrorCode::HeaderMismatch
            );
        }
        assert!(head(&[]).check_agreement(&message).is_err());
    }

    #[test]
    fn nothing_that_tells_who_the_client_is_goes_on_to_the_server() {
        let given = [
            ("authorization", "Bearer s"),
            ("cookie", "c=1"),
            ("mcp-param-region", "eu"),
            ("traceparent", "00-1"),
        ];
        let passed: Vec<_> = head(&given)
            .forwarded
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(passed, ["mcp-param-region", "traceparent"]);
    }

    #[test]
    fn a_client_reads_what_it_says_it_reads() {
        let reads = |accept: &str| {
            (
                head(&[("accept", accept)]).accepts_json,
                head(&[("accept", accept)]).accepts_events,
            )
        };
        assert_eq!(reads("application/json, text/event-stream"), (true, true));
        assert_eq!(reads("text/event-stream;q=0.5"), (false, true));
        assert_eq!(reads("*/*"), (true, true));
        assert_eq!(
            (head(&[]).accepts_json, head(&[]).accepts_events),
            (true, true)
        );
    }
}
