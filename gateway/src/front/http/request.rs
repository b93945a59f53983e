//! What a client asks for: the head of a request, and the messages in its body.

use super::refusal::Refusal;
use crate::wire::{
    Fault, FaultCode, Id, Kind, Members, Message, Unreadable, decoded, header as names, meta,
    method, version,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, StatusCode, body::Incoming, header, http::request::Parts};
use std::sync::Arc;

/// What the head of a request says, as far as the protocol is concerned.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) version: Option<String>,
    pub(super) session: Option<String>,
    pub(super) last_event: Option<String>,
    pub(super) reads_json: bool,
    pub(super) reads_events: bool,
    method: Option<String>,
    name: Option<String>,
    /// What goes on to the server.
    pub(super) headers: Arc<[(String, String)]>,
}

impl Head {
    pub(super) fn read(parts: &Parts) -> Result<Self, Refusal> {
        let text = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let version = text(names::VERSION);
        if let Some(version) = version
            .as_ref()
            .filter(|version| !version::ALL.contains(&version.as_str()))
        {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                Fault::unsupported_version(version),
            ));
        }
        let reads = |kind: &str| accepts(&parts.headers, kind);
        Ok(Self {
            version,
            session: text(names::SESSION),
            last_event: text(names::LAST_EVENT),
            reads_json: reads("application/json"),
            reads_events: reads("text/event-stream"),
            method: text(names::METHOD),
            name: text(names::NAME),
            headers: headers_to_pass(&parts.headers),
        })
    }

    /// Whether the version in the head is this one or a later one.
    pub(super) fn speaks(&self, version: &str) -> bool {
        self.version.as_deref().unwrap_or(version::V2025_03_26) >= version
    }

    /// Whether the head says of a request without a session what the request itself says.
    pub(super) fn agrees_with(&self, message: &Message) -> Result<(), Fault> {
        let params = message
            .body()
            .and_then(|params| Members::read(params).ok())
            .unwrap_or_default();
        let in_body = params
            .object("_meta")
            .ok()
            .and_then(|own| own.text(meta::PROTOCOL_VERSION));
        same(names::VERSION, self.version.as_deref(), in_body.as_deref())?;
        same(names::METHOD, self.method.as_deref(), message.method())?;
        let subject = match message.method() {
            Some(method::TOOLS_CALL | method::PROMPTS_GET) => params.text("name"),
            Some(method::RESOURCES_READ) => params.text("uri"),
            _ => return Ok(()),
        };
        let decoded = self.name.as_deref().map(decoded);
        same(names::NAME, decoded.as_deref(), subject.as_deref())
    }
}

/// Whether the two say the same.
fn same(name: &str, in_head: Option<&str>, in_body: Option<&str>) -> Result<(), Fault> {
    let Some(in_body) = in_body.filter(|in_body| Some(*in_body) != in_head) else {
        return Ok(());
    };
    let what = match in_head {
        Some(_) => format!(
            "the header `{name}` says something else than the message: send it as `{in_body}`"
        ),
        None => format!("the header `{name}` is missing: send it as `{in_body}`"),
    };
    Err(Fault::new(FaultCode::HeaderMismatch, what))
}

/// Whether a client reads this kind of content. One that says nothing reads all.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        any = true;
        for part in value.to_str().unwrap_or_default().split(',') {
            let named = part
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            let group = kind.split('/').next().unwrap_or_default();
            if named == kind || named == "*/*" || named == format!("{group}/*") {
                return true;
            }
        }
    }
    !any
}

/// The headers that concern the server: none that tells who the client is.
fn headers_to_pass(headers: &HeaderMap) -> Arc<[(String, String)]> {
    let passes = |name: &str| name.starts_with(names::PARAMETER) || names::TRACE.contains(&name);
    let passing = headers.iter().filter(|(name, _)| passes(name.as_str()));
    passing
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect()
}

/// The messages of a request.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) messages: Vec<Result<Message, Unreadable>>,
    /// Whether they are a list.
    pub(super) is_list: bool,
}

impl Posted {
    /// Reads the body of a request.
    pub(super) async fn read(
        parts: &Parts,
        body: Incoming,
        bytes_max: usize,
    ) -> Result<Self, Refusal> {
        let kind = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if !kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("application/json")
        {
            let what = "the body is not said to be JSON: send `Content-Type: application/json`";
            return Err(Refusal::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
        }
        let text = Limited::new(body, bytes_max)
            .collect()
            .await
            .map_err(|error| unread(&*error, bytes_max))?
            .to_bytes();
        let is_list = text.trim_ascii_start().starts_with(b"[");
        Ok(Self {
            messages: Message::read_all(text),
            is_list,
        })
    }

    /// The only message, where it is one.
    pub(super) fn single(&self) -> Option<&Message> {
        match self.messages.as_slice() {
            [Ok(message)] if !self.is_list => Some(message),
            _ => None,
        }
    }

    /// The ids that want a response.
    pub(super) fn asked(&self) -> Vec<Id> {
        let requests = self
            .messages
            .iter()
            .flatten()
            .filter(|message| message.kind() == Kind::Request);
        requests
            .filter_map(|request| request.id().cloned())
            .collect()
    }

    /// What cannot be read, where nothing else was sent.
    pub(super) fn unreadable(&self) -> Option<&Unreadable> {
        match self.messages.as_slice() {
            [Err(unreadable)] => Some(unreadable),
            _ => None,
        }
    }
}

fn unread(error: &(dyn std::error::Error + 'static), bytes_max: usize) -> Refusal {
    if error.is::<LengthLimitError>() {
        let what = format!("the body is too long: {bytes_max} bytes at the most");
        return Refusal::invalid(StatusCode::PAYLOAD_TOO_LARGE, what);
    }
    Refusal::invalid(StatusCode::BAD_REQUEST, "the body did not come as a whole")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use hyper::Request;

    fn head(headers: &[(&str, &str)]) -> Head {
        let request = headers
            .iter()
            .fold(Request::builder(), |request, (name, value)| {
                request.header(*name, *value)
            });
        Head::read(&request.body(()).unwrap().into_parts().0).unwrap()
    }

    #[test]
    fn a_head_that_says_something_else_than_the_message_is_an_error() {
        let params =
            r#"{"name":"größe","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let message = Message::request(&Id::Number(1), "tools/call", params);
        let said = |method, name| {
            [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", method),
                ("mcp-name", name),
            ]
        };
        assert_eq!(
            head(&said("tools/call", "=?base64?Z3LDtsOfZQ==?=")).agrees_with(&message),
            Ok(())
        );
        for wrong in [
            said("tools/list", "=?base64?Z3LDtsOfZQ==?="),
            said("tools/call", "other"),
        ] {
            assert_eq!(
                head(&wrong).agrees_with(&message).unwrap_err().code,
                FaultCode::HeaderMismatch
            );
        }
        assert!(head(&[]).agrees_with(&message).is_err());
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
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(passed, ["mcp-param-region", "traceparent"]);
    }

    #[test]
    fn a_client_reads_what_it_says_it_reads() {
        let reads = |accept: &str| {
            (
                head(&[("accept", accept)]).reads_json,
                head(&[("accept", accept)]).reads_events,
            )
        };
        assert_eq!(reads("application/json, text/event-stream"), (true, true));
        assert_eq!(reads("text/event-stream;q=0.5"), (false, true));
        assert_eq!(reads("*/*"), (true, true));
        assert_eq!((head(&[]).reads_json, head(&[]).reads_events), (true, true));
    }
}
