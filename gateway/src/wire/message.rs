//! One message: its text, and where its parts lie in it.

use super::{ErrorCode, JsonMembers, ProtocolError, RequestId, meta};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range};

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A request, which wants a response.
    Request,
    /// A notification, which wants none.
    Notification,
    /// The response to a request: its result.
    Result,
    /// The response to a request: an error.
    Error,
}

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct InvalidMessage {
    /// The error to answer with.
    pub fault: ProtocolError,
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
    /// Parameters, result or error, whichever it has.
    body: Option<Range<usize>>,
}

/// The members that say what a message is. One that stands there twice is an error.
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
        // A list would be taken for the members in their order.
        if text.trim_ascii_start().starts_with('[') {
            let _whole: &RawValue = serde_json::from_str(text)?;
            return Err(serde::de::Error::custom("it is a list"));
        }
        serde_json::from_str(text)
    }
}

/// A member that is `null` is there all the same.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Message {
    /// Reads a message. Trailing white space (a transport's line end) is not part of it.
    ///
    /// # Errors
    /// If the text is no JSON, or no message.
    pub fn read(text: impl Into<Bytes>) -> Result<Self, InvalidMessage> {
        let mut text: Bytes = text.into();
        text.truncate(text.trim_ascii_end().len());
        let unreadable = |code, what: String| InvalidMessage {
            fault: ProtocolError::new(code, what),
            id: None,
        };
        let written = std::str::from_utf8(&text).map_err(|error| {
            unreadable(
                ErrorCode::Parse,
                format!("the message is no UTF-8: {error}"),
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
        let sort = sort(&envelope, id.is_some());
        let (kind, body) = sort.map_err(|what| InvalidMessage {
            fault: ProtocolError::new(ErrorCode::InvalidRequest, what),
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
        })
    }

    /// Reads what came at once: one message, or a list of them, as 2025-03-26 knows it.
    pub fn read_all(text: impl Into<Bytes>) -> Vec<Result<Self, InvalidMessage>> {
        let text: Bytes = text.into();
        let whole = || -> Option<Vec<&RawValue>> { serde_json::from_slice(&text).ok() };
        match text.trim_ascii_start().first() {
            Some(b'[') => match whole() {
                Some(parts) if !parts.is_empty() => parts
                    .into_iter()
                    .map(|part| Self::read(text.slice_ref(part.get().as_bytes())))
                    .collect(),
                _ => vec![Self::read(text)],
            },
            _ => vec![Self::read(text)],
        }
    }

    /// A request of this side.
    #[must_use]
    pub fn request(id: &RequestId, method: &str, params: &str) -> Self {
        let method_json = serde_json::Value::from(method);
        Self::written(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":{method_json},"params":{params}}}"#
        ))
    }

    /// A notification of this side.
    #[must_use]
    pub fn notification(method: &str, params: &str) -> Self {
        let method_json = serde_json::Value::from(method);
        Self::written(format!(
            r#"{{"jsonrpc":"2.0","method":{method_json},"params":{params}}}"#
        ))
    }

    /// A response of this side: `member` is `result` or `error`, and `json` its value.
    #[must_use]
    pub fn response(id: Option<&RequestId>, member: &str, json: &str) -> Self {
        let id = id.map_or_else(|| "null".to_owned(), RequestId::to_json);
        Self::written(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"{member}":{json}}}"#
        ))
    }

    /// Parses a message of the gateway's own. An invalid one becomes an internal error.
    fn written(text: String) -> Self {
        Self::read(text).unwrap_or_else(|unreadable| Self {
            text: Bytes::from_static(
                br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#,
            ),
            kind: MessageKind::Error,
            id: unreadable.id.map(|id| (id, 0..0)),
            method: None,
            body: None,
        })
    }

    /// The same message with other parameters, another result, or another error.
    #[must_use]
    pub fn with_body(&self, json: &str) -> Self {
        match &self.body {
            Some(range) => Self::written(self.spliced(range, json)),
            None => self.clone(),
        }
    }

    /// The same message under another id.
    #[must_use]
    pub fn with_id(&self, id: &RequestId) -> Self {
        match &self.id {
            Some((_, range)) => Self::written(self.spliced(range, &id.to_json())),
            None => self.clone(),
        }
    }

    fn spliced(&self, range: &Range<usize>, json: &str) -> String {
        let written = self.text();
        let before = written.get(..range.start);
        let after = written.get(range.end..);
        [before.unwrap_or_default(), json, after.unwrap_or_default()].concat()
    }

    /// Its text as bytes, without a line end.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.text
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        // It was read as UTF-8.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the message's kind.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref().map(|(id, _)| id)
    }

    /// Its method, where it is a request or a notification.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The JSON of its parameters, result or error.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.body.clone().and_then(|range| self.text().get(range))
    }

    /// The protocol version that it names itself, as each request does since 2026-07-28.
    #[must_use]
    pub fn own_version(&self) -> Option<String> {
        let body = self
            .body()
            .filter(|body| body.contains(meta::PROTOCOL_VERSION))?;
        JsonMembers::read(body)
            .ok()?
            .object("_meta")
            .ok()?
            .text(meta::PROTOCOL_VERSION)
    }

    /// Returns whether it is a response.
    #[must_use]
    pub fn is_response(&self) -> bool {
        matches!(self.kind, MessageKind::Result | MessageKind::Error)
    }

    /// Returns whether it is a request of this method.
    #[must_use]
    pub fn asks(&self, method: &str) -> bool {
        self.kind == MessageKind::Request && self.method() == Some(method)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("Message");
        told.field("kind", &self.kind)
            .field("id", &self.id())
            .field("method", &self.method);
        told.field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// Which kind it is, and which member is its body.
fn sort<'a>(
    envelope: &RawEnvelope<'a>,
    has_id: bool,
) -> Result<(MessageKind, Option<&'a RawValue>), String> {
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(r#"the message is no JSON-RPC 2.0: write `"jsonrpc": "2.0"`"#.to_owned());
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
        _ => Err("the message is neither a request nor a notification nor a response".to_owned()),
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
            read[1].as_ref().unwrap_err().fault.code,
            ErrorCode::InvalidRequest
        );
        assert_eq!(Message::read_all("[]").len(), 1);
    }

    #[test]
    fn what_is_no_message_is_answered_by_the_code_of_its_fault() {
        let code = |text: &'static str| {
            Message::read(text)
                .map(|message| message.kind())
                .map_err(|bad| bad.fault.code)
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
