//! Translation of single messages: members that one group of versions has and the other has not.

use crate::wire::{ErrorCode, JsonMembers, Message, MessageKind, ProtocolError, meta, method};
use serde_json::value::RawValue;

/// Metadata in which a newer request describes itself and its client.
const REQUEST_META: [&str; 4] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
];

/// Requests that only older versions have.
const OLDER_REQUESTS: [&str; 5] = [
    method::INITIALIZE,
    method::PING,
    method::SET_LEVEL,
    method::RESOURCES_SUBSCRIBE,
    method::RESOURCES_UNSUBSCRIBE,
];

/// The error code of older versions for a resource that does not exist.
const RESOURCE_NOT_FOUND: &str = "-32002";

/// Requests during which a server may ask back.
pub(super) const ASKING_REQUESTS: [&str; 3] = [
    method::TOOLS_CALL,
    method::PROMPTS_GET,
    method::RESOURCES_READ,
];

/// Questions of a server to its client, each with the client's capability for it.
pub(super) const QUESTIONS: [(&str, &str); 3] = [
    (method::ELICIT, "elicitation"),
    (method::SAMPLE, "sampling"),
    (method::ROOTS_LIST, "roots"),
];

/// Returns true for a request that only older versions have.
pub(super) fn is_older(request: &Message) -> bool {
    request
        .method()
        .is_some_and(|method| OLDER_REQUESTS.contains(&method))
}

/// The metadata among parameters.
pub(super) fn meta_members(params: &JsonMembers) -> JsonMembers {
    params.object("_meta").unwrap_or_default()
}

/// Translates a newer request for an older server.
pub(super) fn downgrade_request(request: &Message, mut params: JsonMembers) -> Message {
    let mut own_meta = meta_members(&params);
    for name in REQUEST_META {
        own_meta.remove(name);
    }
    if own_meta.is_empty() {
        params.remove("_meta");
    } else {
        set_member(&mut params, "_meta", &own_meta);
    }
    params.remove("inputResponses");
    params.remove("requestState");
    request.with_body(&to_text(&params))
}

/// Translates an older server's response for a newer client.
pub(super) fn upgrade_response(request_method: &str, response: &Message) -> Message {
    let body = response
        .body()
        .and_then(|body| JsonMembers::read(body).ok());
    let Some(mut body) = body else {
        return response.clone();
    };
    if response.kind() == MessageKind::Error {
        if body.get("code") == Some(RESOURCE_NOT_FOUND) {
            set_member(&mut body, "code", &ErrorCode::InvalidParams.number());
        }
        return response.with_body(&to_text(&body));
    }
    if body.get("resultType").is_none() {
        set_member(&mut body, "resultType", &"complete");
    }
    // Since 2026-07-28 these results carry the time for which they may be cached.
    let is_cacheable =
        request_method.ends_with("/list") || request_method == method::RESOURCES_READ;
    if is_cacheable && body.get("ttlMs").is_none() {
        set_member(&mut body, "ttlMs", &0);
    }
    if is_cacheable && body.get("cacheScope").is_none() {
        set_member(&mut body, "cacheScope", &"private");
    }
    response.with_body(&to_text(&body))
}

/// Translates an older request for a newer server: adds the metadata from the client's
/// `initialize`.
pub(super) fn upgrade_request(request: &Message, request_meta: &JsonMembers) -> Message {
    let mut params = request.members();
    let mut own_meta = meta_members(&params);
    for name in REQUEST_META {
        if let Some(value) = request_meta.get(name).and_then(raw_json) {
            set_member(&mut own_meta, name, &value);
        }
    }
    set_member(&mut params, "_meta", &own_meta);
    match (request.body(), request.method(), request.id()) {
        (None, Some(method), Some(id)) => Message::request(id, method, &to_text(&params)),
        _ => request.with_body(&to_text(&params)),
    }
}

/// Returns the error response for a method that the peer's version does not have.
pub(super) fn unknown_method(request: &Message) -> Message {
    let method = request.method().unwrap_or_default();
    let message = format!("this version of the protocol has no `{method}`");
    ProtocolError::new(ErrorCode::MethodNotFound, message).response(request.id())
}

/// Sets a member. A value that cannot be written as JSON is left out; the callers have none.
pub(super) fn set_member(members: &mut JsonMembers, name: &str, value: &impl serde::Serialize) {
    if let Err(error) = members.set(name, value) {
        tracing::error!(%error, name, "a member of a message cannot be written");
    }
}

/// Returns the JSON of an object.
pub(super) fn to_text(members: &JsonMembers) -> String {
    serde_json::to_string(members).unwrap_or_else(|_| "{}".to_owned())
}

/// Returns JSON as a value that keeps its text.
pub(super) fn raw_json(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}
