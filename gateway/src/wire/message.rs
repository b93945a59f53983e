//! One message: its text, and the ranges of its parts.

use super::{ErrorCode, JsonMembers, ProtocolError, RequestId, meta};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range};

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A request, which has a response.
    Request,
    /// A notification, which has no response.
    Notification,
    /// The response to a request: its result.
    Result,
    /// The response to a request: an error.
    Error,
}

/// A text that is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct InvalidMessageError {
    /// The error to answer with.
    #[source]
    pub error: ProtocolError,
    /// The id of the request to answer, if it could be read.
    pub id: Option<RequestId>,
}

/// A JSON-RPC message. Cheap to clone. Debug output contains neither parameters nor results.
#[derive(Clone)]
pub struct Message {
    text: Bytes,
    kind: MessageKind,
    id: Option<(RequestId, Range<usize>)>,
    method: Option<Box<str>>,
    /// Its parameters, result or error.
    body: Option<Range<usize>>,
    /// The error status of the HTTP response that carried it.
    http_status: Option<u16>,
    /// The delay that this response asked for, in milliseconds.
    retry_after_ms: Option<u32>,
}

/// The members that determine the kind of a message. A duplicate member is an error.
#[derive(Deserialize)]
struct RawEnvelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

impl<'a> RawEnvelope<'a> {
    fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        // Serde reads a list as a struct's fields in their order.
        if text.trim_ascii_start().starts_with('[') {
            let _whole: &RawValue = serde_json::from_str(text)?;
            return Err(serde::de::Error::custom("a list is not a message"));
        }
        serde_json::from_str(text)
    }
}

/// Distinguishes `null` from a missing member: `"result": null` is a result.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Message {
    /// Reads a message. Trailing white space (a transport's line end) is not part of it.
    ///
    /// # Errors
    /// The text is not JSON, or not a message.
    pub fn read(text: impl Into<Bytes>) -> Result<Self, InvalidMessageError> {
        let mut text: Bytes = text.into();
        text.truncate(text.trim_ascii_end().len());
        let unreadable = |code, what: String| InvalidMessageError {
            error: ProtocolError::new(code, what),
            id: None,
        };
        let written = std::str::from_utf8(&text).map_err(|error| {
            unreadable(
                ErrorCode::Parse,
                format!("the message is not UTF-8: {error}"),
            )
        })?;
        let envelope = RawEnvelope::read(written).map_err(|error| {
            let code = if error.is_data() {
                ErrorCode::InvalidRequest
            } else {
                ErrorCode::Parse
            };
            unreadable(code, format!("the message cannot be read: {error}"))
        })?;
        let id = envelope
            .id
            .and_then(|raw| Some((RequestId::read(raw.get())?, within(written, raw.get()))));
        let kind_and_body = kind_and_body(&envelope, id.is_some());
        let (kind, body) = kind_and_body.map_err(|what| InvalidMessageError {
            error: ProtocolError::new(ErrorCode::InvalidRequest, what),
            id: id.as_ref().map(|(id, _)| id.clone()),
        })?;
        let body = body.map(|raw| within(written, raw.get()));
        let method = envelope
            .method
            .map(|method| method.into_owned().into_boxed_str());
        Ok(Self {
            kind,
            id,
            method,
            body,
            text,
            http_status: None,
            retry_after_ms: None,
        })
    }

    /// Reads one message, or a batch of them. Only 2025-03-26 has batches; reading one from a newer
    /// peer does no harm.
    pub fn read_all(text: impl Into<Bytes>) -> Vec<Result<Self, InvalidMessageError>> {
        let text: Bytes = text.into();
        if text.trim_ascii_start().first() != Some(&b'[') {
            return vec![Self::read(text)];
        }
        match serde_json::from_slice::<Vec<&RawValue>>(&text) {
            Ok(parts) if !parts.is_empty() => parts
                .into_iter()
                .map(|part| Self::read(text.slice_ref(part.get().as_bytes())))
                .collect(),
            // JSON-RPC 2.0, 6: an invalid or empty batch gets a single error.
            _ => vec![Self::read(text)],
        }
    }

    /// Creates a request. `params` is JSON.
    #[must_use]
    pub fn request(id: &RequestId, method: &str, params: &str) -> Self {
        let method_json = serde_json::Value::from(method);
        Self::from_own_text(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":{method_json},"params":{params}}}"#
        ))
    }

    /// Creates a notification. `params` is JSON.
    #[must_use]
    pub fn notification(method: &str, params: &str) -> Self {
        let method_json = serde_json::Value::from(method);
        Self::from_own_text(format!(
            r#"{{"jsonrpc":"2.0","method":{method_json},"params":{params}}}"#
        ))
    }

    /// Creates a response: `member` is `result` or `error`, and `json` its value.
    #[must_use]
    pub fn response(id: Option<&RequestId>, member: &str, json: &str) -> Self {
        let id = id.map_or_else(|| "null".to_owned(), RequestId::to_json);
        Self::from_own_text(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"{member}":{json}}}"#
        ))
    }

    /// Parses a message of the gateway's own. An invalid one becomes an internal error.
    fn from_own_text(text: String) -> Self {
        Self::read(text).unwrap_or_else(|unreadable| Self {
            text: Bytes::from_static(
                br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#,
            ),
            kind: MessageKind::Error,
            id: unreadable.id.map(|id| (id, 0..0)),
            method: None,
            body: None,
            http_status: None,
            retry_after_ms: None,
        })
    }

    /// Returns the message with `json` in place of its parameters, result or error.
    #[must_use]
    pub(crate) fn with_body(&self, json: &str) -> Self {
        match &self.body {
            Some(range) => self.with_text(self.splice(range, json)),
            None => self.clone(),
        }
    }

    /// Returns the message with another id.
    #[must_use]
    pub(crate) fn with_id(&self, id: &RequestId) -> Self {
        match &self.id {
            Some((_, range)) => self.with_text(self.splice(range, &id.to_json())),
            None => self.clone(),
        }
    }

    fn with_text(&self, text: String) -> Self {
        Self {
            http_status: self.http_status,
            retry_after_ms: self.retry_after_ms,
            ..Self::from_own_text(text)
        }
    }

    /// Returns the message as the content of an HTTP response with this error status, and the delay that its
    /// `Retry-After` asked for.
    #[must_use]
    pub(crate) fn with_http_status(self, status: u16, retry_after_ms: Option<u32>) -> Self {
        Self {
            http_status: Some(status),
            retry_after_ms,
            ..self
        }
    }

    /// The delay after which the HTTP response that carried it wants the request again, in milliseconds.
    pub(crate) fn retry_after_ms(&self) -> Option<u32> {
        self.retry_after_ms
    }

    /// The error status of the HTTP response that carried it. It says what the message alone does not: whether a proxy
    /// before the server gave up on it.
    pub(crate) fn http_status(&self) -> Option<u16> {
        self.http_status
    }

    fn splice(&self, range: &Range<usize>, json: &str) -> String {
        let text = self.text();
        let before = text.get(..range.start).unwrap_or_default();
        let after = text.get(range.end..).unwrap_or_default();
        [before, json, after].concat()
    }

    /// Its text as bytes, without a line end.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.text
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        // `read` checked that it is UTF-8.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the message's kind.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Its id: of a request, or of the request that it responds to.
    #[must_use]
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref().map(|(id, _)| id)
    }

    /// Its method, if it is a request or a notification.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The JSON of its parameters, result or error.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.body.clone().and_then(|range| self.text().get(range))
    }

    /// The id, if it is a request.
    pub(crate) fn request_id(&self) -> Option<&RequestId> {
        match self.kind {
            MessageKind::Request => self.id(),
            _ => None,
        }
    }

    /// The JSON of its result, if it is a response without an error.
    pub(crate) fn result(&self) -> Option<&str> {
        match self.kind {
            MessageKind::Result => self.body(),
            _ => None,
        }
    }

    /// The JSON of its error, if it is a response with an error.
    pub(crate) fn error(&self) -> Option<&str> {
        match self.kind {
            MessageKind::Error => self.body(),
            _ => None,
        }
    }

    /// The members of its parameters, result or error; empty if it has none.
    pub(crate) fn members(&self) -> JsonMembers {
        self.body()
            .and_then(|body| JsonMembers::read(body).ok())
            .unwrap_or_default()
    }

    /// Returns the message with changed members, or `None` if they cannot be read or `change`
    /// returns `None`.
    pub(crate) fn with_changed_members(
        &self,
        change: impl FnOnce(&mut JsonMembers) -> Option<()>,
    ) -> Option<Self> {
        let mut members = JsonMembers::read(self.body()?).ok()?;
        change(&mut members)?;
        Some(self.with_body(&serde_json::to_string(&members).ok()?))
    }

    /// The request that a cancellation names.
    pub(crate) fn cancelled_id(&self) -> Option<RequestId> {
        RequestId::read(self.members().get("requestId")?)
    }

    /// The protocol version in its metadata. Since 2026-07-28 each request has one.
    pub(crate) fn own_version(&self) -> Option<String> {
        let body = self.body()?;
        // Most messages have none, and are not parsed for it.
        if !body.contains(meta::PROTOCOL_VERSION) {
            return None;
        }
        let own_meta = JsonMembers::read(body).ok()?.object("_meta").ok()?;
        own_meta.text(meta::PROTOCOL_VERSION)
    }

    /// Returns true for a response, with or without an error.
    #[must_use]
    pub(crate) fn is_response(&self) -> bool {
        matches!(self.kind, MessageKind::Result | MessageKind::Error)
    }

    /// Returns true for a request of this method.
    #[must_use]
    pub fn asks(&self, method: &str) -> bool {
        self.kind == MessageKind::Request && self.method() == Some(method)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("id", &self.id())
            .field("method", &self.method)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// Returns the kind of a message, and the member that is its body.
fn kind_and_body<'a>(
    envelope: &RawEnvelope<'a>,
    has_id: bool,
) -> Result<(MessageKind, Option<&'a RawValue>), String> {
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(r#"the message is not JSON-RPC 2.0: write `"jsonrpc": "2.0"`"#.to_owned());
    }
    match (
        &envelope.method,
        envelope.id.is_some(),
        envelope.result,
        envelope.error,
    ) {
        (Some(_), true, None, None) if has_id => Ok((MessageKind::Request, envelope.params)),
        (Some(_), true, None, None) => Err("the id of a request is a number or a text".to_owned()),
        (Some(_), false, None, None) => Ok((MessageKind::Notification, envelope.params)),
        (None, _, Some(result), None) if has_id => Ok((MessageKind::Result, Some(result))),
        (None, _, None, Some(error)) => Ok((MessageKind::Error, Some(error))),
        _ => Err("the message is not a request, a notification or a response".to_owned()),
    }
}

/// Returns the range of a part within its text.
fn within(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn a_message_keeps_its_text_and_unknown_members() {
        let text = r#" {"x":[1 ,2],"method":"a/b","jsonrpc":"2.0", "params" : {"p":1.0},"id":"7"}"#;
        let message = Message::read(format!("{text}\r\n")).unwrap();
        assert_eq!(message.text(), text);
        assert_eq!(
            (message.kind(), message.method(), message.body()),
            (MessageKind::Request, Some("a/b"), Some(r#"{"p":1.0}"#))
        );
        assert_eq!(
            message.with_id(&RequestId::Number(9)).text(),
            text.replace(r#""7""#, "9")
        );
        assert_eq!(
            message.with_body("{}").text(),
            text.replace(r#"{"p":1.0}"#, "{}")
        );
    }

    #[test]
    fn a_list_is_read_as_its_messages() {
        let list = r#"[{"jsonrpc":"2.0","method":"a"}, 7]"#;
        let read = Message::read_all(list);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].as_ref().unwrap().method(), Some("a"));
        assert_eq!(
            read[1].as_ref().unwrap_err().error.code,
            ErrorCode::InvalidRequest
        );
        assert_eq!(Message::read_all("[]").len(), 1);
    }

    #[test]
    fn an_invalid_message_is_answered_by_the_code_of_its_error() {
        let code = |text: &'static str| {
            Message::read(text)
                .map(|message| message.kind())
                .map_err(|invalid| invalid.error.code)
        };
        assert_eq!(code("{"), Err(ErrorCode::Parse));
        assert_eq!(code("\u{0}"), Err(ErrorCode::Parse));
        assert_eq!(code("[]"), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(r#"{"jsonrpc":"2.0"}"#), Err(ErrorCode::InvalidRequest));
        assert_eq!(
            code(r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#),
            Err(ErrorCode::InvalidRequest)
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#),
            Err(ErrorCode::InvalidRequest)
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#),
            Err(ErrorCode::InvalidRequest)
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","method":"a"}"#),
            Ok(MessageKind::Notification)
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"result":null}"#),
            Ok(MessageKind::Result)
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#),
            Ok(MessageKind::Error)
        );
    }
}
